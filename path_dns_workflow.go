package pkiexternalca

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// trial is a test of a DNS provider: what was asked for, and what came of it.
type trial struct {
	identifier, kind, name string
	omitCleanup            bool
	record                 string
	failure                error
}

var trialFields = field.Set[trial]{
	field.String("identifier", "The DNS identifier (domain name) to test with", func(t *trial) *string { return &t.identifier }).Required(),
	field.String("provider_type", "The DNS provider type", func(t *trial) *string { return &t.kind }).Required(),
	field.String("provider_name", "The name of the DNS provider configuration to test", func(t *trial) *string { return &t.name }).Required(),
	field.Bool("omit_cleanup",
		"Do not perform any cleanup operations, useful for testing and manual validation a record was created within the DNS provider.",
		func(t *trial) *bool { return &t.omitCleanup }).Default(false).Hidden(),
	field.Shown("record_name", "The DNS record name that was created", framework.TypeString, func(t *trial) any { return t.record }),
	field.Shown("success", "Whether the test was successful", framework.TypeBool, func(t *trial) any { return t.failure == nil }),
	field.Shown("message", "Status message describing the test result", framework.TypeString, (*trial).message),
}

func (t *trial) message() any {
	switch {
	case t.failure != nil:
		return t.failure.Error()
	case t.omitCleanup:
		return "DNS provider test successful: TXT record was created and left in place"
	}
	return "DNS provider test successful: TXT record was created and cleaned up successfully"
}

func (b *backend) pathDNSWorkflow() *framework.Path {
	return b.path(endpoint{
		pattern: "dns/test/workflow", suffix: "dns-test-workflow",
		synopsis: "Tests a DNS provider by creating a TXT record",
		help: `Writes a TXT record for an identifier with a DNS provider, looks whether it can be seen, and removes
it again unless omit_cleanup is set. A failure names the step that failed.`,
		fields: trialFields.Schema(nil),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Try a DNS provider.", do: b.tryDNS, answers: trialFields.Shown()},
		},
	})
}

func (b *backend) tryDNS(ctx context.Context, req *request) (*logical.Response, error) {
	t, err := trialFields.Create(req.fields)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	place, err := b.locateTrial(ctx, req.Storage, t)
	if err != nil {
		return nil, err
	}
	t.record = place.Name + "."
	t.failure = b.runTrial(ctx, req.Storage, t, place)
	data := trialFields.Show(t)
	if t.failure != nil {
		return logical.ErrorResponseWithData(data, "%s", t.failure.Error()), nil
	}
	return &logical.Response{Data: data}, nil
}

// locateTrial finds the record as for an order of a role that is bound to the
// provider.
func (b *backend) locateTrial(ctx context.Context, s logical.Storage, t *trial) (order.Place, error) {
	name, err := domainmatch.Parse(t.identifier)
	if err != nil {
		return order.Place{}, badRequest("identifier: %w", err)
	}
	pinned := &role{DNSProviderType: t.kind, DNSProviderName: t.name}
	if err := validatePin(ctx, s, pinned); err != nil {
		return order.Place{}, err
	}
	asked := &order.Order{DNSProvider: pinned.dnsProvider()}
	place, ok, err := prover{b, s}.Locate(ctx, asked, acme.Identifier{Type: acme.DNS, Value: name.String()})
	switch {
	case order.Refused(err):
		return order.Place{}, badRequest("identifier: %w", err)
	case err != nil && !b.covers(ctx, s, asked.DNSProvider, name.String()):
		return order.Place{}, badRequest("identifier %q is not covered by the identifiers of DNS provider %q, and whether its record is an alias of one that is cannot be found out: %w", t.identifier, asked.DNSProvider, err)
	case err != nil:
		return order.Place{}, status(502, "following the aliases of the identifier: %w", err)
	case !ok:
		return order.Place{}, badRequest("identifier %q is not covered by the identifiers of DNS provider %q", t.identifier, asked.DNSProvider)
	}
	return place, nil
}

// covers tells whether a name is among the identifiers of a provider.
func (b *backend) covers(ctx context.Context, s logical.Storage, label, name string) bool {
	all, err := b.dns.all(ctx, s)
	return err == nil && mostSpecific(all, label, name) != nil
}

func (b *backend) runTrial(ctx context.Context, s logical.Storage, t *trial, place order.Place) error {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	proof := order.Proof{Place: place, Value: base64.RawURLEncoding.EncodeToString(random)}
	if t.omitCleanup {
		if err := b.dns.write(ctx, s, proof, dns01.Provider.Add); err != nil {
			return fmt.Errorf("failed to create DNS TXT record: %w", err)
		}
		return b.awaitSight(ctx, s, proof)
	}
	path := debtPath(proof)
	release, err := b.reserve(debts.Prefix + path) // nobody removes the record while it is looked for
	if err != nil {
		return err
	}
	defer b.wakeDebt(path) // which is nothing to do if it was paid
	defer release()
	if err = b.owe(ctx, s, "", proof); err == nil {
		err = b.dns.write(ctx, s, proof, dns01.Provider.Add)
	}
	if err != nil {
		return fmt.Errorf("failed to create DNS TXT record: %w", err)
	}
	seen := b.awaitSight(ctx, s, proof)
	// The debt is paid with a context of its own: a test that ran out of time
	// must clean up all the same.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	if next := b.removeRecord(cleanup, s, &debt{Proof: proof}); !next.IsZero() {
		return errors.Join(seen, errors.New("failed to clean up DNS TXT record; it will be tried again until it is gone"))
	}
	return seen
}

const cleanupPatience = 5 * time.Second

// awaitSight looks for a record until it is seen, or the time of the provider
// or of the request is over. What it tells then is what the last look saw that
// was not cut short.
func (b *backend) awaitSight(ctx context.Context, s logical.Storage, proof order.Proof) error {
	terms, err := prover{b, s}.Terms(ctx, proof.Place)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, terms.Timeout)
	defer cancel()
	seen := "no server has answered in time"
	for {
		sight, err := prover{b, s}.Visible(ctx, proof)
		switch {
		case err == nil && sight.Visible:
			return nil
		case ctx.Err() == nil:
			seen = because(sight, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("failed to verify DNS TXT record, which was created: %s", seen)
		case <-time.After(time.Second):
		}
	}
}

func because(sight order.Sight, err error) string {
	if err != nil {
		return err.Error()
	}
	return sight.Report
}
