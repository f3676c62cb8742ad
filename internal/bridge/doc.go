// Package bridge tests the plugin as a process: it runs the program that is
// shipped, speaks to it the way Vault does, and gives it a storage and a system
// view of its own. What crosses the protocol, and what does not, shows only
// here: statuses of errors, types of values, contexts that end, processes that
// are killed.
//
// There is nothing in it but tests.
package bridge
