package pkiexternalca

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

func TestAccountThatIsNotThere(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.refused(http.StatusNotFound, logical.ListOperation, "config/acme-account", nil)
	m.refused(http.StatusNotFound, logical.ListOperation, "config/acme-account/", nil)
	m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/none", nil, `"none"`)
	m.refused(http.StatusNotFound, logical.UpdateOperation, "config/acme-account/none/rotate-key", nil, `"none"`)
	m.delete("config/acme-account/none", nil)
}

// TestAccountUpdate: what the CA has bound to the account is fixed; the rest may
// change. Clients that describe a state (Terraform) send everything each time.
func TestAccountUpdate(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	m := newMount(t)
	const path = "config/acme-account/main"
	made := with(accountAt(ca.DirectoryURL, ca.TrustedCA), fields{"key_type": "ec-384"})
	before := m.write(path, made)

	for _, row := range []struct {
		reason string
		body   fields
		names  []string
	}{
		{"another CA is another account", fields{"directory_url": "https://ca.example/dir"}, []string{"directory_url", "fixed", "https://ca.example/dir"}},
		{"a key is changed by rotate-key", fields{"key_type": "rsa-2048"}, []string{"key_type", "ec-384", "rsa-2048"}},
		{"a binding belongs to the registration", fields{"eab_kid": "kid-1", "eab_key": eabKey}, []string{"eab_kid"}},
		{"an account keeps a contact", fields{"email_contacts": []string{}}, []string{"email_contacts"}},
		{"no address", fields{"email_contacts": "nobody"}, []string{"email_contacts", "nobody"}},
		{"no certificate", fields{"trusted_ca": "nothing"}, []string{"trusted_ca"}},
		{
			"one mistake stops every change",
			fields{"email_contacts": "c@example.com", "key_type": "rsa-2048"},
			[]string{"key_type"},
		},
		{"all of them at once", fields{"directory_url": "https://x.example/", "key_type": "rsa-2048", "eab_kid": "k"}, []string{"directory_url", "key_type", "eab_kid"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := m.in(t)
			m.refused(http.StatusBadRequest, logical.UpdateOperation, path, row.body, row.names...)
			if after := m.read(path, nil); !sameJSON(t, before, after) {
				t.Errorf("a refused change made %v of %v", after, before)
			}
		})
	}
	for _, row := range []struct {
		reason string
		body   fields
	}{
		{"nothing", nil},
		{"everything again", made},
		{"null is not sent", fields{"directory_url": nil, "key_type": nil, "trusted_ca": nil}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			after := m.in(t).write(path, row.body)
			if !sameJSON(t, with(before, fields{"last_updated_date": nil}), with(after, fields{"last_updated_date": nil})) {
				t.Errorf("sending %s changed %v to %v", row.reason, before, after)
			}
		})
	}
}

func TestAccountContacts(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	m := newMount(t)
	const path = "config/acme-account/main"
	m.write(path, accountAt(ca.DirectoryURL, ca.TrustedCA))
	changed := m.write(path, fields{"email_contacts": []string{"mailto:c@example.com", "a@example.com"}})
	if got := changed["email_contacts"]; !slices.Equal(got.([]string), []string{"c@example.com", "a@example.com"}) {
		t.Errorf("email_contacts are %q", got)
	}
	if at := accountAtPebble(ca, changed); !slices.Equal(at.Contacts, []string{"mailto:c@example.com", "mailto:a@example.com"}) {
		t.Errorf("the CA has the contacts %q", at.Contacts)
	}

	ca.HTTP.Close()
	m.refused(http.StatusBadGateway, logical.UpdateOperation, path, fields{"email_contacts": "d@example.com"}, "email_contacts")
	if after := m.read(path, nil); !sameJSON(t, changed, after) {
		t.Errorf("contacts that the CA was not told of were stored: %v", after)
	}
}

// TestAccountContactsRefused: the CA is asked first, so both sides stay as they were.
func TestAccountContactsRefused(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	const path = "config/acme-account/main"
	before := m.write(path, accountAt(ca.DirectoryURL, ca.TrustedCA))
	ca.On(acmetest.Account, acmetest.Problem(http.StatusBadRequest, acme.Namespace+"invalidContact", "we know this one"))
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, fields{"email_contacts": "d@example.com"}, "email_contacts", "we know this one")
	if after := m.read(path, nil); !sameJSON(t, before, after) {
		t.Errorf("refused contacts were stored: %v", after)
	}
}

// TestAccountTrustedCA: it comes back byte for byte, is used from then on, and
// can be mended without the CA, which cannot be reached with the wrong one.
func TestAccountTrustedCA(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	const path = "config/acme-account/ca"

	block, _ := pem.Decode(ca.TrustedCA)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	odd := "subject=" + cert.Subject.String() + "\r\n" + strings.ReplaceAll(string(ca.TrustedCA), "\n", "\r\n") + "\n\n"
	if got := m.write(path, fields{"trusted_ca": odd})["trusted_ca"]; got != odd {
		t.Errorf("trusted_ca came back as %q, sent was %q", got, odd)
	}

	m.write(path, fields{"trusted_ca": string(selfSigned(t))})
	id := m.order(fields{"identifiers": "www.example.com"})
	eventually(t, "the order to fail for want of trust", func() bool {
		why, _ := m.read("role/web/order/"+id+"/status", nil)["last_error"].(string)
		return strings.Contains(why, "trusted CA")
	})
	m.write(path, fields{"trusted_ca": odd})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
}

func TestAccountsAreListedInOrder(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	for _, name := range []string{"b", "a.with-dots_and-more", "c"} {
		m.write("config/acme-account/"+name, accountAt(ca.DirectoryURL, ca.TrustedCA))
	}
	if got := m.list("config/acme-account/", nil); !slices.Equal(got, []string{"a.with-dots_and-more", "b", "c"}) {
		t.Errorf("the list is %q", got)
	}
}
