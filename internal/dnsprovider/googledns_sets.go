package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	googledns "google.golang.org/api/dns/v1"
	"google.golang.org/api/googleapi"
)

// googleSets changes record sets at Google Cloud DNS, in changes that happen as
// a whole or not at all.
type googleSets struct {
	settings *googleSettings
	options  Options
	service  *googledns.Service
}

func (*googleSets) write(value string) string { return `"` + value + `"` }

func (s *googleSets) zone(ctx context.Context, name string) (zone, error) {
	project, err := s.settings.project(ctx, s.options)
	if err != nil {
		return zone{}, err
	}
	if id := s.settings.ZoneName; id != "" {
		return zone{id: id, account: project}, nil
	}
	return findZone(ctx, name, "zone_name", func(ctx context.Context, candidate string) ([]zone, error) {
		return s.named(ctx, project, candidate)
	})
}

// named gives the public managed zones of exactly that name.
func (s *googleSets) named(ctx context.Context, project, name string) ([]zone, error) {
	var zones []zone
	err := s.service.ManagedZones.List(project).DnsName(name+".").Pages(ctx, func(page *googledns.ManagedZonesListResponse) error {
		for _, z := range page.ManagedZones {
			if z.Visibility != "private" && strings.TrimSuffix(z.DnsName, ".") == name {
				zones = append(zones, zone{id: z.Name, name: name, account: project})
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.googleError("managedZones.list", err)
	}
	return zones, nil
}

func (s *googleSets) read(ctx context.Context, z zone, name string) (recordSet, error) {
	out, err := s.service.ResourceRecordSets.List(z.account, z.id).Name(name + ".").Type("TXT").Context(ctx).Do()
	if err != nil {
		return recordSet{}, s.googleError("resourceRecordSets.list", err)
	}
	for _, found := range out.Rrsets {
		if found.Type != "TXT" || strings.ToLower(found.Name) != name+"." {
			continue
		}
		if found.RoutingPolicy != nil {
			return recordSet{}, refusal{errors.New("the TXT records of the name have a routing policy, which proofs cannot be added to")}
		}
		return recordSet{values: found.Rrdatas, ttl: time.Duration(found.Ttl) * time.Second}, nil
	}
	return recordSet{}, nil
}

// replace deletes the old set, which has to be repeated exactly, and adds the
// new one, which must not exist, in one change.
func (s *googleSets) replace(ctx context.Context, z zone, name string, old, updated recordSet) error {
	var change googledns.Change
	if len(old.values) > 0 {
		change.Deletions = append(change.Deletions, googleSet(name, old))
	}
	if len(updated.values) > 0 {
		change.Additions = append(change.Additions, googleSet(name, updated))
	}
	_, err := s.service.Changes.Create(z.account, z.id, &change).Context(ctx).Do()
	if err == nil {
		return nil
	}
	refused := s.googleError("changes.create", err)
	if answer, ok := errors.AsType[*googleapi.Error](err); ok {
		switch answer.Code {
		case http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotFound: // made, changed, gone meanwhile
			return fmt.Errorf("%w: %w", errChanged, refused)
		}
	}
	return refused
}

func googleSet(name string, set recordSet) *googledns.ResourceRecordSet {
	return &googledns.ResourceRecordSet{Name: name + ".", Type: "TXT", Ttl: int64(set.ttl / time.Second), Rrdatas: set.values}
}
