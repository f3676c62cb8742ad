package domainmatch_test

import (
	"errors"
	"fmt"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
)

// A role's lists are parsed once; requests are parsed and checked against them.
func Example() {
	var entries []domainmatch.Entry
	for _, s := range []string{"example.com", "räksmörgås.se"} {
		entry, err := domainmatch.ParseEntry(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		entries = append(entries, entry)
	}
	policy := domainmatch.NewPolicy(entries, []domainmatch.Option{domainmatch.Subdomains})

	var names []domainmatch.Name
	for _, s := range []string{"www.Example.com.", "example.com", "*.xn--rksmrgs-5wao1o.se"} {
		name, err := domainmatch.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		names = append(names, name)
	}

	var rejection *domainmatch.Rejection
	if errors.As(policy.Check(names), &rejection) {
		for _, refused := range rejection.Names {
			fmt.Println(refused)
		}
	}
	// Output:
	// "example.com": it is a bare domain, and allowed_domain_options does not include bare_domains
	// "*.xn--rksmrgs-5wao1o.se" (*.räksmörgås.se): it is a wildcard name, and allowed_domain_options does not include wildcards
}

func ExampleParse() {
	name, err := domainmatch.Parse("*.Räksmörgås.se.")
	fmt.Println(name, name.IsWildcard(), name.Base(), err)

	_, err = domainmatch.Parse("https://example.com")
	fmt.Println(err)
	// Output:
	// *.xn--rksmrgs-5wao1o.se true xn--rksmrgs-5wao1o.se <nil>
	// "https://example.com" is not a DNS name for a certificate: label "https://example": character ':': a host name has only letters, digits, hyphens and dots, without scheme, port, path or spaces
}

// What the caller's identity fills in is one label's worth of text, or the entry
// matches nothing.
func ExamplePolicy_For() {
	entry, err := domainmatch.ParseEntry("{{identity.entity.name}}.users.example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := domainmatch.NewPolicy([]domainmatch.Entry{entry}, nil)
	name, err := domainmatch.Parse("alice.users.example.com")
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, entity := range []string{"alice", "bob", "*", "alice.users.example.com."} {
		own := policy.For(func(string) (string, bool) { return entity, true })
		fmt.Println(entity, own.Allows(name))
	}
	// Output:
	// alice true
	// bob false
	// * false
	// alice.users.example.com. false
}

// A CA refuses an order whose wildcard already covers another of its names.
func ExampleRedundant() {
	var names []domainmatch.Name
	for _, s := range []string{"example.com", "*.example.com", "www.example.com"} {
		name, err := domainmatch.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		names = append(names, name)
	}
	for _, overlap := range domainmatch.Redundant(names) {
		fmt.Printf("%s already covers %s\n", overlap.Wildcard, overlap.Name)
	}
	// Output:
	// *.example.com already covers www.example.com
}
