package dnsprovider

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// dnsMadeEasySettings is domains at DNS Made Easy.
type dnsMadeEasySettings struct {
	Key     string      `json:"api_key"`
	Secret  secret.Text `json:"api_secret"`
	Sandbox bool        `json:"sandbox,omitempty"`
}

var dnsMadeEasy = definition[dnsMadeEasySettings]{
	name:     "dnsmadeeasy",
	synopsis: "Configure DNS Made Easy DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[dnsMadeEasySettings]{
		field.Text("api_key", "DNS Made Easy API key", parseHeaderText,
			func(s *dnsMadeEasySettings) *string { return &s.Key }),
		field.Text("api_secret", "DNS Made Easy API secret key", parseCredential,
			func(s *dnsMadeEasySettings) *secret.Text { return &s.Secret }).Hidden(),
		field.Bool("sandbox", "Use the sandbox of DNS Made Easy, which has accounts of its own",
			func(s *dnsMadeEasySettings) *bool { return &s.Sandbox }),
	},
	check: func(s *dnsMadeEasySettings) error {
		if s.Key == "" || s.Secret == "" {
			return errors.New("api_key and api_secret are required, both")
		}
		return nil
	},
	open: func(s *dnsMadeEasySettings, label string, o Options) (dns01.Provider, error) {
		base := "https://api.dnsmadeeasy.com/V2.0"
		if s.Sandbox {
			base = "https://api.sandbox.dnsmadeeasy.com/V2.0"
		}
		service := &dnsMadeEasyRecords{api: &api{
			label: label, base: base, transport: o.carrier(), now: o.Now, secrets: []secret.Text{s.Secret},
			sign: func(r *http.Request, _ []byte) { s.sign(r, o.now()) },
		}}
		return &recordProvider{label: label, service: service}, nil
	},
}

// sign proves that we know the secret, by a code for the time. The service
// demands SHA-1, and clocks that differ by less than half a minute.
func (s *dnsMadeEasySettings) sign(r *http.Request, now time.Time) {
	date := now.UTC().Format(http.TimeFormat)
	code := hmac.New(sha1.New, []byte(s.Secret.Reveal()))
	code.Write([]byte(date)) // a hash has no errors
	r.Header.Set("x-dnsme-apiKey", s.Key)
	r.Header.Set("x-dnsme-requestDate", date)
	r.Header.Set("x-dnsme-hmac", hex.EncodeToString(code.Sum(nil)))
}

// dnsMadeEasyRecords is the API of DNS Made Easy, version 2.0.
type dnsMadeEasyRecords struct{ api *api }

// do is that of api, but knows how this service says that there were too many
// requests: 150 in five minutes, by default.
func (s *dnsMadeEasyRecords) do(ctx context.Context, method, path string, in, out any) error {
	err := s.api.do(ctx, method, path, in, out)
	answer, ok := errors.AsType[*rejection](err)
	if ok && answer.status == http.StatusBadRequest && strings.Contains(answer.detail, "Rate limit exceeded") {
		return busy{err, max(answer.retryAfter, time.Minute)}
	}
	return err
}

func (s *dnsMadeEasyRecords) zone(ctx context.Context, name string) (zone, error) {
	return findZone(ctx, name, "name", func(ctx context.Context, candidate string) ([]zone, error) {
		var out struct {
			ID int64 `json:"id"`
		}
		err := s.do(ctx, http.MethodGet, "/dns/managed/name?"+url.Values{"domainname": {candidate}}.Encode(), nil, &out)
		if hasStatus(err, http.StatusNotFound) {
			return nil, nil
		}
		return []zone{{id: strconv.FormatInt(out.ID, 10), name: candidate}}, err
	})
}

func (s *dnsMadeEasyRecords) list(ctx context.Context, z zone, name string) ([]storedRecord, error) {
	within, err := z.relative(name)
	if err != nil {
		return nil, err
	}
	var out struct {
		Data []struct {
			ID    int64  `json:"id"`
			Type  string `json:"type"`
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"data"`
	}
	query := url.Values{"recordName": {within}, "type": {"TXT"}}
	if err := s.do(ctx, http.MethodGet, "/dns/managed/"+z.id+"/records?"+query.Encode(), nil, &out); err != nil {
		return nil, err
	}
	var records []storedRecord
	for _, r := range out.Data {
		if r.Type == "TXT" && r.Name == within {
			records = append(records, storedRecord{id: strconv.FormatInt(r.ID, 10), value: r.Value})
		}
	}
	return records, nil
}

func (s *dnsMadeEasyRecords) create(ctx context.Context, z zone, r dns01.Record) error {
	within, err := z.relative(r.Name)
	if err != nil {
		return err
	}
	return s.do(ctx, http.MethodPost, "/dns/managed/"+z.id+"/records", map[string]any{
		"type": "TXT", "name": within, "value": r.Value, "ttl": int(r.TTL / time.Second), "gtdLocation": "DEFAULT",
	}, nil)
}

func (s *dnsMadeEasyRecords) remove(ctx context.Context, z zone, id string) error {
	return s.do(ctx, http.MethodDelete, "/dns/managed/"+z.id+"/records/"+url.PathEscape(id), nil, nil)
}
