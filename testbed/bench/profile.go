package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/pprof/profile"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

const (
	// profileTime gathers a few hundred samples of either process, one for each
	// 10ms of work: shares are good to a few percent of the whole.
	profileTime = 10 * time.Second
	// profilePatience is how long the plugin may take to write what it gathered.
	profilePatience = 10 * time.Second
)

// profiled is a burst, and where Vault and the plugin were found while it went on.
type profiled struct {
	burst
	vault, plugin shares
}

// measureProfile shows where the processor time of bursts goes, in servers of
// its own: what is measured elsewhere is the plugin as it is released.
func measureProfile(ctx context.Context, b *bench) ([]table, error) {
	own, err := newBench(ctx, b.settings, profiling)
	if err != nil {
		return nil, err
	}
	defer own.close()
	p, err := own.validating.profile(ctx)
	if err != nil {
		return nil, err
	}
	return []table{p.table()}, nil
}

// profiling is the plugin that can be asked for a profile.
func profiling(ctx context.Context, b *bench) error {
	binary, err := testbed.BuildProfiled(ctx, os.Stderr)
	if err != nil {
		return err
	}
	return b.bed.Vault.EnablePlugin(ctx, binary, testbed.ProfileVariable+"="+b.profilePath())
}

// profilePath is where the plugin writes its profile.
func (b *bench) profilePath() string { return filepath.Join(b.dir, "plugin.pprof") }

// profile runs bursts for as long as Vault gathers its profile. The last one
// outlasts it, which is why only shares are taken from profiles.
func (a *authority) profile(ctx context.Context) (p profiled, err error) {
	ended := make(chan error, 1)
	go func() { ended <- a.profileBoth(ctx, &p) }()
	var bursts []burst
	for {
		one, err := a.together(ctx, contender{a.plugin, a.issueSlowly})
		if err != nil {
			return p, err
		}
		bursts = append(bursts, one)
		select {
		case err := <-ended:
			p.burst = medianBurst(bursts)
			return p, err
		default:
		}
	}
}

// profileBoth asks Vault and the plugin for a profile of the same time.
func (a *authority) profileBoth(ctx context.Context, p *profiled) error {
	pid, err := a.pluginPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		return err
	}
	if p.vault, err = a.profileVault(ctx); err != nil {
		return fmt.Errorf("reading Vault's profile: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		return err
	}
	if p.plugin, err = a.readProfile(ctx); err != nil {
		return fmt.Errorf("reading the plugin's profile: %w", err)
	}
	return nil
}

// profileVault asks for a profile and waits for it.
func (a *authority) profileVault(ctx context.Context) (shares, error) {
	answer, err := a.vault.Logical().ReadRawWithDataWithContext(ctx, "sys/pprof/profile", map[string][]string{
		"seconds": {strconv.Itoa(int(profileTime / time.Second))},
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	gathered, err := profile.Parse(answer.Body)
	if err != nil {
		return nil, err
	}
	return sharesOf(gathered, inVault)
}

// readProfile waits for what the plugin writes, and reads it.
func (a *authority) readProfile(ctx context.Context) (shares, error) {
	ctx, cancel := context.WithTimeout(ctx, profilePatience)
	defer cancel()
	var content []byte
	err := testbed.Until(ctx, func(context.Context) (err error) {
		content, err = os.ReadFile(a.profilePath())
		return err
	})
	if err != nil {
		return nil, err
	}
	gathered, err := profile.ParseData(content)
	if err != nil {
		return nil, err
	}
	return sharesOf(gathered, inPlugin)
}
