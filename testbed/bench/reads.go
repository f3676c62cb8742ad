package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readers    = 8
	readRounds = 5
	readsEach  = 2_000 // per round
	kvMount    = "kv-yardstick"
	kvPath     = kvMount + "/certificate"
)

// measureReads compares reads of a certificate with those of Vault's key-value
// engine, which also runs as a plugin and answers with the same data.
func measureReads(ctx context.Context, b *bench) ([]table, error) {
	fetch, cached, err := b.prepareReads(ctx)
	if err != nil {
		return nil, err
	}
	role := b.validating.rolePath()
	kinds := []func(context.Context) error{
		b.reader(kvPath, nil), b.reader(fetch, nil), b.reader(role+"/cached", cached), b.issuer(role+"/issue", cached),
	}
	rates := make([][]float64, len(kinds))
	for range readRounds {
		for i, read := range kinds {
			rate, err := readsPerSecond(ctx, read)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	kv := median(rates[0])
	row := func(name string, rates []float64) []string {
		rate := median(rates)
		return []string{name, fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.0f", kv), times(rate / kv), verdict("≥ 0.9×", rate >= 0.9*kv)}
	}
	return []table{{
		title: "Reads per second",
		about: fmt.Sprintf(`%d clients at once read the same certificate, with its key, through the HTTP interface. The yardstick is version
1 of Vault's key-value engine, run as an external plugin in the same Vault too, with the same data and without leases.
issue is asked for a certificate that is there already. %d rounds of %d reads each.`, readers, readRounds, readsEach),
		columns: []string{"", "plugin", "KV v1", "ratio", "target"},
		rows:    [][]string{row("fetch-cert", rates[1]), row("cached", rates[2]), row("issue", rates[3])},
	}}, nil
}

// prepareReads issues a certificate and stores the same answer in a key-value
// engine. It gives where the certificate is fetched, and what to ask cached for.
func (b *bench) prepareReads(ctx context.Context) (fetch string, cached map[string][]string, err error) {
	if err := b.enableKV(ctx); err != nil {
		return "", nil, err
	}
	names := b.names(1)
	order, err := b.validating.order(ctx, names)
	if err != nil {
		return "", nil, err
	}
	answer, err := b.read(ctx, order+"/fetch-cert", nil)
	if err != nil {
		return "", nil, err
	}
	_, err = b.vault.Logical().WriteWithContext(ctx, kvPath, answer.Data)
	return order + "/fetch-cert", map[string][]string{"identifiers": names}, err
}

// enableKV builds the key-value engine as a plugin and mounts it.
func (b *bench) enableKV(ctx context.Context) error {
	binary := filepath.Join(b.bed.Vault.PluginDir(), kvMount)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./kv")
	cmd.Dir = filepath.Join(b.root, "testbed", "bench")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the yardstick: %w: %s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	if _, err := b.bed.Vault.Run(ctx, "plugin", "register", "-sha256="+hex.EncodeToString(sum[:]), "secret", kvMount); err != nil {
		return err
	}
	_, err = b.bed.Vault.Run(ctx, "secrets", "enable", kvMount)
	return err
}

func (b *bench) reader(path string, query map[string][]string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := b.read(ctx, path, query)
		return err
	}
}

// issuer asks for the certificate by a write, as issue wants it.
func (b *bench) issuer(path string, wish map[string][]string) func(context.Context) error {
	body := map[string]any{}
	for name, values := range wish {
		body[name] = values
	}
	return func(ctx context.Context) error {
		answer, err := b.vault.Logical().WriteWithContext(ctx, path, body)
		if err == nil && (answer == nil || answer.Data["cached"] != true) {
			err = errors.New("a certificate was ordered that was there already")
		}
		return err
	}
}

// readsPerSecond has several clients read until all reads are done.
func readsPerSecond(ctx context.Context, read func(context.Context) error) (float64, error) {
	var left atomic.Int64
	left.Store(readsEach)
	failed := make(chan error, readers)
	began := time.Now()
	var running sync.WaitGroup
	for range readers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				if err := read(ctx); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	took := time.Since(began).Seconds()
	select {
	case err := <-failed:
		return 0, err
	default:
		return readsEach / took, nil
	}
}
