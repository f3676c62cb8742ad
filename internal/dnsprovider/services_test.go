package dnsprovider_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

// service is a fake of a DNS service with the zone example.com.
type service struct {
	*cloud

	zones *txtZones
	raw   map[string]any
	// writes is how requests begin that change records.
	writes string
	// refusal is what the service answers with besides a status.
	refusal func(message string) string
	secrets []string
}

// services are the kinds that speak HTTP and keep several values at a name.
var services = map[string]func(t *testing.T, zones ...string) service{
	"aws-route53": func(t *testing.T, zones ...string) service {
		f := serveAWS(t, zones...)
		return service{
			f.cloud, f.txtZones, awsKeys(), "POST " + route53Host,
			func(m string) string { return awsErrorBody("SomeCode", m) },
			[]string{awsSecret},
		}
	},
	"azure-dns": func(t *testing.T, zones ...string) service {
		f := serveAzure(t, zones...)
		return service{
			f.cloud, f.txtZones, azureLogins(), "PUT " + azureHost,
			func(m string) string { return azureErrorBody("SomeCode", m) },
			[]string{azureSecret},
		}
	},
	"google-cloud-dns": func(t *testing.T, zones ...string) service {
		f := serveGoogle(t, zones...)
		return service{
			f.cloud, f.txtZones,
			map[string]any{"credentials": keyFile()},
			"POST " + googleDNS,
			func(string) string { return googleErrorBody(0, "someReason", "words") },
			[]string{googleKeyPEM()},
		}
	},
	"cloudflare": func(t *testing.T, zones ...string) service {
		f := serveCloudflare(t, zones...)
		return service{
			f.cloud, f.txtZones,
			map[string]any{"api_token": cloudflareToken},
			"POST " + cloudflareHost,
			func(m string) string { return cloudflareBody(1, m) },
			[]string{cloudflareToken},
		}
	},
	"dnsimple": func(t *testing.T, zones ...string) service {
		f := serveDNSimple(t, zones...)
		return service{
			f.cloud, f.txtZones,
			map[string]any{"access_token": dnsimpleToken},
			"POST " + dnsimpleHost,
			func(m string) string { return m },
			[]string{dnsimpleToken},
		}
	},
	"dnsmadeeasy": func(t *testing.T, zones ...string) service {
		f := serveMadeEasy(t, zones...)
		return service{f.cloud, f.txtZones, madeEasyKeys(), "POST " + madeEasyHost, func(m string) string { return m }, []string{madeEasySecret}}
	},
	"webhook": func(t *testing.T, zones ...string) service {
		f := serveWebhook(t, zones...)
		return service{f.cloud, f.txtZones, webhookLogin(), "POST " + webhookHost, func(m string) string { return m }, []string{webhookPassword, webhookPair}}
	},
}

// eachService runs a test for every kind, with a service of its own.
func eachService(t *testing.T, test func(t *testing.T, kind string, s service)) {
	t.Helper()
	for kind, serve := range services {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, kind, serve(t, "example.com"))
		})
	}
}

func TestServicesKeepTheContract(t *testing.T) {
	t.Parallel()
	for kind, serve := range services {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dns01test.Run(t, func(t *testing.T) dns01test.Bench {
				s := serve(t, "example.com")
				return dns01test.Bench{Provider: s.open(t, kind, s.raw), Lookup: s.zones.lookup, Zone: "Example.com"}
			})
		})
	}
}

func TestServicesTellRefusalsFromTroubles(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, kind string, s service) {
		p := s.open(t, kind, s.raw)
		for _, test := range []struct {
			status  int
			refused bool
			reason  string
		}{
			{400, true, "the request will not become better, such as when there are too many records"},
			{401, true, "the credential is wrong"},
			{403, true, "the credential may not do this"},
			{429, false, "too many requests"},
			{500, false, "their fault"},
			{503, false, "too busy"},
		} {
			s.inject(fault{
				on: s.writes, times: 1, status: test.status, header: http.Header{"Retry-After": {"7"}},
				body: s.refusal("the service repeats " + strings.Join(s.secrets, " and ")),
			})
			f := failed(t, p.Add(t.Context(), proof("_acme-challenge.example.com")), s.secrets...)
			if f.Refused != test.refused || f.RetryAfter != 7*time.Second || f.Provider != kind+"/one" {
				t.Errorf("%d is refused: %t, retry after %v, by %s; %s: %v", test.status, f.Refused, f.RetryAfter, f.Provider, test.reason, f)
			}
		}
		if err := p.Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
			t.Errorf("when all is well again: %v", err)
		}
	})
}

// TestServicesAreNotFollowedElsewhere: whoever answers with a redirect would
// get the credential with the request that follows.
func TestServicesAreNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, kind string, s service) {
		for _, status := range []int{302, 307} {
			s.inject(fault{on: s.writes, times: 1, status: status, header: http.Header{"Location": {"https://elsewhere.example.net/"}}})
			err := s.open(t, kind, s.raw).Add(t.Context(), proof("_acme-challenge.example.com"))
			if f := failed(t, err, s.secrets...); !f.Refused {
				t.Errorf("got %v", err)
			}
		}
		if n := s.count("GET elsewhere") + s.count("POST elsewhere") + s.count("PUT elsewhere"); n > 0 {
			t.Errorf("elsewhere was asked %d times", n)
		}
	})
}

func TestServicesThatAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, kind string, s service) {
		s.inject(fault{on: s.writes, status: 500, body: strings.Repeat("x", 9<<20)})
		err := s.open(t, kind, s.raw).Add(t.Context(), proof("_acme-challenge.example.com"))
		if f := failed(t, err); f.Refused || len(err.Error()) > 2000 {
			t.Errorf("an error of %d characters, refused: %t", len(err.Error()), f.Refused)
		}
	})
}

func TestServicesThatCannotBeReached(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, kind string, s service) {
		e, err := create(kind, s.raw)
		if err != nil {
			t.Fatal(err)
		}
		options := s.options()
		options.Transport = broken{}
		p, err := e.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Add(t.Context(), proof("_acme-challenge.example.com"))
		if f := failed(t, err, s.secrets...); f.Refused || !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
	})
}

var errBroken = errors.New("the network is down")

type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, errBroken
}

// sets are the kinds that replace whole record sets.
var sets = []string{"aws-route53", "azure-dns", "google-cloud-dns"}

// TestSetsSurviveOtherProcesses: another writer is faster between our look and
// our change, once by making the set and once by changing it.
func TestSetsSurviveOtherProcesses(t *testing.T) {
	t.Parallel()
	for _, kind := range sets {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := services[kind](t, "example.com")
			p := s.open(t, kind, s.raw)
			r := proof("_acme-challenge.example.com")
			for _, other := range []string{"first", "second"} {
				s.inject(fault{on: s.writes, times: 1, before: func() { s.zones.put(r.Name, written(kind, other), 60) }})
			}
			if err := p.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			expectTXT(t, s.zones, r.Name, r.Value, "first", "second")
		})
	}
}

// TestSetsGiveUpOnEndlessRaces, but not for ever: the order will try again.
func TestSetsGiveUpOnEndlessRaces(t *testing.T) {
	t.Parallel()
	for _, kind := range sets {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := services[kind](t, "example.com")
			r := proof("_acme-challenge.example.com")
			s.inject(fault{on: s.writes, before: func() { s.zones.put(r.Name, written(kind, "another"), 60) }})
			err := s.open(t, kind, s.raw).Add(t.Context(), r)
			if f := failed(t, err, s.secrets...); f.Refused || dns01.Refused(err) {
				t.Errorf("got %v", err)
			}
			if n := s.count(s.writes); n != 8 {
				t.Errorf("%d tries", n)
			}
		})
	}
}

// TestRecordsSurviveOtherProcesses: another writer is faster between our look
// and our change, once by making the record and once by removing it.
func TestRecordsSurviveOtherProcesses(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cloudflare", "dnsimple", "dnsmadeeasy"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := services[kind](t, "example.com")
			p := s.open(t, kind, s.raw)
			r := proof("_acme-challenge.example.com")
			s.inject(fault{on: s.writes, times: 1, before: func() { s.zones.put(r.Name, written(kind, r.Value), 60) }})
			if err := p.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			expectTXT(t, s.zones, r.Name, r.Value)
			s.inject(fault{on: "DELETE", times: 1, before: func() { s.zones.wipe(r.Name) }})
			if err := p.Remove(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			expectTXT(t, s.zones, r.Name)
		})
	}
}

func TestRecordsThatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cloudflare", "dnsimple", "dnsmadeeasy"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := services[kind](t, "example.com")
			r := proof("_acme-challenge.example.com")
			s.zones.put(r.Name, written(kind, r.Value), 60)
			s.inject(fault{on: "DELETE", status: 403, body: s.refusal("not yours")})
			err := s.open(t, kind, s.raw).Remove(t.Context(), r)
			if f := failed(t, err, s.secrets...); !f.Refused || f.Zone != "example.com" {
				t.Errorf("got %#v", f)
			}
		})
	}
}

// written is a value as a service writes it.
func written(kind, value string) string {
	if kind == "azure-dns" {
		return `["` + value + `"]`
	}
	return `"` + value + `"`
}
