package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// figures are what the benchmarks of a package measured: the least of each unit
// ("ns/op") by the benchmark's name without "Benchmark". The least, because
// whatever else the machine does can only add to it.
type figures map[string]map[string]float64

// goBench runs benchmarks of the plugin's own module.
func (b *bench) goBench(ctx context.Context, pkg, pattern string, flags ...string) (figures, error) {
	args := append([]string{"test", "-run", "^$", "-bench", pattern, "-timeout", "30m"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("the benchmarks of %s: %w: %s%s", path.Join(".", pkg), err, out, failed.Stderr)
	}
	if err != nil {
		return nil, err
	}
	return parseGoBench(string(out), runtime.GOMAXPROCS(0))
}

// parseGoBench reads the output of go test -bench, whose lines are the name, how
// often it was repeated, and pairs of a value and its unit. The name ends in
// "-" and the number of processors, if there is more than one.
func parseGoBench(out string, processors int) (figures, error) {
	values := map[string]map[string][]float64{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		name, ok := strings.CutPrefix(line, "Benchmark")
		if !ok || len(words) < 4 || len(words)%2 != 0 {
			continue
		}
		name, _, _ = strings.Cut(name, "\t")
		name = strings.TrimSpace(name)
		if processors > 1 {
			name = strings.TrimSuffix(name, "-"+itoa(processors))
		}
		if values[name] == nil {
			values[name] = map[string][]float64{}
		}
		for i := 2; i < len(words); i += 2 {
			value, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("reading the benchmark's line %q: %w", strings.TrimSpace(line), err)
			}
			values[name][words[i+1]] = append(values[name][words[i+1]], value)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("no benchmark ran: %.200q", out)
	}
	return least(values), nil
}

func least(values map[string]map[string][]float64) figures {
	out := figures{}
	for name, units := range values {
		out[name] = map[string]float64{}
		for unit, all := range units {
			out[name][unit] = slices.Min(all)
		}
	}
	return out
}

// get gives a figure that must be there.
func (f figures) get(name, unit string) (float64, error) {
	value, ok := f[name][unit]
	if !ok {
		return 0, fmt.Errorf("benchmark %q did not measure %s", name, unit)
	}
	return value, nil
}

// nanoseconds writes a time per operation for a table.
func nanoseconds(ns float64) string {
	switch {
	case ns < 1000:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.1f ms", ns/1e6)
}
