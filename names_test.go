package pkiexternalca

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// known makes entities that the host knows. The id of an entity is its name.
func known(entities ...*logical.Entity) option {
	return func(m *mount) {
		m.system.entities = map[string]*logical.Entity{}
		m.system.groups = map[string][]*logical.Group{}
		for _, e := range entities {
			m.system.entities[e.ID] = e
		}
	}
}

// member puts an entity into groups.
func member(entity string, groups ...*logical.Group) option {
	return func(m *mount) { m.system.groups[entity] = groups }
}

// TestTemplates: what a caller may order follows from who the caller is.
func TestTemplates(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t,
		known(
			&logical.Entity{
				ID: "alice", Name: "Alice", Metadata: map[string]string{"team": "blue", "site": "Zürich"},
				Aliases: []*logical.Alias{{MountAccessor: "auth_k8s_1", Name: "ns1", Metadata: map[string]string{"app": "shop"}}},
			},
			&logical.Entity{ID: "bob", Name: "bob"},
		),
		member("alice", &logical.Group{ID: "g-1", Name: "staff", Metadata: map[string]string{"dept": "it"}}, &logical.Group{ID: "g-2", Name: "admins"}),
		member("bob", &logical.Group{ID: "g-3", Name: "guests"}),
	)
	for _, row := range []struct {
		entry, name string
		alice, bob  bool
	}{
		{"{{identity.entity.name}}.users.example.com", "alice.users.example.com", true, false},
		{"{{identity.entity.name}}.users.example.com", "bob.users.example.com", false, true},
		{"{{identity.entity.id}}.example.com", "alice.example.com", true, false},
		{"{{ identity.entity.name }}-db.example.com", "alice-db.example.com", true, false},
		{"www.{{identity.entity.metadata.team}}.example.com", "www.blue.example.com", true, false},
		{"www.{{identity.entity.metadata.site}}.example.com", "www.zürich.example.com", true, false},
		{"{{identity.entity.aliases.auth_k8s_1.name}}.example.com", "ns1.example.com", true, false},
		{"{{identity.entity.aliases.auth_k8s_1.metadata.app}}.{{identity.entity.name}}.example.com", "shop.alice.example.com", true, false},
		{"{{identity.groups.names.staff}}.example.com", "staff.example.com", true, false},
		{"{{identity.groups.names.staff.name}}.example.com", "staff.example.com", true, false},
		{"{{identity.groups.names.guests}}.example.com", "guests.example.com", false, true},
		{"{{identity.groups.ids.g-1.metadata.dept}}.example.com", "it.example.com", true, false},
		{"{{identity.groups.names.nobodys}}.example.com", "nobodys.example.com", false, false},
		{"{{identity.entity.name}}.users.example.com", "x.alice.users.example.com", true, false},   // with subdomains
		{"{{identity.entity.name}}.users.example.com", "*.alice.users.example.com", true, false},   // with wildcards
		{"*.{{identity.entity.name}}.users.example.com", "a.alice.users.example.com", true, false}, // with globs
		{"{{identity.entity.name}}.users.example.com", "users.example.com", false, false},
		{"{{identity.entity.name}}.users.example.com", "xalice.users.example.com", false, false},
	} {
		m.write("role/web", fields{
			"acme_account_name": "ca", "allowed_domains": []string{row.entry}, "allowed_domain_options": "subdomains,wildcards,globs",
		})
		for who, allowed := range map[string]bool{"alice": row.alice, "bob": row.bob, "": false, "nobody": false} {
			_, status, problem := m.as(who).send(logical.UpdateOperation, newOrder, fields{"identifiers": row.name})
			if want := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[allowed]; status != want {
				t.Errorf("%s as %q with %s: status %d (%s), want %d", row.name, who, row.entry, status, problem, want)
			}
		}
	}
}

// TestHostileIdentities: what is filled in is data. A value that could be more
// makes its entry match nothing at all.
func TestHostileIdentities(t *testing.T) {
	t.Parallel()
	wishes := []string{
		"users.example.com", "x.users.example.com", "*.users.example.com", "evil.example", "x.evil.example",
		"a.b.users.example.com", "xn--a.users.example.com", "example.com",
		"web-.evil.example", "web-x.evil.example",
	}
	values := []string{
		"*", "**", "a*", "*.x", "?", "[a-z]", "{a,b}", "x.y", ".", "..", "x.", ".x", "evil.example.", "evil.example/",
		"a b", " ", "a\tb", "a\nb", "a\x00", "", "-", "-a", "a-", "_a", "a_b", "a@b", "x:443", "xn--", "xn--a", "a\u3002b", "ａ", "\u200d",
		"evil\uff0eexample", "{{identity.entity.id}}", strings.Repeat("a", 64), "%2e", `\`, `"`, "'", "\u202eabc", "\xff", "İ",
	}
	entities := make([]*logical.Entity, len(values))
	for i, value := range values {
		entities[i] = &logical.Entity{ID: strconv.Itoa(i), Name: value, Metadata: map[string]string{"m": value}}
	}
	m, ca := withFakeCA(t, known(entities...))
	m.withRole(fields{
		"allowed_domains": []string{
			"{{identity.entity.name}}.users.example.com", "*.{{identity.entity.metadata.m}}.example.com", "web-{{identity.entity.name}}.evil.example",
		},
		"allowed_domain_options": "bare_domains,subdomains,wildcards,globs",
	})
	for i, value := range values {
		for _, name := range wishes {
			_, status, _ := m.as(strconv.Itoa(i)).send(logical.UpdateOperation, newOrder, fields{"identifiers": []string{name}})
			if status != http.StatusBadRequest {
				t.Errorf("an identity %q may order %s: status %d", value, name, status)
			}
		}
	}
	m.leavesNoOrder(ca)
}

// TestOrdersBelongToSomebody: where names are allowed by identity, everything that
// is done with an order under its role is for those who could order it now.
func TestOrdersBelongToSomebody(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t, known(&logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}))
	m.withRole(fields{"allowed_domains": "{{identity.entity.name}}.example.com"})
	alice := m.as("alice")
	id, _ := alice.obtain(fields{"identifiers": "alice.example.com"})
	waiting := alice.order(fields{"identifiers": "alice.example.com,www.alice.example.com"})
	alice.awaitStatus("web", waiting, "awaiting-challenge-fulfillment")

	challenge := fields{"identifier": "alice.example.com", "challenge_type": "http-01"}
	for _, row := range []struct {
		op   logical.Operation
		path string
		body fields
	}{
		{logical.ReadOperation, "role/web/order/" + id + "/status", nil},
		{logical.ReadOperation, "role/web/order/" + id + "/challenge", challenge},
		{logical.ReadOperation, "role/web/order/" + id + "/challenges", challenge},
		{logical.UpdateOperation, "role/web/order/" + waiting + "/fulfilled-challenge", challenge},
		{logical.ReadOperation, "role/web/order/" + id + "/fetch-cert", nil},
		{logical.ReadOperation, cached, fields{"identifiers": "alice.example.com"}},
		{logical.UpdateOperation, "role/web/order/" + id + "/revoke", nil},
	} {
		for _, who := range []string{"bob", "", "nobody"} {
			resp, status, problem := m.as(who).send(row.op, row.path, row.body)
			if status != http.StatusForbidden || resp != nil && resp.Data["certificate"] != nil {
				t.Errorf("%s %s as %q: status %d (%s), want 403", row.op, row.path, who, status, problem)
			}
		}
		alice.ok(row.op, row.path, row.body)
	}
	bob := m.as("bob")
	bob.read("lookup/order/"+id, nil)
	if listed := [][]string{bob.list("lookup/orders", nil), bob.list("lookup/orders/recent", nil)}; len(listed[0]) != 2 || len(listed[1]) != 2 {
		t.Errorf("operators see the orders %q", listed)
	}
}

// TestOrdersOfEverybody: names that a role allows to all its users belong to all
// of them, even if other entries of the role are templates.
func TestOrdersOfEverybody(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t, known(&logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}))
	m.withRole(fields{"allowed_domains": "shared.example.com,{{identity.entity.name}}.example.com"})
	shared, _ := m.as("alice").obtain(fields{"identifiers": "shared.example.com"})
	mixed, _ := m.as("alice").obtain(fields{"identifiers": "shared.example.com,alice.example.com"})
	for _, who := range []string{"bob", ""} {
		m.as(who).read("role/web/order/"+shared+"/fetch-cert", nil)
		m.as(who).read(cached, fields{"identifiers": "shared.example.com"})
		m.as(who).refused(http.StatusForbidden, logical.ReadOperation, "role/web/order/"+mixed+"/fetch-cert", nil, "alice.example.com")
	}
}

// TestIdentityNow: who has lost a name has lost what was ordered for it.
func TestIdentityNow(t *testing.T) {
	t.Parallel()
	alice := &logical.Entity{ID: "alice", Name: "alice", Metadata: map[string]string{"team": "blue"}}
	m, _ := withFakeCA(t, known(alice))
	m.withRole(fields{"allowed_domains": "{{identity.entity.metadata.team}}.example.com"})
	id, _ := m.as("alice").obtain(fields{"identifiers": "blue.example.com"})
	alice.Metadata = map[string]string{"team": "red"}
	m.as("alice").refused(http.StatusForbidden, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "blue.example.com")
	m.as("alice").refused(http.StatusForbidden, logical.ReadOperation, cached, fields{"identifiers": "blue.example.com"}, "blue.example.com")
	m.as("alice").refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"identifiers": "blue.example.com"}, "blue.example.com")
}

// TestOwnershipOutlivesTheRole: what was ordered through an identity stays that
// identity's, though the role loses its templates or is made anew.
func TestOwnershipOutlivesTheRole(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t, known(&logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}))
	m.withRole(fields{"allowed_domains": "{{identity.entity.name}}.users.example.com,www.example.com"})
	id, _ := m.as("alice").obtain(fields{"identifiers": "alice.users.example.com"})
	change := func() { m.write("role/web", fields{"allowed_domains": "www.example.com"}) }
	for _, change := range []func(){change, func() {
		m.delete("role/web", nil)
		m.withRole(fields{"allowed_domains": "www.example.com"})
	}} {
		change()
		for _, who := range []string{"alice", "bob"} {
			m.as(who).refused(http.StatusForbidden, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "not yours")
			m.as(who).refused(http.StatusForbidden, logical.UpdateOperation, "role/web/order/"+id+"/revoke", nil, "not yours")
		}
	}
	m.read("lookup/order/"+id, nil)
}
