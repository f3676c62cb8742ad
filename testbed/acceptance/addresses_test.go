package acceptance

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// withIPv6 serves the site's files on ::1 too, and tells whether the machine can.
func (s site) withIPv6(t *testing.T) bool {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(s.Pebble.HTTPPort)))
	if err != nil {
		return false
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(s.Web.Folder))}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return true
}

// TestAddresses types what the document about IP addresses does. The CA connects to the addresses.
func TestAddresses(t *testing.T) {
	t.Parallel()
	role := unique()
	path := mount + "/role/" + role
	shared.vault(t, "write", path, "acme_account_name=pebble", "allowed_ip_ranges=127.0.0.0/8,::1/128", "profile=default")
	addresses := []string{"127.0.0.1"}
	if shared.withIPv6(t) {
		addresses = append(addresses, "::1")
	}
	wish := strings.Join(addresses, ",")
	id := shared.vault(t, "write", "-field=order_id", path+"/new-order", "identifiers="+wish)
	o := order{shared, role, id}
	o.await(t, stateAwaiting)
	for _, address := range addresses {
		challenge := func(field string) string {
			return shared.vault(t, "read", "-field="+field, path+"/order/"+id+"/challenge", "identifier="+address, "challenge_type=http-01")
		}
		if err := shared.Web.Publish(challenge("challenge_token"), challenge("challenge_auth")); err != nil {
			t.Fatal(err)
		}
		shared.vault(t, "write", path+"/order/"+id+"/fulfilled-challenge", "identifier="+address, "challenge_type=http-01")
	}
	o.await(t, stateCompleted)
	if leaf := shared.verified(t, o.read(t, o.path()+"/fetch-cert"), addresses...); leaf.Subject.CommonName != "" {
		t.Errorf("the common name is %q", leaf.Subject.CommonName)
	}
	shared.vault(t, "read", path+"/cached", "identifiers="+wish)
	refused := fields{"identifiers": "192.0.2.1,www.example.org,[::1]"}
	shared.call(t, "POST", "role/"+role+"/new-order", refused).expect(t, 400, "[::1]", "without brackets")
	refused = fields{"identifiers": "192.0.2.1,www.example.org"}
	shared.call(t, "POST", "role/"+role+"/new-order", refused).expect(t, 400, "192.0.2.1", "allowed_ip_ranges", "www.example.org", "allowed_domains")
}
