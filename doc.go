// Package pkiexternalca is a Vault secrets engine that gets certificates from
// external certificate authorities over ACME (RFC 8555) and hands them to
// applications.
//
// The package is the Vault face: paths, storage, life cycle. A path file says
// what a client may send and what comes back; what happens is in internal/:
//
//   - internal/order: the life of an order, a table of states
//   - internal/account: accounts and the change of their keys
//   - internal/acmeclient: the requests of RFC 8555
//   - internal/engine: when what is worked on, and by how many
//   - internal/field: the fields of the API, written once
//   - internal/store: typed records in Vault's storage, and those kept in memory
//   - internal/limit, internal/renewal, internal/retention: when to order, to
//     renew, to delete; arithmetic alone
//   - internal/dnsprovider, internal/dns01, internal/http01: proving names
//   - domainmatch, internal/identifier: which names and addresses a role may order
//
// A request validates, stores, wakes the engine and answers. The engine takes
// each order from state to state, stores it before others hear of it, and goes on
// after a crash where the last stored step ended.
package pkiexternalca

// Version is the version of the plugin, set at build:
// -ldflags "-X vault-plugin-secrets-pki-external-ca.Version=v1.2.3".
var Version = "v0.0.0-dev"
