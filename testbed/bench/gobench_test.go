package main

import (
	"reflect"
	"testing"
)

const benchOutput = `goos: linux
pkg: vault-plugin-secrets-pki-external-ca/domainmatch
BenchmarkCheck/plain-10-2         	 5000000	       240.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkCheck/plain-10-2         	 5000000	       260.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkCheck/plain-10-2         	 5000000	       250.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkIssuance/names=1-2       	     200	  52442678 ns/op	         2.000 deletes/op	        16.96 puts/op
PASS
ok  	vault-plugin-secrets-pki-external-ca/domainmatch	1.0s
`

// TestParseGoBench wants the least of each unit, and only the number of
// processors gone from names that end in a number themselves.
func TestParseGoBench(t *testing.T) {
	t.Parallel()
	got, err := parseGoBench(benchOutput, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := figures{
		"Check/plain-10":   {"ns/op": 240, "B/op": 0, "allocs/op": 0},
		"Issuance/names=1": {"ns/op": 52442678, "deletes/op": 2, "puts/op": 16.96},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestParseGoBenchOnOneProcessor: there is no suffix then.
func TestParseGoBenchOnOneProcessor(t *testing.T) {
	t.Parallel()
	got, err := parseGoBench("BenchmarkCheck/plain-10 \t 100\t 5 ns/op\n", 1)
	if err != nil || got["Check/plain-10"]["ns/op"] != 5 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParseGoBenchRefuses(t *testing.T) {
	t.Parallel()
	for why, out := range map[string]string{
		"no benchmark matched":  "PASS\nok  \tpkg\t0.1s\n",
		"a figure is no number": "BenchmarkX-2 \t 100\t many ns/op\n",
	} {
		if got, err := parseGoBench(out, 2); err == nil {
			t.Errorf("%s: got %v and no error", why, got)
		}
	}
}

func TestFigureThatWasNotMeasured(t *testing.T) {
	t.Parallel()
	if _, err := (figures{"X": {"ns/op": 1}}).get("X", "puts/op"); err == nil {
		t.Error("no error")
	}
}
