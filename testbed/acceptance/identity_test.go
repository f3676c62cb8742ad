package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// personPolicy is a file with a policy for everything about roles.
func personPolicy(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "person.hcl")
	policy := `path "pki-external-ca/role/*" { capabilities = ["create", "read", "update"] }`
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// person makes an entity with a token of its own. Names are taken from the identity that Vault keeps.
func person(t *testing.T, name, metadata string) (token string) {
	t.Helper()
	entity := shared.vault(t, "write", "-field=id", "identity/entity", "name="+name, "metadata=team="+metadata)
	var mounts map[string]struct{ Accessor string }
	if err := json.Unmarshal([]byte(shared.vault(t, "auth", "list", "-format=json")), &mounts); err != nil {
		t.Fatal(err)
	}
	shared.vault(t, "write", "identity/entity-alias", "name="+name, "canonical_id="+entity, "mount_accessor="+mounts["token/"].Accessor)
	shared.vault(t, "policy", "write", "person", personPolicy(t))
	shared.vault(t, "write", "auth/token/roles/"+name, "allowed_entity_aliases="+name, "allowed_policies=person")
	return shared.vault(t, "token", "create", "-field=token", "-role="+name, "-entity-alias="+name, "-policy=person")
}

// TestTemplatedDomains lets everybody have names of their own, and keeps them from each other's.
func TestTemplatedDomains(t *testing.T) {
	t.Parallel()
	alice, bob := unique(), unique()
	aliceToken, bobToken := person(t, alice, "*"), person(t, bob, "web")
	role := unique()
	shared.write(t, "role/"+role, fields{
		"acme_account_name":      "pebble",
		"allowed_domains":        "{{identity.entity.name}}.users.example.com,{{identity.entity.metadata.team}}.teams.example.com",
		"allowed_domain_options": "bare_domains,globs,wildcards",
	})
	ask := func(token, name string) answer {
		return shared.callAs(t, token, "POST", "role/"+role+"/new-order", fields{"identifiers": name})
	}
	hers := alice + ".users.example.com"
	made := ask(aliceToken, hers)
	made.expect(t, 200)
	ask(bobToken, hers).expect(t, 400, hers)
	ask(shared.Vault.Token, hers).expect(t, 400, hers) // root is nobody
	ask(bobToken, "web.teams.example.com").expect(t, 200)
	ask(aliceToken, "web.teams.example.com").expect(t, 400) // her team is a star, which is data and no glob

	o := order{shared, role, made.Data.text(t, "order_id")}
	for _, path := range []string{"/status", "/challenge?challenge_type=http-01&identifier=" + hers, "/fetch-cert"} {
		shared.callAs(t, bobToken, "GET", o.path()+path, nil).expect(t, 403)
	}
	o.completeAs(t, aliceToken, hers)
	shared.callAs(t, aliceToken, "GET", o.path()+"/fetch-cert", nil).expect(t, 200)
	shared.callAs(t, aliceToken, "GET", "role/"+role+"/cached?identifiers="+hers, nil).expect(t, 200)
	shared.callAs(t, bobToken, "GET", o.path()+"/fetch-cert", nil).expect(t, 403)
	shared.callAs(t, bobToken, "GET", "role/"+role+"/cached?identifiers="+hers, nil).expect(t, 403)
	shared.callAs(t, bobToken, "POST", o.path()+"/revoke", fields{"reason": "superseded"}).expect(t, 403)
}

// completeAs carries an order to its certificate as the owner of a token.
func (o order) completeAs(t *testing.T, token, name string) {
	t.Helper()
	o.awaitAs(t, token, stateAwaiting)
	c := o.callAs(t, token, "GET", o.path()+"/challenge?challenge_type=http-01&identifier="+name, nil)
	if err := o.Web.Publish(c.Data.text(t, "challenge_token"), c.Data.text(t, "challenge_auth")); err != nil {
		t.Fatal(err)
	}
	o.callAs(t, token, "POST", o.path()+"/fulfilled-challenge", fields{"identifier": name, "challenge_type": "http-01"}).expect(t, 204)
	o.awaitAs(t, token, stateCompleted)
}
