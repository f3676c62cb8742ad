package main

import (
	"strings"
	"testing"
	"time"
)

func TestProfileTableIsOfBothProcesses(t *testing.T) {
	t.Parallel()
	p := profiled{
		burst:  burst{rate: 40, cpu: cpu{plugin: 8 * time.Millisecond, vault: 10 * time.Millisecond, ca: time.Millisecond, clients: time.Millisecond}},
		plugin: shares{"JSON": 0.125, "requests to the CA": 0.5, others: 0.375},
		vault:  shares{"JSON": 0.2, "encrypted storage with raft and bbolt": 0.8},
	}
	var got strings.Builder
	if _, err := p.table().writeTo(&got); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"the dearest come first": "| encrypted storage with raft and bbolt |        |       | 8.0 ms  | 80 %  |\n" +
			"| requests to the CA                    | 4.0 ms | 50 %  |         |       |\n" +
			"| JSON                                  | 1.0 ms | 12 %  | 2.0 ms  | 20 %  |\n",
		"both are summed": "| together                              | 8.0 ms | 100 % | 10.0 ms | 100 % |",
		"what it means":   "Of the 18.0 ms that Vault and the plugin spend on a certificate, the most goes into encrypted storage",
		"what is ACME's":  "takes the plugin 4.0 ms.",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%s: there is no %q in\n%s", what, want, &got)
		}
	}
	for line := range strings.Lines(p.table().about) {
		if len(strings.TrimSpace(line)) > lineLength+5 {
			t.Errorf("a line is %d bytes long: %s", len(line), line)
		}
	}
}
