// Command bench measures the plugin in a real Vault beside what it can be
// compared with, in one run on one machine, and prints tables.
//
//	go run . [-write] [-only issuance,reads] [-runs 20]
//
// Runs of the plugin and of its yardstick alternate, so that whatever else the
// machine does falls on both, and medians are given, so that a hiccup is not a
// result. A figure that has a target is shown with it.
//
// With -write the tables also become docs/benchmarks.md, together with the
// machine, the date and the command.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// settings are what the command line says.
type settings struct {
	write bool
	only  []string // sections; all if empty
	runs  int      // of each kind, where single runs are compared
}

func main() {
	s := settings{}
	only := ""
	flag.BoolVar(&s.write, "write", false, "write the results to docs/benchmarks.md")
	flag.StringVar(&only, "only", "", "comma-separated `sections` to run: "+strings.Join(sectionNames(), ", "))
	flag.IntVar(&s.runs, "runs", 20, "how many issuances of each kind to measure")
	flag.Parse()
	s.only = strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// section is one question that is measured.
type section struct {
	name    string
	measure func(context.Context, *bench) ([]table, error)
}

var sections = []section{
	{"issuance", measureIssuance},
	{"burst", measureBurst},
	{"profile", measureProfile},
	{"reads", measureReads},
	{"names", measureNames},
	{"storage", measureStorage},
	{"footprint", measureFootprint},
}

func sectionNames() []string {
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.name
	}
	return names
}

// run measures and reports.
func run(ctx context.Context, s settings) error {
	for _, name := range s.only {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf("there is no section %q; there are %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	r, err := newReport(os.Args[1:])
	if err != nil {
		return err
	}
	b, err := newBench(ctx, s, released)
	if err != nil {
		return err
	}
	defer b.close()
	for _, section := range sections {
		if len(s.only) > 0 && !slices.Contains(s.only, section.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", section.name)
		tables, err := section.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", section.name, err)
		}
		r.add(os.Stdout, tables)
	}
	if s.write {
		return r.write(b.root)
	}
	return nil
}
