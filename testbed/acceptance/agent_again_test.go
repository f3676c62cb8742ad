package acceptance

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestAgentAsksAgain holds when the agent asks for a certificate again, and what it takes then.
func TestAgentAsksAgain(t *testing.T) {
	t.Parallel()
	names := []string{"nine.example.com", "rest.example.com", "early.example.com", "demanding.example.com", "old.example.com"}
	profiles := map[string]time.Duration{"short": 20 * time.Second, "minute": time.Minute, "hour": time.Hour}
	s := newAgentSite(t, testbed.PebbleOptions{Profiles: profiles}, names...)
	for profile := range profiles {
		s.write(t, "role/"+profile, fields{
			"acme_account_name": "pebble", "allowed_domains": "example.com", "allowed_domain_options": "subdomains", "profile": profile,
		})
	}
	after := func(share float64) fields {
		return fields{"template_config": fields{"lease_renewal_threshold": share}}
	}
	for name, test := range map[string]func(*testing.T){
		// pkiCert reads the file that it has rendered, and lets Vault alone until nine tenths of the life are over.
		"pkiCert at nine tenths of the life": func(t *testing.T) {
			r := s.render(t, map[string]string{"out": bundle("short", names[0])}, nil)
			first, second := r.replaced(t, "out")
			notBefore(t, first, second, 0.9)
		},
		// secret knows how long the certificate is valid from when it got it. A twentieth more or less is chance.
		"secret at nine tenths of the rest": func(t *testing.T) {
			r := s.render(t, map[string]string{"out": secret("short", names[1], "{{ .Data.certificate }}")}, nil)
			first, second := r.replaced(t, "out")
			notBefore(t, first, second, 0.8)
		},
		// An agent that asks before the certificate is due gets the one that it has, and takes that for an error.
		"too early": func(t *testing.T) {
			r := s.render(t, map[string]string{"out": bundle("hour", names[2])}, after(0.003))
			r.says(t, "needs renewal", 1)
			if n := s.certified(names[2]); n != 1 {
				t.Errorf("the CA was asked for %d certificates, want 1", n)
			}
		},
		// It has to say what it wants: more of the life than is left when it asks.
		"early with a demand": func(t *testing.T) {
			r := s.render(t, map[string]string{"out": bundle("minute", names[3], "min_validity_percentage=85")}, after(0.2))
			first, second := r.replaced(t, "out")
			notBefore(t, first, second, 0.2)
		},
		// What is that old it would not take, however little was demanded. So it is not given it.
		"started late": func(t *testing.T) {
			cert := s.write(t, "role/short/issue", fields{"identifiers": names[4]})
			first := s.verified(t, cert, names[4])
			past(t, first, 0.9)
			r := s.render(t, map[string]string{"out": bundle("short", names[4], "min_validity_duration=1s")}, nil)
			second, err := testbed.ParseCertificate(r.rendered(t, "out"))
			if err != nil || second.Equal(first) || strings.Contains(r.log(t), "needs renewal") {
				t.Errorf("the agent was given the old certificate first (%v): %s", err, r.log(t))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// replaced waits until a file that has been rendered holds another certificate.
func (r *rendering) replaced(t *testing.T, name string) (first, second *x509.Certificate) {
	t.Helper()
	first, err := testbed.ParseCertificate(r.rendered(t, name))
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, func() error {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return err
		}
		if second, err = testbed.ParseCertificate(string(content)); err == nil && second.Equal(first) {
			err = errors.New("the certificate is still the first")
		}
		return err
	})
	return first, second
}

// past waits until a share of a certificate's life is over.
func past(t *testing.T, c *x509.Certificate, share float64) {
	t.Helper()
	at := c.NotBefore.Add(time.Duration(share * float64(c.NotAfter.Sub(c.NotBefore))))
	err := testbed.Until(withPatience(t), func(context.Context) error {
		if now := time.Now(); now.Before(at) {
			return fmt.Errorf("it is %s, and not yet %s", now, at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// notBefore checks that a certificate was ordered no earlier than when a share of the life of the one before was
// over, less a second, in which the CA rounds.
func notBefore(t *testing.T, first, second *x509.Certificate, share float64) {
	t.Helper()
	life := first.NotAfter.Sub(first.NotBefore)
	if at := first.NotBefore.Add(time.Duration(share*float64(life)) - time.Second); second.NotBefore.Before(at) {
		t.Errorf("the certificate of %s was replaced at %s, before %s", first.NotBefore, second.NotBefore, at)
	}
}
