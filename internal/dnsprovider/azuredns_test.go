package dnsprovider_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAzureSharesRecordSets(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	r := proof("_acme-challenge.example.com")
	f.put(r.Name, `["first half","second half"]`, 300)
	f.labels = map[string]string{"owner": "somebody"}
	p := f.open(t, "azure-dns", azureLogins("zone_name", "example.com."))
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.records[r.Name]; len(got) != 2 || got[0].ttl != 300 || got[0].value != `["first half","second half"]` {
		t.Errorf("the set became %v", got)
	}
	if err := p.Remove(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.values(r.Name); !slices.Equal(got, []string{`["first half","second half"]`}) {
		t.Errorf("the set became %q", got)
	}
	if f.labels["owner"] != "somebody" {
		t.Errorf("the metadata became %v", f.labels)
	}
}

func TestAzureRemovesEmptyRecordSets(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	r := proof("_acme-challenge.example.com")
	p := f.open(t, "azure-dns", azureLogins("zone_name", "example.com"))
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := f.count("DELETE " + azureHost + azureGroups + "/example.com/TXT/_acme-challenge"); n != 1 {
		t.Errorf("%d deletions in %q", n, f.asked)
	}
	if n := f.count("POST " + azureLogin); n != 1 {
		t.Errorf("%d tokens were asked for, but one lasts an hour", n)
	}
}

func TestAzureChoosesTheLongestPublicZone(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com", "sub.example.com")
	f.private = "www.sub.example.com"
	if err := f.open(t, "azure-dns", azureLogins()).Add(t.Context(), proof("_acme-challenge.www.sub.example.com")); err != nil {
		t.Fatal(err)
	}
	// Zones keep the letters that they were made with.
	if n := f.count("PUT " + azureHost + azureGroups + "/Sub.example.com/TXT/_acme-challenge.www"); n != 1 {
		t.Errorf("asked: %q", f.asked)
	}
	expectTXT(t, f.txtZones, "_acme-challenge.www.sub.example.com", proof("").Value)
}

func TestAzureWritesTheNameOfAZone(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "_acme-challenge.example.com") // delegated to keep the rest out of reach
	r := proof("_acme-challenge.example.com")
	if err := f.open(t, "azure-dns", azureLogins("zone_name", r.Name)).Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
}

func TestAzureRefusesNamesOutsideOfItsZone(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	err := f.open(t, "azure-dns", azureLogins("zone_name", "example.com")).Add(t.Context(), proof("_acme-challenge.notexample.com"))
	if failure := failed(t, err); !failure.Refused || len(f.asked) != 0 {
		t.Errorf("got %v after %q", err, f.asked)
	}
}

func TestAzureZoneThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	err := f.open(t, "azure-dns", azureLogins("zone_name", "example.net")).Add(t.Context(), proof("_acme-challenge.example.net"))
	if failure := failed(t, err, azureSecret); !failure.Refused || !strings.Contains(err.Error(), "ParentResourceNotFound") {
		t.Errorf("got %v", err)
	}
}

func TestAzureUsesAManagedIdentity(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"", azureClient} {
		f := serveAzure(t, "example.com")
		raw := map[string]any{"subscription_id": azureSub, "resource_group_name": azureGroup, "client_id": client}
		r := proof("_acme-challenge.example.com")
		if err := f.open(t, "azure-dns", raw).Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		expectTXT(t, f.txtZones, r.Name, r.Value)
		if got := f.query; got.Get("client_id") != client || got.Get("resource") != f.audience || got.Get("api-version") == "" {
			t.Errorf("the metadata service was asked %v", got)
		}
	}
}

func TestAzureSaysThatTheMachineHasNoIdentity(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	f.inject(fault{on: "GET " + metadataHost, status: 400, body: `{"error":"invalid_request","error_description":"Identity not found"}`})
	raw := map[string]any{"subscription_id": azureSub, "resource_group_name": azureGroup}
	err := f.open(t, "azure-dns", raw).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); !failure.Refused || !strings.Contains(err.Error(), "Identity not found") {
		t.Errorf("got %v", err)
	}
}

func TestAzureSecretIsWrong(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	const wrong = "a-wrong-client-secret"
	err := f.open(t, "azure-dns", azureLogins("client_secret", wrong)).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, wrong); !failure.Refused || !strings.Contains(err.Error(), "AADSTS7000215: Invalid client secret provided: [redacted]") {
		t.Errorf("got %v", err)
	}
}

func TestAzureSignInIsBusy(t *testing.T) {
	t.Parallel()
	f := serveAzure(t, "example.com")
	f.inject(fault{on: "POST " + azureLogin, status: 429, header: http.Header{"Retry-After": {"17"}}, body: `{"error":"temporarily_unavailable"}`})
	err := f.open(t, "azure-dns", azureLogins()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, azureSecret); failure.Refused || failure.RetryAfter != 17*time.Second {
		t.Errorf("got %#v", failure)
	}
}

func TestAzureClouds(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]struct{ login, host, audience string }{
		"AzurePublic":     {azureLogin, azureHost, "https://management.core.windows.net/"},
		"AzureChina":      {"login.chinacloudapi.cn", "management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/"},
		"AzureGovernment": {"login.microsoftonline.us", "management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/"},
	} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			f := serveAzure(t, "example.com")
			f.audience = want.audience
			f.hosts = map[string]http.HandlerFunc{want.login: f.login, want.host: f.manage}
			if err := f.open(t, "azure-dns", azureLogins("environment", environment)).Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
				t.Error(err)
			}
		})
	}
}
