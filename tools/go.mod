// The programs that "make lint" and "make fmt" run, at fixed versions, in a module of their own so that they
// stay out of the plugin's dependencies.
//
// govulncheck is not among them: it reads its database from the network on every run, and the tests of a
// clean clone must not depend on that. Run it by hand before a release.
module vault-plugin-secrets-pki-external-ca/tools

go 1.26.0

tool (
	honnef.co/go/tools/cmd/staticcheck
	mvdan.cc/gofumpt
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	mvdan.cc/gofumpt v0.12.0 // indirect
)
