package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// answerPatience is how long the plugin may take to come back.
const answerPatience = 30 * time.Second

// measureFootprint shows what the plugin takes of a machine.
func measureFootprint(ctx context.Context, b *bench) ([]table, error) {
	out := table{
		title: "Footprint",
		about: `Writes are puts and deletes of Vault's storage, from new-order to completed, the reports of the challenges
included. Memory is the resident memory of the plugin's process as Vault runs it. The first answer is a role that is
read after the plugin's process was killed: Vault starts it anew.`,
		columns: []string{"", "value"},
	}
	for _, part := range []func(context.Context) ([][]string, error){b.writes, b.activeOrders, b.process} {
		rows, err := part(ctx)
		if err != nil {
			return nil, err
		}
		out.rows = append(out.rows, rows...)
	}
	return []table{out}, nil
}

// writes counts storage writes for each certificate.
func (b *bench) writes(ctx context.Context) ([][]string, error) {
	f, err := b.goBench(ctx, "", "^BenchmarkIssuance$", "-benchtime", "50x")
	if err != nil {
		return nil, err
	}
	var out [][]string
	for _, names := range []int{1, 10} {
		name := fmt.Sprintf("Issuance/names=%d", names)
		puts, err := f.get(name, "puts/op")
		if err != nil {
			return nil, err
		}
		deletes, err := f.get(name, "deletes/op")
		if err != nil {
			return nil, err
		}
		out = append(out, []string{
			"storage writes, certificate for " + countOf(names),
			fmt.Sprintf("%.1f (%.1f puts, %.1f deletes)", puts+deletes, puts, deletes),
		})
	}
	return out, nil
}

// activeOrders measures what orders cost that wait.
func (b *bench) activeOrders(ctx context.Context) ([][]string, error) {
	f, err := b.goBench(ctx, "", "^BenchmarkActiveOrders$", "-benchtime", "10x")
	if err != nil {
		return nil, err
	}
	ns, err := f.get("ActiveOrders", "ns/op")
	if err != nil {
		return nil, err
	}
	bytes, err := f.get("ActiveOrders", "B/order")
	return [][]string{
		{"heap for 10,000 active orders", fmt.Sprintf("%.1f MiB", bytes*10_000/(1<<20))},
		{"loading 10,000 active orders, in process", nanoseconds(ns)},
	}, err
}

// process measures the program as Vault runs it.
func (b *bench) process(ctx context.Context) ([][]string, error) {
	info, err := os.Stat(b.bed.Binaries.Plugin)
	if err != nil {
		return nil, err
	}
	used, err := b.resident()
	if err != nil {
		return nil, err
	}
	var starts []time.Duration
	for range 5 {
		took, err := b.firstAnswer(ctx)
		if err != nil {
			return nil, err
		}
		starts = append(starts, took)
	}
	idle, err := b.resident()
	return [][]string{
		{"binary", mebibytes(info.Size())},
		{"resident memory, started and asked once", mebibytes(idle)},
		{"resident memory, after what was measured above", mebibytes(used)},
		{"first answer after the process was killed", milliseconds(median(starts))},
	}, err
}

// pluginPID is the process that runs the plugin.
func (b *bench) pluginPID() (int, error) {
	pids := b.bed.Vault.PluginPIDs()
	if len(pids) != 1 {
		return 0, fmt.Errorf("the plugin runs in %d processes, not in one", len(pids))
	}
	return pids[0], nil
}

// resident is the plugin's resident memory in bytes.
func (b *bench) resident() (int64, error) {
	pid, err := b.pluginPID()
	if err != nil {
		return 0, err
	}
	text, err := field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	if err != nil {
		return 0, err
	}
	kibibytes, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	return kibibytes << 10, err
}

// firstAnswer kills the plugin and waits until it answers again.
func (b *bench) firstAnswer(ctx context.Context) (time.Duration, error) {
	pid, err := b.pluginPID()
	if err != nil {
		return 0, err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	gone := func(context.Context) error {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	}
	if err := testbed.Until(ctx, gone); err != nil {
		return 0, err
	}
	return b.untilAnswer(ctx, time.Now())
}

// untilAnswer asks until there is an answer: the first request may still meet
// the connection to the process that is gone.
func (b *bench) untilAnswer(ctx context.Context, began time.Time) (time.Duration, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		_, err := b.read(ctx, b.validating.rolePath(), nil)
		switch {
		case err == nil:
			return time.Since(began), nil
		case time.Since(began) > answerPatience:
			return 0, fmt.Errorf("the plugin did not come back: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
