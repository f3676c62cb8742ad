package main

import (
	"math"
	"testing"

	"github.com/google/pprof/profile"
)

// TestInnermostKindCounts with stacks as they are found, the innermost function
// first.
func TestInnermostKindCounts(t *testing.T) {
	t.Parallel()
	const handler, engine = "google.golang.org/grpc.(*Server).handleStream", module + ".(*backend).work"
	for _, row := range []struct {
		why   string
		in    func(kind) []string
		stack []string
		want  string
	}{
		{"what is no kind's counts for its caller", inPlugin, []string{"runtime.memmove", "syscall.Write", "net/http.(*Client).Do", engine}, "requests to the CA"},
		{"a connection's cipher counts for who has it", inPlugin, []string{"crypto/internal/fips140/aes/gcm.Seal", "crypto/tls.(*Conn).Write", handler}, "gRPC between Vault and the plugin"},
		{"the same function serves another purpose in Vault", inVault, []string{"net/http.(*conn).serve"}, "requests of clients, tokens and policies"},
		{"allocation is not hidden in who allocates", inPlugin, []string{"runtime.mallocgc", "encoding/json.Unmarshal", engine}, "Go's memory and its collector"},
		{"the longest prefix decides: Vault's barrier is storage", inVault, []string{"github.com/hashicorp/vault/vault.(*AESGCMBarrier).Put", "github.com/hashicorp/vault/vault.(*Core).handle"}, "encrypted storage with raft and bbolt"},
		{"JSON of a signature is JSON", inPlugin, []string{"github.com/go-jose/go-jose/v4/json.Marshal", "github.com/go-jose/go-jose/v4.sign"}, "JSON"},
		{"signing is not a request", inPlugin, []string{"crypto/internal/fips140/nistec.p256Mul", "crypto/ecdsa.Sign", "net/http.do"}, "keys, signatures and certificates"},
		{"our own", inPlugin, []string{"strings.Cut", module + "/internal/order.Advance", handler}, "the engine itself"},
		{"nobody knows", inPlugin, []string{"main.main"}, others},
		{"no stack", inVault, nil, others},
	} {
		if got := kindOf(row.stack, row.in); got != row.want {
			t.Errorf("%s: %q, want %q", row.why, got, row.want)
		}
	}
}

// sampled is a profile in which functions were found for so many nanoseconds.
func sampled(took map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	for name, n := range took {
		line := profile.Line{Function: &profile.Function{Name: name}}
		p.Sample = append(p.Sample, &profile.Sample{Value: []int64{1, n}, Location: []*profile.Location{{Line: []profile.Line{line}}}})
	}
	return p
}

func TestSharesAreOfTime(t *testing.T) {
	t.Parallel()
	got, err := sharesOf(sampled(map[string]int64{"encoding/json.Marshal": 30, "encoding/json.Unmarshal": 30, "main.main": 20}), inPlugin)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got["JSON"]-0.75) > 1e-9 || math.Abs(got[others]-0.25) > 1e-9 || len(got) != 2 {
		t.Errorf("the shares are %v", got)
	}
}

func TestProfilesThatTellNothingAreRefused(t *testing.T) {
	t.Parallel()
	for why, p := range map[string]*profile.Profile{
		"no sample was taken":     sampled(nil),
		"no processor time in it": {SampleType: []*profile.ValueType{{Type: "inuse_space", Unit: "bytes"}}},
	} {
		if got, err := sharesOf(p, inPlugin); err == nil {
			t.Errorf("%s: %v", why, got)
		}
	}
}
