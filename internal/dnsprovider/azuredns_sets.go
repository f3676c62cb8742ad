package dnsprovider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns"
)

// azureSets changes record sets at Azure DNS, under the condition that their
// ETag is still what it was.
type azureSets struct {
	settings *azureSettings
	options  Options
	sets     *armdns.RecordSetsClient
	zones    *armdns.ZonesClient
}

// write is the strings of one record as JSON, which is how this package keeps
// them: a long record of others has several.
func (*azureSets) write(value string) string { return `["` + value + `"]` }

func (s *azureSets) zone(ctx context.Context, name string) (zone, error) {
	if at := s.settings.ZoneName; at != "" {
		return zone{id: at, name: at}, nil
	}
	all, err := s.all(ctx)
	if err != nil {
		return zone{}, err
	}
	return findZone(ctx, name, "zone_name", func(_ context.Context, candidate string) ([]zone, error) {
		return slices.DeleteFunc(slices.Clone(all), func(z zone) bool { return z.name != candidate }), nil
	})
}

// all lists the public zones of the resource group, which cannot hold two of
// the same name.
func (s *azureSets) all(ctx context.Context) ([]zone, error) {
	var zones []zone
	for pager := s.zones.NewListByResourceGroupPager(s.settings.ResourceGroup, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, s.azureError("listing the zones of the resource group "+s.settings.ResourceGroup, err)
		}
		for _, z := range page.Value {
			private := z.Properties != nil && z.Properties.ZoneType != nil && *z.Properties.ZoneType == armdns.ZoneTypePrivate
			if z.Name != nil && !private {
				zones = append(zones, zone{id: *z.Name, name: strings.ToLower(*z.Name)})
			}
		}
	}
	return zones, nil
}

func (s *azureSets) read(ctx context.Context, z zone, name string) (recordSet, error) {
	within, err := azureName(z, name)
	if err != nil {
		return recordSet{}, err
	}
	out, err := s.sets.Get(ctx, s.settings.ResourceGroup, z.id, within, armdns.RecordTypeTXT, nil)
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok && answer.StatusCode == http.StatusNotFound {
		return recordSet{}, nil // if it is the zone that is missing, a change will say so
	}
	if err != nil {
		return recordSet{}, s.azureError("Azure DNS RecordSets.Get", err)
	}
	return azureSet(out.RecordSet)
}

func azureSet(found armdns.RecordSet) (recordSet, error) {
	properties := cmp.Or(found.Properties, &armdns.RecordSetProperties{})
	set := recordSet{etag: value(found.Etag), ttl: time.Duration(value(properties.TTL)) * time.Second, labels: properties.Metadata}
	for _, record := range properties.TxtRecords {
		text, err := json.Marshal(record.Value)
		if err != nil {
			return recordSet{}, err
		}
		set.values = append(set.values, string(text))
	}
	return set, nil
}

// replace removes a set that would be left empty, because it would count
// against the limit of the zone for ever.
func (s *azureSets) replace(ctx context.Context, z zone, name string, old, updated recordSet) error {
	within, err := azureName(z, name)
	if err != nil {
		return err
	}
	if len(updated.values) == 0 {
		_, err = s.sets.Delete(ctx, s.settings.ResourceGroup, z.id, within, armdns.RecordTypeTXT,
			&armdns.RecordSetsClientDeleteOptions{IfMatch: &old.etag})
		return s.changed("Azure DNS RecordSets.Delete", err)
	}
	content := armdns.RecordSet{Properties: &armdns.RecordSetProperties{
		TTL: to.Ptr(int64(updated.ttl / time.Second)), Metadata: old.labels,
	}}
	for _, text := range updated.values {
		var strs []*string
		if err := json.Unmarshal([]byte(text), &strs); err != nil {
			return err
		}
		content.Properties.TxtRecords = append(content.Properties.TxtRecords, &armdns.TxtRecord{Value: strs})
	}
	condition := &armdns.RecordSetsClientCreateOrUpdateOptions{IfMatch: &old.etag}
	if old.etag == "" {
		condition = &armdns.RecordSetsClientCreateOrUpdateOptions{IfNoneMatch: to.Ptr("*")}
	}
	_, err = s.sets.CreateOrUpdate(ctx, s.settings.ResourceGroup, z.id, within, armdns.RecordTypeTXT, content, condition)
	return s.changed("Azure DNS RecordSets.CreateOrUpdate", err)
}

func (s *azureSets) changed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return s.azureError(doing, err)
}

// azureName is how Azure calls a record set of the zone: by the name within it,
// or "@".
func azureName(z zone, name string) (string, error) {
	within, err := z.relative(name)
	return cmp.Or(within, "@"), err
}

// value is what a pointer of a library leads to, if it leads anywhere.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
