package main

import (
	"bytes"
	"testing"
)

// TestTableLinesUp also with characters of several bytes.
func TestTableLinesUp(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	one := table{
		title: "Title", about: "About.", columns: []string{"", "ratio"},
		rows: [][]string{{"a", "1.15×"}, {"long", "2"}},
	}
	if _, err := one.writeTo(&got); err != nil {
		t.Fatal(err)
	}
	const want = `
## Title

About.

|      | ratio |
| ---- | ----- |
| a    | 1.15× |
| long | 2     |
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
}

func TestGrowthIsJudged(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why    string
		kind   growth
		values []float64
		want   string
	}{
		{"no target, no verdict", growth{}, []float64{1, 100}, ""},
		{"twice as much is still flat", growth{target: true}, []float64{10, 15, 20}, "≤ 2×, kept"},
		{"more is not", growth{target: true}, []float64{10, 15, 21}, "≤ 2×, **missed**"},
		{"flat, but above the limit", growth{target: true, most: 1000}, []float64{1000, 1000}, "≤ 2×, < 1.0 µs, **missed**"},
	} {
		if got := row.kind.judge(row.values)[1]; got != row.want {
			t.Errorf("%s: %q, want %q", row.why, got, row.want)
		}
	}
}
