package acceptance

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// mountSettings holds what is asked, and how, where a provider does not say.
func (s dnsSite) mountSettings(t *testing.T) {
	want := fields{
		"propagation_check": "authoritative", "nameservers": []any{s.resolver.Addr},
		"propagation_interval": 1.0, "propagation_timeout": 60.0, "max_requests_per_account": 16.0,
	}
	if got := asFarAs(want, s.read(t, "config")); !reflect.DeepEqual(got, want) {
		t.Errorf("the settings are %v, want %v", got, want)
	}
	path := unique()
	s.vault(t, "secrets", "enable", "-path="+path, testbed.CatalogName)
	initial := fields{
		"propagation_check": "authoritative", "nameservers": []any{}, "propagation_interval": 5.0, "propagation_timeout": 600.0,
		"max_requests_per_account": 16.0,
	}
	checkSettings(t, s, path, initial)
	s.vault(t, "write", path+"/config", "propagation_check=recursive", "nameservers=192.0.2.53:53,[2001:db8::53]:53", "propagation_timeout=1h",
		"max_requests_per_account=64")
	checkSettings(t, s, path, fields{
		"propagation_check": "recursive", "nameservers": []any{"192.0.2.53:53", "[2001:db8::53]:53"},
		"propagation_interval": 5.0, "propagation_timeout": 3600.0, "max_requests_per_account": 64.0,
	})
	s.vault(t, "delete", path+"/config")
	checkSettings(t, s, path, initial)
}

func checkSettings(t *testing.T, s dnsSite, path string, want fields) {
	t.Helper()
	var got struct{ Data fields }
	if err := json.Unmarshal([]byte(s.vault(t, "read", "-format=json", path+"/config")), &got); err != nil {
		t.Fatal(err)
	}
	if got := asFarAs(want, got.Data); !reflect.DeepEqual(got, want) {
		t.Errorf("the settings are %v, want %v", got, want)
	}
}

// asFarAs leaves of an answer only what the test is about: the mount has settings that have nothing to do with DNS.
func asFarAs(want, got fields) fields {
	maps.DeleteFunc(got, func(name string, _ any) bool {
		_, wanted := want[name]
		return !wanted
	})
	return got
}

// settingsChange is settings of which some make no sense, and what the refusal must name.
type settingsChange struct {
	why      string
	settings fields
	words    []string
}

var badPropagation = []settingsChange{
	{"a check that there is not", fields{"propagation_check": "sometimes"}, []string{"propagation_check", "authoritative", "recursive", "none"}},
	{"a resolver without a port", fields{"nameservers": "192.0.2.53"}, []string{"nameservers", "192.0.2.53", "host:port"}},
	{"a resolver without a host", fields{"nameservers": ":53"}, []string{"nameservers", "host:port"}},
	{"one resolver of several", fields{"nameservers": "192.0.2.53:53,192.0.2.54"}, []string{"nameservers", "192.0.2.54"}},
	{"a timeout that is no duration", fields{"propagation_timeout": "soon"}, []string{"propagation_timeout"}},
	{"a negative timeout", fields{"propagation_timeout": "-1s"}, []string{"propagation_timeout"}},
	{"a negative interval", fields{"propagation_interval": "-1s"}, []string{"propagation_interval"}},
}

var badUpdaters = append([]settingsChange{
	{"no identifier", fields{"identifiers": nil}, []string{"identifiers"}},
	{"an empty list of identifiers", fields{"identifiers": []string{}}, []string{"identifiers"}},
	{"an empty identifier", fields{"identifiers": []string{"example.com", ""}}, []string{"identifiers"}},
	{"an identifier with a space", fields{"identifiers": "a b.example.com"}, []string{"identifiers", "a b.example.com"}},
	{"an identifier with an empty label", fields{"identifiers": "a..example.com"}, []string{"identifiers", "a..example.com"}},
	{"a star in the middle", fields{"identifiers": "a.*.example.com"}, []string{"identifiers", "a.*.example.com"}},
	{"a star inside a label", fields{"identifiers": "a*.example.com"}, []string{"identifiers", "a*.example.com"}},
	{"two stars", fields{"identifiers": "*.*.example.com"}, []string{"identifiers", "*.*.example.com"}},
	{"nothing but a star", fields{"identifiers": "*"}, []string{"identifiers"}},
	{"identifiers of a wrong type", fields{"identifiers": fields{"a": 1}}, []string{"identifiers"}},
	{"no server", fields{"nameserver": nil}, []string{"nameserver"}},
	{"a server without a port", fields{"nameserver": "192.0.2.53"}, []string{"nameserver", "192.0.2.53", "host:port"}},
	{"a server without a host", fields{"nameserver": ":53"}, []string{"nameserver", "host:port"}},
	{"a port that there is not", fields{"nameserver": "192.0.2.53:65536"}, []string{"nameserver", "65536"}},
	{"a secret that is no base64", fields{"tsig_secret": "%secret%"}, []string{"tsig_secret", "base64"}},
	{"an unknown algorithm", fields{"tsig_algorithm": "hmac-md5"}, []string{"tsig_algorithm", "hmac-md5", "hmac-sha256"}},
	{"a secret without a key's name", fields{"tsig_key_name": nil}, []string{"tsig_key_name", "tsig_secret"}},
	{"a key's name without a secret", fields{"tsig_secret": nil}, []string{"tsig_key_name", "tsig_secret"}},
	{"a time to live of nothing", fields{"ttl": 0}, []string{"ttl"}},
	{"a negative time to live", fields{"ttl": "-1m"}, []string{"ttl"}},
	{"a time to live that is no duration", fields{"ttl": "long"}, []string{"ttl"}},
	{"an alias that is a wildcard", fields{"challenge_alias": "*.example.net"}, []string{"challenge_alias"}},
	{"an alias that is no name", fields{"challenge_alias": "a b"}, []string{"challenge_alias"}},
}, badPropagation...)

var badPowerDNS = []settingsChange{
	{"no URL", fields{"base_url": nil}, []string{"base_url"}},
	{"not a URL", fields{"base_url": "pdns"}, []string{"base_url"}},
	{"another scheme", fields{"base_url": "file:///etc/passwd"}, []string{"base_url"}},
	{"no key", fields{"api_key": nil}, []string{"api_key"}},
}

// badSettings holds that what makes no sense is refused with the name of the field, and that nothing of it is stored.
func (s dnsSite) badSettings(t *testing.T) {
	updater := signedBy(s.primary, s.primary.Keys["hmac-sha256"])
	updater["identifiers"] = newDomain(bindZone)
	power := fields{"identifiers": newDomain(powerZone), "base_url": s.power.URL, "api_key": s.power.Key}
	s.refuseSettings(t, "config/dns/rfc2136/", updater, badUpdaters)
	s.refuseSettings(t, "config/dns/powerdns/", power, badPowerDNS)
	before := s.read(t, "config")
	for _, row := range badPropagation {
		s.call(t, http.MethodPost, "config", row.settings).expect(t, http.StatusBadRequest, row.words...)
	}
	if after := s.read(t, "config"); !reflect.DeepEqual(after, before) {
		t.Errorf("the settings of the mount were %v and are %v", before, after)
	}
}

// refuseSettings tries each row on a provider that is not there yet, and on one that is.
func (s dnsSite) refuseSettings(t *testing.T, prefix string, good fields, rows []settingsChange) {
	t.Helper()
	name := unique()
	s.write(t, prefix+name, good)
	before := s.read(t, prefix+name)
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			bad := maps.Clone(good)
			update := fields{}
			for field, value := range row.settings {
				bad[field], update[field] = value, value
				if value == nil { // which is to say nothing of the field, or to take back what was said
					delete(bad, field)
					update[field] = ""
				}
			}
			s.call(t, http.MethodPost, prefix+"new-"+name, bad).expect(t, http.StatusBadRequest, row.words...)
			s.call(t, http.MethodPost, prefix+name, update).expect(t, http.StatusBadRequest, row.words...)
		})
	}
	s.call(t, http.MethodGet, prefix+"new-"+name, nil).expect(t, http.StatusNotFound)
	if after := s.read(t, prefix+name); !reflect.DeepEqual(after, before) {
		t.Errorf("a provider was %v and is %v", before, after)
	}
}

// credentials holds that no answer shows them.
func (s dnsSite) credentials(t *testing.T) {
	domain := newDomain(bindZone)
	updater := "config/dns/rfc2136/" + s.updater(t, s.primary, domain, nil)
	power := "config/dns/powerdns/" + s.powered(t, newDomain(powerZone), nil)
	for _, a := range []answer{
		s.call(t, http.MethodGet, updater, nil),
		s.call(t, http.MethodGet, power, nil),
		s.call(t, http.MethodPost, updater, signedBy(s.primary, s.primary.Keys["hmac-sha512"])),
		s.call(t, http.MethodPost, power, fields{"api_key": s.power.Key, "ttl": "2m"}),
		s.call(t, "LIST", "config/dns", nil),
		s.call(t, "LIST", "config/dns/rfc2136", nil),
		s.call(t, http.MethodPost, updater, fields{"tsig_secret": s.primary.Powerless.Secret + "%"}),
		s.call(t, http.MethodGet, "config", nil),
	} {
		s.checkNoSecret(t, a.Body)
	}
	shown := s.read(t, updater)
	for field, want := range map[string]any{
		"type": "rfc2136", "nameserver": s.primary.Addr, "tsig_key_name": "key-hmac-sha512", "tsig_algorithm": "hmac-sha512", "ttl": 60.0,
	} {
		if shown[field] != want {
			t.Errorf("%s is %v, want %v", field, shown[field], want)
		}
	}
	if _, there := shown["tsig_secret"]; there {
		t.Errorf("tsig_secret is shown: %v", shown)
	}
}
