package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// table is one set of results.
type table struct {
	title   string
	about   string // what was measured, as prose
	columns []string
	rows    [][]string
}

// verdict says whether a figure keeps its target.
func verdict(target string, kept bool) string {
	if kept {
		return target + ", kept"
	}
	return target + ", **missed**"
}

// report gathers tables and says what they were measured on.
type report struct {
	machine string
	command string
	tables  []table
}

func newReport(args []string) (*report, error) {
	machine, err := describeMachine()
	if err != nil {
		return nil, err
	}
	command := "make bench"
	if len(args) > 0 {
		command += ` BENCH="` + strings.Join(args, " ") + `"`
	}
	return &report{machine: machine, command: command}, nil
}

// add keeps tables and shows them.
func (r *report) add(w io.Writer, tables []table) {
	r.tables = append(r.tables, tables...)
	for _, t := range tables {
		_, _ = t.writeTo(w)
	}
}

// writeTo writes a table as Markdown, in columns that also line up as they are.
func (t table) writeTo(w io.Writer) (int64, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n## %s\n\n%s\n\n", t.title, t.about)
	widths := make([]int, len(t.columns))
	for _, row := range append([][]string{t.columns}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string, fill string) {
		for i, cell := range row {
			fmt.Fprintf(&text, "| %s%s ", cell, strings.Repeat(fill, widths[i]-utf8.RuneCountInString(cell)))
		}
		text.WriteString("|\n")
	}
	line(t.columns, " ")
	line(make([]string, len(t.columns)), "-")
	for _, row := range t.rows {
		line(row, " ")
	}
	return text.WriteTo(w)
}

const heading = `# Benchmarks

How fast the plugin is, and how big, beside what it can be compared with. All of
this was measured by one command in one run; runs of the plugin and of its
yardstick alternated, and figures are medians unless they say otherwise. Other
machines give other times: the ratios are what to look at.
`

// write makes docs/benchmarks.md.
func (r *report) write(root string) error {
	var text bytes.Buffer
	text.WriteString(heading)
	fmt.Fprintf(&text, "\n- Machine: %s\n- Date: %s\n- Command: `%s`\n- Go: %s\n",
		r.machine, time.Now().UTC().Format(time.DateOnly), r.command, runtime.Version())
	for _, t := range r.tables {
		if _, err := t.writeTo(&text); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "docs", "benchmarks.md"), text.Bytes(), 0o644)
}

// describeMachine tells what the figures depend on, and how busy it was.
func describeMachine() (string, error) {
	model, err := field("/proc/cpuinfo", "model name")
	if err != nil {
		return "", err
	}
	memory, err := field("/proc/meminfo", "MemTotal")
	if err != nil {
		return "", err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	busy, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d cores of %s, %s of memory, %s/%s, load %s before the run",
		runtime.NumCPU(), model, memory, runtime.GOOS, runtime.GOARCH, busy), nil
}

// field reads "name: value" from a file of the kernel's.
func field(file, name string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s says nothing of %q", file, name)
}
