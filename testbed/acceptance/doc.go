// Package acceptance tests the plugin the way its users meet it: inside a real Vault server, through the
// vault command line and HTTP, against a real ACME CA that validates over a real web server.
//
// The package has no code but its tests. They are the contract with clients, so they know only what a client
// can see: requests, answers, and what the CA says of its certificates. One Vault and one CA serve all
// tests, each of which uses names, roles and accounts of its own; tests that break a server start another.
package acceptance
