package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// powerDNSSettings is a PowerDNS Authoritative Server, or a service that speaks
// like one.
type powerDNSSettings struct {
	BaseURL string      `json:"base_url"`
	Key     secret.Text `json:"api_key"`
	Server  string      `json:"server_id"`
}

var powerDNS = definition[powerDNSSettings]{
	name:     "powerdns",
	synopsis: "Configure PowerDNS Authoritative Server as DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[powerDNSSettings]{
		field.Text("base_url", "URL of the server's HTTP interface, before /api/v1 (e.g., https://dns.example.com:8081)", parsePowerDNSURL,
			func(s *powerDNSSettings) *string { return &s.BaseURL }),
		field.Text("api_key", "Key of the HTTP interface (api-key in pdns.conf)", parseCredential,
			func(s *powerDNSSettings) *secret.Text { return &s.Key }).Hidden(),
		field.String("server_id", "ID of the server, which is localhost unless something in between has another name for it",
			func(s *powerDNSSettings) *string { return &s.Server }).Default("localhost"),
	},
	check: func(s *powerDNSSettings) error {
		switch {
		case s.BaseURL == "":
			return errors.New("base_url is required")
		case s.Key == "":
			return errors.New("api_key is required")
		case s.Server == "":
			return errors.New(`server_id must not be empty; it is usually "localhost"`)
		}
		return nil
	},
	open: func(s *powerDNSSettings, label string, o Options) (dns01.Provider, error) {
		base := s.BaseURL + "/api/v1/servers/" + url.PathEscape(s.Server)
		return &setProvider{label: label, scope: base, service: &powerDNSSets{api: &api{
			label: label, base: base, transport: o.carrier(), secrets: []secret.Text{s.Key},
			sign: func(r *http.Request, _ []byte) { r.Header.Set("X-API-Key", s.Key.Reveal()) },
		}}}, nil
	},
}

func parsePowerDNSURL(text string) (string, error) {
	base, err := parseBaseURL(text)
	return strings.TrimSuffix(base, "/api/v1"), err
}

// powerDNSSets is the HTTP interface of PowerDNS, version 1.
type powerDNSSets struct{ api *api }

// powerDNSSet is a record set on the wire.
type powerDNSSet struct {
	Name    string           `json:"name"`
	Type    string           `json:"type"`
	TTL     int64            `json:"ttl"`
	Change  string           `json:"changetype,omitempty"`
	Records []powerDNSRecord `json:"records"`
}

type powerDNSRecord struct {
	Content  string `json:"content"`
	Disabled bool   `json:"disabled"`
}

// disabledMark precedes the value of a record that the service keeps but does
// not show to anybody. Such a record is none of ours, but has to be put back.
const disabledMark = "disabled "

func (r powerDNSRecord) value() string {
	if r.Disabled {
		return disabledMark + r.Content
	}
	return r.Content
}

func powerDNSRecords(values []string) []powerDNSRecord {
	records := make([]powerDNSRecord, len(values))
	for i, v := range values {
		records[i].Content, records[i].Disabled = strings.CutPrefix(v, disabledMark)
	}
	return records
}

func (*powerDNSSets) write(value string) string { return `"` + value + `"` }

func (s *powerDNSSets) zone(ctx context.Context, name string) (zone, error) {
	return findZone(ctx, name, "server_id", s.named)
}

// named gives the zone of exactly that name.
func (s *powerDNSSets) named(ctx context.Context, name string) ([]zone, error) {
	var found []struct{ ID, Name, Kind string }
	query := url.Values{"zone": {name + "."}, "dnssec": {"false"}} // true would be slow
	if err := s.api.do(ctx, http.MethodGet, "/zones?"+query.Encode(), nil, &found); err != nil {
		return nil, err
	}
	var zones []zone
	for _, z := range found {
		switch {
		case !strings.EqualFold(z.Name, name+"."): // a server that knows no such question answers with all zones
		case slices.Contains([]string{"slave", "secondary", "consumer"}, strings.ToLower(z.Kind)):
			return nil, refusal{fmt.Errorf("the server has only a copy of it (kind %s); records are written at its primary", z.Kind)}
		default:
			zones = append(zones, zone{id: z.ID, name: name})
		}
	}
	return zones, nil
}

// read asks for the one set. Servers before 4.6 ignore the question and answer
// with the whole zone.
func (s *powerDNSSets) read(ctx context.Context, z zone, name string) (recordSet, error) {
	var found struct{ RRsets []powerDNSSet }
	query := url.Values{"rrset_name": {name + "."}, "rrset_type": {"TXT"}}
	if err := s.api.do(ctx, http.MethodGet, "/zones/"+url.PathEscape(z.id)+"?"+query.Encode(), nil, &found); err != nil {
		return recordSet{}, err
	}
	for _, set := range found.RRsets {
		if set.Type != "TXT" || !strings.EqualFold(set.Name, name+".") {
			continue
		}
		out := recordSet{ttl: time.Duration(set.TTL) * time.Second}
		for _, r := range set.Records {
			out.values = append(out.values, r.value())
		}
		return out, nil
	}
	return recordSet{}, nil
}

// replace changes single records where the server can, which is from 4.9.12 and
// 5.0.2 on. Other servers replace the set without a look at what is there, so
// we look afterwards; another process that does the same within milliseconds
// of us may still lose a value.
func (s *powerDNSSets) replace(ctx context.Context, z zone, name string, old, updated recordSet) error {
	err := s.patch(ctx, z, powerDNSChanges(name, old, updated))
	if !hasStatus(err, http.StatusUnprocessableEntity) {
		return err
	}
	err = s.patch(ctx, z, []powerDNSSet{{
		Name: name + ".", Type: "TXT", TTL: int64(updated.ttl / time.Second), Change: "REPLACE", Records: powerDNSRecords(updated.values),
	}})
	if err != nil {
		return err
	}
	now, err := s.read(ctx, z, name)
	if err != nil {
		return fmt.Errorf("looking whether the change is there: %w", err)
	}
	if !sameValues(now.values, updated.values) {
		return errChanged
	}
	return nil
}

// powerDNSChanges gives the difference of two sets, a record each.
func powerDNSChanges(name string, old, updated recordSet) []powerDNSSet {
	var changes []powerDNSSet
	differ := func(change string, values, others []string) {
		for _, r := range powerDNSRecords(values) {
			if !slices.Contains(others, r.value()) {
				changes = append(changes, powerDNSSet{
					Name: name + ".", Type: "TXT", TTL: int64(updated.ttl / time.Second), Change: change, Records: []powerDNSRecord{r},
				})
			}
		}
	}
	differ("EXTEND", updated.values, old.values)
	differ("PRUNE", old.values, updated.values)
	return changes
}

func (s *powerDNSSets) patch(ctx context.Context, z zone, changes []powerDNSSet) error {
	return s.api.do(ctx, http.MethodPatch, "/zones/"+url.PathEscape(z.id), map[string]any{"rrsets": changes}, nil)
}

func sameValues(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
