package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// dnsimpleSettings is zones at DNSimple.
type dnsimpleSettings struct {
	Token     secret.Text `json:"access_token"`
	AccountID string      `json:"account_id,omitempty"`
	Sandbox   bool        `json:"sandbox,omitempty"`
}

var dnsimple = definition[dnsimpleSettings]{
	name:     "dnsimple",
	synopsis: "Configure DNSimple DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[dnsimpleSettings]{
		field.Text("access_token", "DNSimple API access token", parseCredential,
			func(s *dnsimpleSettings) *secret.Text { return &s.Token }).Hidden(),
		field.Text("account_id", "DNSimple account ID; that of an account's token when empty",
			form(regexp.MustCompile(`^[0-9]{1,19}$`), "the id of an account, which is a number"),
			func(s *dnsimpleSettings) *string { return &s.AccountID }),
		field.Bool("sandbox", "Use the sandbox of DNSimple, which has accounts of its own",
			func(s *dnsimpleSettings) *bool { return &s.Sandbox }),
	},
	check: func(s *dnsimpleSettings) error {
		if s.Token == "" {
			return errors.New("access_token is required")
		}
		return nil
	},
	open: func(s *dnsimpleSettings, label string, o Options) (dns01.Provider, error) {
		base := "https://api.dnsimple.com/v2"
		if s.Sandbox {
			base = "https://api.sandbox.dnsimple.com/v2"
		}
		service := &dnsimpleRecords{account: s.AccountID, api: &api{
			label: label, base: base, transport: o.carrier(), now: o.Now, secrets: []secret.Text{s.Token},
			sign: func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+s.Token.Reveal()) },
		}}
		return &recordProvider{label: label, service: service}, nil
	},
}

// dnsimpleRecords is the API of DNSimple, version 2.
type dnsimpleRecords struct {
	api     *api
	account string
}

func (s *dnsimpleRecords) zone(ctx context.Context, name string) (zone, error) {
	account, err := s.owner(ctx)
	if err != nil {
		return zone{}, err
	}
	return findZone(ctx, name, "account_id", func(ctx context.Context, candidate string) ([]zone, error) {
		err := s.api.do(ctx, http.MethodGet, "/"+account+"/zones/"+url.PathEscape(candidate), nil, nil)
		if hasStatus(err, http.StatusNotFound) {
			return nil, nil
		}
		return []zone{{id: candidate, name: candidate, account: account}}, err
	})
}

// owner is the account that is set, or that the token is for. A user's token is
// for several.
func (s *dnsimpleRecords) owner(ctx context.Context) (string, error) {
	if s.account != "" {
		return s.account, nil
	}
	var out struct {
		Data struct {
			Account *struct {
				ID int64 `json:"id"`
			} `json:"account"`
		} `json:"data"`
	}
	if err := s.api.do(ctx, http.MethodGet, "/whoami", nil, &out); err != nil {
		return "", fmt.Errorf("asking for the account of access_token: %w", err)
	}
	if out.Data.Account == nil {
		return "", refusal{errors.New("access_token is that of a user, who may have several accounts; set account_id")}
	}
	return strconv.FormatInt(out.Data.Account.ID, 10), nil
}

func (s *dnsimpleRecords) records(z zone) string {
	return "/" + z.account + "/zones/" + url.PathEscape(z.id) + "/records"
}

func (s *dnsimpleRecords) list(ctx context.Context, z zone, name string) ([]storedRecord, error) {
	within, err := z.relative(name)
	if err != nil {
		return nil, err
	}
	var records []storedRecord
	for page, pages := 1, 1; page <= pages; page++ {
		var out struct {
			Data []struct {
				ID      int64  `json:"id"`
				Type    string `json:"type"`
				Name    string `json:"name"`
				Content string `json:"content"`
			} `json:"data"`
			Pagination struct {
				TotalPages int `json:"total_pages"`
			} `json:"pagination"`
		}
		query := url.Values{"type": {"TXT"}, "name": {within}, "per_page": {"100"}, "page": {strconv.Itoa(page)}}
		if err := s.api.do(ctx, http.MethodGet, s.records(z)+"?"+query.Encode(), nil, &out); err != nil {
			return nil, err
		}
		for _, r := range out.Data {
			if r.Type == "TXT" && r.Name == within {
				records = append(records, storedRecord{id: strconv.FormatInt(r.ID, 10), value: r.Content})
			}
		}
		pages = min(out.Pagination.TotalPages, maxPages)
	}
	return records, nil
}

func (s *dnsimpleRecords) create(ctx context.Context, z zone, r dns01.Record) error {
	within, err := z.relative(r.Name)
	if err != nil {
		return err
	}
	return s.api.do(ctx, http.MethodPost, s.records(z), map[string]any{
		"type": "TXT", "name": within, "content": `"` + r.Value + `"`, "ttl": int(r.TTL / time.Second),
	}, nil)
}

func (s *dnsimpleRecords) remove(ctx context.Context, z zone, id string) error {
	return s.api.do(ctx, http.MethodDelete, s.records(z)+"/"+url.PathEscape(id), nil, nil)
}
