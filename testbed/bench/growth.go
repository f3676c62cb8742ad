package main

import (
	"context"
	"fmt"
)

// flat is how much more the largest of something may cost than the smallest to
// count as the same.
const flat = 2.0

// growth is a benchmark that ran with more and more of something.
type growth struct {
	label  string
	name   func(size int) string
	target bool
	most   float64 // in ns/op at any size; 0 for no limit
}

// rows makes one row of a table for each benchmark.
func rows(f figures, sizes []int, kinds []growth) ([][]string, error) {
	var out [][]string
	for _, k := range kinds {
		row, values := []string{k.label}, []float64{}
		for _, size := range sizes {
			ns, err := f.get(k.name(size), "ns/op")
			if err != nil {
				return nil, err
			}
			row, values = append(row, nanoseconds(ns)), append(values, ns)
		}
		out = append(out, append(row, k.judge(values)...))
	}
	return out, nil
}

// judge gives the ratio of the last to the first, and the verdict.
func (k growth) judge(values []float64) []string {
	last := values[len(values)-1]
	ratio := last / values[0]
	switch {
	case !k.target:
		return []string{times(ratio), ""}
	case k.most > 0:
		target := fmt.Sprintf("≤ %.0f×, < %s", flat, nanoseconds(k.most))
		return []string{times(ratio), verdict(target, ratio <= flat && last < k.most)}
	}
	return []string{times(ratio), verdict(fmt.Sprintf("≤ %.0f×", flat), ratio <= flat)}
}

// measureNames shows what a check against a role costs.
func measureNames(ctx context.Context, b *bench) ([]table, error) {
	f, err := b.goBench(ctx, "domainmatch", "^BenchmarkCheck$", "-benchtime", "60ms", "-count", "5")
	if err != nil {
		return nil, err
	}
	kinds := []growth{{label: "plain", target: true, most: 1000}}
	for _, label := range []string{"bare", "subdomains", "wildcards", "globs", "globs-prefix", "globs-two-stars", "refused"} {
		kinds = append(kinds, growth{label: label, target: true})
	}
	kinds = append(kinds, growth{label: "globs-same-ends"})
	for i, k := range kinds {
		kinds[i].name = func(size int) string { return fmt.Sprintf("Check/%s-%d", k.label, size) }
	}
	out := table{
		title: "One name against a role",
		about: `One check of one name against as many entries in allowed_domains, in process: the least of five
runs. With 100,000 entries the processor's caches no longer hold the index. The last row is the worst that a role can
be: globs that differ only between two stars, which have to be tried one by one.`,
		columns: []string{"entries", "10", "1,000", "100,000", "growth", "target"},
	}
	out.rows, err = rows(f, []int{10, 1_000, 100_000}, kinds)
	return []table{out}, err
}

// measureStorage shows what finished orders cost.
func measureStorage(ctx context.Context, b *bench) ([]table, error) {
	f, err := b.goBench(ctx, "", "^BenchmarkFinishedOrders$", "-benchtime", "200ms", "-count", "5")
	if err != nil {
		return nil, err
	}
	var kinds []growth
	for _, label := range []string{"tick", "new-order", "status", "fetch-cert", "cached"} {
		kinds = append(kinds, growth{label: label, target: true, name: func(size int) string {
			return fmt.Sprintf("FinishedOrders/%s/%d", label, size)
		}})
	}
	out := table{
		title: "Finished orders in storage",
		about: `One operation in process, on a storage in memory that holds as many finished orders of the last year with their
keys and certificates: the least of five runs. tick is what Vault calls once a minute.`,
		columns: []string{"finished orders", "0", "10,000", "200,000", "growth", "target"},
	}
	out.rows, err = rows(f, []int{0, 10_000, 200_000}, kinds)
	return []table{out}, err
}
