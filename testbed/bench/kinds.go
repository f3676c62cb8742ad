package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// kind is a kind of work, recognized by the functions that do it: what their
// names begin with, in either process. The same function may serve another
// purpose in the other one.
type kind struct {
	name          string
	plugin, vault []string
	acme          bool // whether every client of a CA has this work, a bare loop too
}

// What the runtime does in place of the code that needs it, as copying memory,
// counts as the work of its caller.
var (
	memoryWork = []string{
		"runtime.gc", "runtime.mallocgc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.growslice", "runtime.newobject",
		"runtime.makeslice", "runtime.(*mheap)", "runtime.(*mcache)", "runtime.(*mcentral)",
	}
	goroutineWork = []string{
		"runtime.mcall", "runtime.schedule", "runtime.findRunnable", "runtime.mstart", "runtime.sysmon", "runtime.ready", "runtime.goready",
		"runtime.newproc", "runtime.morestack", "runtime.newstack", "runtime.startTheWorld", "runtime.stopTheWorld", "runtime.wakep",
		"runtime.goexit0", "runtime.park_m", "runtime.gopreempt_m", "runtime.asyncPreempt", "runtime.timeSleep", "runtime.netpoll",
	}
)

// keyWork is what is signed, verified and generated. TLS and its ciphers count as
// the work of whoever has the connection: both HTTP and gRPC have TLS.
var keyWork = []string{
	"crypto/ecdsa", "crypto/rsa", "crypto/elliptic", "crypto/x509", "crypto/ed25519", "crypto/ecdh", "math/big",
	"crypto/internal/fips140/ecdsa", "crypto/internal/fips140/ecdh", "crypto/internal/fips140/nistec", "crypto/internal/fips140/rsa",
	"crypto/internal/fips140/bigmod", "crypto/internal/fips140/edwards25519", "crypto/internal/fips140/mlkem",
	"crypto/internal/fips140/ed25519", "github.com/go-jose/",
}

var (
	jsonWork    = []string{"encoding/json", "github.com/go-jose/go-jose/v4/json", "github.com/hashicorp/vault/sdk/helper/jsonutil", "github.com/mitchellh/mapstructure", "github.com/go-viper/mapstructure"}
	loggingWork = []string{"github.com/hashicorp/go-hclog", "log."}
	pluginWork  = []string{"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/hashicorp/vault/sdk/plugin", "github.com/hashicorp/go-plugin", "github.com/hashicorp/yamux"}
)

// kinds are all that is told apart. Of several prefixes that fit the longest
// decides.
var kinds = []kind{
	{name: "gRPC between Vault and the plugin", plugin: pluginWork, vault: pluginWork},
	{name: "encrypted storage with raft and bbolt", vault: []string{
		"github.com/hashicorp/raft", "github.com/hashicorp/vault/physical", "go.etcd.io/bbolt", "github.com/hashicorp/vault/vault.(*AESGCMBarrier)",
		"github.com/hashicorp/vault/vault.(*BarrierView)", "github.com/hashicorp/vault/vault.(*ForwardedWriter)",
		"github.com/hashicorp/vault/sdk/physical", "github.com/hashicorp/go-raftchunking",
	}},
	{name: "requests of clients, tokens and policies", vault: []string{"net/http", "github.com/hashicorp/vault/http", "github.com/hashicorp/vault/vault"}},
	{name: "requests to the CA", plugin: []string{"net/http", "github.com/go-acme/lego", module + "/internal/acmeclient"}, acme: true},
	{name: "keys, signatures and certificates", plugin: keyWork, vault: keyWork, acme: true},
	{name: "JSON", plugin: jsonWork, vault: jsonWork},
	{name: "logging", plugin: loggingWork, vault: loggingWork},
	{name: "the engine itself", plugin: []string{module, "github.com/hashicorp/vault/sdk/framework", "github.com/hashicorp/vault/sdk/logical"}},
	{name: "Go's memory and its collector", plugin: memoryWork, vault: memoryWork},
	{name: "Go's goroutines", plugin: goroutineWork, vault: goroutineWork},
}

// others are functions of no kind.
const others = "others"

// module is how names of the plugin's functions begin.
const module = "vault-plugin-secrets-pki-external-ca"

func inPlugin(k kind) []string { return k.plugin }
func inVault(k kind) []string  { return k.vault }

// kindOf is the kind of the innermost function that has one.
func kindOf(functions []string, in func(kind) []string) string {
	for _, function := range functions {
		found, longest := "", 0
		for _, k := range kinds {
			for _, prefix := range in(k) {
				if len(prefix) > longest && strings.HasPrefix(function, prefix) {
					found, longest = k.name, len(prefix)
				}
			}
		}
		if longest > 0 {
			return found
		}
	}
	return others
}

// shares are the parts of a process's time by kind, which make 1 together.
type shares map[string]float64

// sharesOf sorts the samples of a profile.
func sharesOf(p *profile.Profile, in func(kind) []string) (shares, error) {
	at := slices.IndexFunc(p.SampleType, func(v *profile.ValueType) bool { return v.Type == "cpu" })
	if at < 0 {
		return nil, fmt.Errorf("the profile tells nothing of processor time")
	}
	out, whole := shares{}, 0.0
	for _, s := range p.Sample {
		took := float64(s.Value[at])
		out[kindOf(stack(s), in)] += took
		whole += took
	}
	if whole == 0 {
		return nil, fmt.Errorf("the profile is empty")
	}
	for name := range out {
		out[name] /= whole
	}
	return out, nil
}

// stack is the names of the functions of a sample, the innermost first.
func stack(s *profile.Sample) []string {
	var out []string
	for _, location := range s.Location {
		for _, line := range location.Line {
			if line.Function != nil {
				out = append(out, line.Function.Name)
			}
		}
	}
	return out
}
