package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// cloudflareSettings is zones at Cloudflare, reached with an API token. The
// older global key, which may do everything, is not offered.
type cloudflareSettings struct {
	Token  secret.Text `json:"api_token"`
	ZoneID string      `json:"zone_id,omitempty"`
}

var cloudflare = definition[cloudflareSettings]{
	name:     "cloudflare",
	synopsis: "Configure Cloudflare DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[cloudflareSettings]{
		field.Text("api_token", "Cloudflare API token with the permission to edit DNS", parseCredential,
			func(s *cloudflareSettings) *secret.Text { return &s.Token }).Hidden(),
		field.Text("zone_id", "Cloudflare zone ID; found by name when empty",
			form(regexp.MustCompile(`^[0-9a-f]{32}$`), "the id of a zone, which has 32 hexadecimal digits"),
			func(s *cloudflareSettings) *string { return &s.ZoneID }),
	},
	check: func(s *cloudflareSettings) error {
		if s.Token == "" {
			return errors.New("api_token is required")
		}
		return nil
	},
	open: func(s *cloudflareSettings, label string, o Options) (dns01.Provider, error) {
		service := &cloudflareRecords{zoneID: s.ZoneID, api: &api{
			label: label, base: "https://api.cloudflare.com/client/v4", transport: o.carrier(), now: o.Now, secrets: []secret.Text{s.Token},
			sign: func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+s.Token.Reveal()) },
		}}
		return &recordProvider{label: label, service: service}, nil
	},
}

// cloudflareRecords is the API of Cloudflare, version 4.
type cloudflareRecords struct {
	api    *api
	zoneID string
}

// cloudflareList is a page of what was asked for.
type cloudflareList[T any] struct {
	Result []T `json:"result"`
	Info   struct {
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

func (s *cloudflareRecords) zone(ctx context.Context, name string) (zone, error) {
	if s.zoneID != "" {
		return zone{id: s.zoneID}, nil
	}
	return findZone(ctx, name, "zone_id", s.named)
}

func (s *cloudflareRecords) named(ctx context.Context, name string) ([]zone, error) {
	var out cloudflareList[struct {
		ID string `json:"id"`
	}]
	query := url.Values{"name": {name}, "status": {"active"}}
	if err := s.api.do(ctx, http.MethodGet, "/zones?"+query.Encode(), nil, &out); err != nil {
		return nil, err
	}
	zones := make([]zone, len(out.Result))
	for i, found := range out.Result {
		zones[i] = zone{id: found.ID, name: name}
	}
	return zones, nil
}

func (s *cloudflareRecords) list(ctx context.Context, z zone, name string) ([]storedRecord, error) {
	type record struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Name    string `json:"name"`
		Content string `json:"content"`
	}
	var records []storedRecord
	for page, pages := 1, 1; page <= pages; page++ {
		query := url.Values{"type": {"TXT"}, "name": {name}, "per_page": {"100"}, "page": {fmt.Sprint(page)}}
		var out cloudflareList[record]
		if err := s.api.do(ctx, http.MethodGet, "/zones/"+url.PathEscape(z.id)+"/dns_records?"+query.Encode(), nil, &out); err != nil {
			return nil, err
		}
		for _, r := range out.Result {
			if r.Type == "TXT" && r.Name == name {
				records = append(records, storedRecord{id: r.ID, value: r.Content})
			}
		}
		pages = min(out.Info.TotalPages, maxPages)
	}
	return records, nil
}

// cloudflareLeastTTL is the shortest that zones of every plan accept.
const cloudflareLeastTTL = time.Minute

func (s *cloudflareRecords) create(ctx context.Context, z zone, r dns01.Record) error {
	return s.api.do(ctx, http.MethodPost, "/zones/"+url.PathEscape(z.id)+"/dns_records", map[string]any{
		"type": "TXT", "name": r.Name, "content": `"` + r.Value + `"`,
		"ttl": int(max(r.TTL, cloudflareLeastTTL) / time.Second),
	}, nil)
}

func (s *cloudflareRecords) remove(ctx context.Context, z zone, id string) error {
	return s.api.do(ctx, http.MethodDelete, "/zones/"+url.PathEscape(z.id)+"/dns_records/"+url.PathEscape(id), nil, nil)
}
