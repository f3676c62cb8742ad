package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// route53Sets changes record sets at Route 53. It does not wait until a change
// is at all name servers; that is looked for by DNS.
type route53Sets struct {
	settings *route53Settings
	options  Options

	listZones  route53Call[route53.ListHostedZonesByNameInput, route53.ListHostedZonesByNameOutput]
	listSets   route53Call[route53.ListResourceRecordSetsInput, route53.ListResourceRecordSetsOutput]
	changeSets route53Call[route53.ChangeResourceRecordSetsInput, route53.ChangeResourceRecordSetsOutput]
}

// route53Call is one of the client's seventy operations. A field for the client
// itself, or for an interface to it, would link all of them into the program.
type route53Call[In, Out any] func(context.Context, *In, ...func(*route53.Options)) (*Out, error)

func (*route53Sets) write(value string) string { return `"` + value + `"` }

func (s *route53Sets) zone(ctx context.Context, name string) (zone, error) {
	if id := s.settings.HostedZoneID; id != "" {
		return zone{id: strings.TrimPrefix(id, "/hostedzone/")}, nil
	}
	return findZone(ctx, name, "hosted_zone_id", s.named)
}

// named gives the public hosted zones of exactly that name. The answer holds
// those that follow in the order of names, too.
func (s *route53Sets) named(ctx context.Context, name string) ([]zone, error) {
	out, err := s.listZones(ctx, &route53.ListHostedZonesByNameInput{DNSName: aws.String(name + ".")})
	if err != nil {
		return nil, s.awsError(err)
	}
	var zones []zone
	for _, z := range out.HostedZones {
		private := z.Config != nil && z.Config.PrivateZone
		if !private && strings.TrimSuffix(aws.ToString(z.Name), ".") == name {
			zones = append(zones, zone{id: strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/"), name: name})
		}
	}
	return zones, nil
}

// read asks for the first set from a name and type on, which is that set if
// there is one.
func (s *route53Sets) read(ctx context.Context, z zone, name string) (recordSet, error) {
	out, err := s.listSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &z.id, StartRecordName: aws.String(name + "."), StartRecordType: types.RRTypeTxt, MaxItems: aws.Int32(1),
	})
	if err != nil {
		return recordSet{}, s.awsError(err)
	}
	if len(out.ResourceRecordSets) == 0 {
		return recordSet{}, nil
	}
	found := out.ResourceRecordSets[0]
	if found.Type != types.RRTypeTxt || strings.ToLower(aws.ToString(found.Name)) != name+"." {
		return recordSet{}, nil
	}
	if found.SetIdentifier != nil || found.AliasTarget != nil {
		return recordSet{}, refusal{errors.New("the TXT records of the name have a routing policy or are an alias of Route 53, which proofs cannot be added to")}
	}
	set := recordSet{ttl: time.Duration(aws.ToInt64(found.TTL)) * time.Second}
	for _, record := range found.ResourceRecords {
		set.values = append(set.values, aws.ToString(record.Value))
	}
	return set, nil
}

// replace sends one batch, all of which happens or nothing: a deletion has to
// repeat the set exactly, and a creation fails if there is one.
func (s *route53Sets) replace(ctx context.Context, z zone, name string, old, updated recordSet) error {
	var batch types.ChangeBatch
	if len(old.values) > 0 {
		batch.Changes = append(batch.Changes, route53Change(types.ChangeActionDelete, name, old))
	}
	if len(updated.values) > 0 {
		batch.Changes = append(batch.Changes, route53Change(types.ChangeActionCreate, name, updated))
	}
	_, err := s.changeSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &z.id, ChangeBatch: &batch})
	if err == nil {
		return nil
	}
	refused := s.awsError(err)
	if _, ok := errors.AsType[*types.InvalidChangeBatch](err); !ok {
		return refused
	}
	// A set that was changed and a name that is not in the zone are told apart
	// by words only. It is safer to look.
	if now, again := s.read(ctx, z, name); again == nil && !now.equal(old) {
		return fmt.Errorf("%w: %w", errChanged, refused)
	}
	return refused
}

func route53Change(action types.ChangeAction, name string, set recordSet) types.Change {
	records := make([]types.ResourceRecord, len(set.values))
	for i := range set.values {
		records[i] = types.ResourceRecord{Value: &set.values[i]}
	}
	return types.Change{Action: action, ResourceRecordSet: &types.ResourceRecordSet{
		Name: aws.String(name + "."), Type: types.RRTypeTxt, TTL: aws.Int64(int64(set.ttl / time.Second)), ResourceRecords: records,
	}}
}
