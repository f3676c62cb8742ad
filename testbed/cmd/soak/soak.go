package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

const (
	// workers is how many orders are under way at once.
	workers = 8
	// between is the time from one fault to the next.
	between = 30 * time.Second
	// patience is how long what is under way may take to end when the time is over.
	patience = 5 * time.Minute
)

type soak struct {
	bed    *testbed.Bed
	client *api.Client
	issuer *testbed.Issuer
}

// prepare enables the plugin with an account and a role.
func (s *soak) prepare(ctx context.Context) error {
	v := s.bed.Vault
	if err := v.EnablePlugin(ctx, s.bed.Binaries.Plugin); err != nil {
		return err
	}
	ca := filepath.Join(v.WorkDir, "ca.pem")
	if err := os.WriteFile(ca, []byte(s.bed.Pebble.TrustedCA), 0o600); err != nil {
		return err
	}
	_, err := v.Run(ctx, "write", testbed.CatalogName+"/config/acme-account/pebble", "directory_url="+s.bed.Pebble.DirectoryURL,
		"email_contacts=admin@example.com", "trusted_ca=@"+ca)
	if err != nil {
		return err
	}
	_, err = v.Run(ctx, "write", testbed.CatalogName+"/role/soak", "acme_account_name=pebble", "allowed_domains=example.com", "allowed_domain_options=subdomains")
	s.issuer = &testbed.Issuer{Client: s.client, Mount: testbed.CatalogName, Role: "soak", Domain: "soak.example.com", Web: s.bed.Web}
	return err
}

// run issues side by side until the time is over, and compares what the plugin holds before and after.
func (s *soak) run(ctx context.Context, length time.Duration) error {
	if err := s.work(ctx, 10*time.Second, nil); err != nil { // what is made once
		return err
	}
	before, err := s.bed.Vault.PluginUsage()
	if err != nil {
		return err
	}
	fmt.Printf("at first the plugin holds %s\n", before)
	if err := s.work(ctx, length, s.faults); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var after testbed.Usage
	err = testbed.Until(ctx, func(context.Context) error {
		if after, err = s.bed.Vault.PluginUsage(); err != nil {
			return err
		}
		return after.Within(before)
	})
	fmt.Printf("%d certificates were issued; at last the plugin holds %s\n", s.issuer.Issued.Load(), after)
	return err
}

// work issues for a time, with something that goes on beside it, and lets what is under way end.
func (s *soak) work(ctx context.Context, length time.Duration, beside func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, length+patience)
	defer cancel()
	over, stop := context.WithTimeout(ctx, length)
	defer stop()
	var running sync.WaitGroup
	failures := make(chan error, workers+1)
	for range workers {
		running.Go(func() {
			for over.Err() == nil {
				if err := s.issuer.Issue(ctx); err != nil {
					failures <- err
					stop()
					return
				}
			}
		})
	}
	if beside != nil {
		if err := beside(over); err != nil && over.Err() == nil {
			failures <- err
			stop()
		}
	}
	running.Wait()
	close(failures)
	var failed error
	for err := range failures {
		failed = errors.Join(failed, err)
	}
	return failed
}

// faults happen one after the other, again and again.
func (s *soak) faults(ctx context.Context) error {
	v := s.bed.Vault
	faults := []struct {
		name    string
		happens func() error
	}{
		{"mounts come and go", func() error { return s.mounts(ctx) }},
		{"the plugin is killed", s.kill},
		{"Vault is sealed and unsealed", func() error { return errors.Join(v.Seal(ctx), v.Unseal(ctx)) }},
		{"the plugin is reloaded", func() error {
			_, err := v.Run(ctx, "plugin", "reload", "-type=secret", "-plugin="+testbed.CatalogName)
			return err
		}},
		{"Vault is restarted", func() error { return v.Restart(ctx) }},
	}
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(between):
		}
		fault := faults[n%len(faults)]
		held, err := v.PluginUsage()
		fmt.Printf("%d certificates; the plugin holds %s (%v); now %s\n", s.issuer.Issued.Load(), held, err, fault.name)
		if err := fault.happens(); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
	}
}

func (s *soak) kill() error {
	for _, pid := range s.bed.Vault.PluginPIDs() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) mounts(ctx context.Context) error {
	for range 10 {
		for _, args := range [][]string{
			{"secrets", "enable", "-path=passing", testbed.CatalogName},
			{"write", "passing/config", "tidy_failed_after=1h"},
			{"secrets", "disable", "passing"},
		} {
			if _, err := s.bed.Vault.Run(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}
