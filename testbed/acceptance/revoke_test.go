package acceptance

import (
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		code   int // RFC 5280, section 5.3.1
	}{
		{"superseded", 4},
		{"key-compromise", 1},
		{"cessation_of_operation", 5},
		{"unspecified", 0},
		{"", 0}, // left out: unspecified
	} {
		t.Run("reason "+row.reason, func(t *testing.T) {
			t.Parallel()
			role, domain := shared.newRole(t, nil)
			o, cert := shared.issue(t, role, domain)
			body := fields{"reason": row.reason}
			if row.reason == "" {
				body = fields{}
			}
			o.write(t, o.path()+"/revoke", body)
			o.await(t, stateRevoked)
			got, err := shared.Pebble.CertificateStatus(t.Context(), cert.text(t, "serial_number"))
			if err != nil {
				t.Fatal(err)
			}
			if want := (testbed.CertificateStatus{Status: "Revoked", Reason: row.code}); got != want {
				t.Errorf("the CA says %+v, want %+v", got, want)
			}
			if found := shared.read(t, "lookup/cert/"+cert.text(t, "serial_number")); found["order_status"] != stateRevoked {
				t.Errorf("lookup says %v", found)
			}
			o.call(t, "GET", "role/"+role+"/cached?identifiers="+domain, nil).expect(t, 404)
		})
	}
}

func TestRevokeOnlyWhatWasIssued(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	o.call(t, "POST", o.path()+"/revoke", fields{"reason": "superseded"}).expect(t, 409, stateAwaiting)
	o.complete(t)
	o.call(t, "POST", o.path()+"/revoke", fields{"reason": "bored"}).expect(t, 400, "reason", "superseded")
	o.await(t, stateCompleted)
}
