package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

func dnsTypeNames() []string {
	names := make([]string, len(dnsprovider.Types))
	for i, kind := range dnsprovider.Types {
		names[i] = kind.Name()
	}
	return names
}

func (b *backend) dnsPaths() []*framework.Path {
	paths := []*framework.Path{b.pathDNSList(), b.pathDNSWorkflow()}
	for _, kind := range dnsprovider.Types {
		paths = append(paths, b.pathDNSTypeList(kind), b.pathDNSProvider(kind))
	}
	return paths
}

func (b *backend) pathDNSList() *framework.Path {
	return b.path(endpoint{
		pattern: "config/dns/?$", suffix: "config-dns",
		synopsis: "List all DNS configurations", help: "Lists the DNS providers of all types as <type>/<name>.",
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the DNS providers of all types.", do: b.listDNS, answers: map[string]*framework.FieldSchema{
				"keys":     {Type: framework.TypeStringSlice, Description: "List of DNS provider configurations in format 'type/name'"},
				"key_info": {Type: framework.TypeMap, Description: "Name and type for each DNS provider configuration"},
			}},
		},
	})
}

func (b *backend) listDNS(ctx context.Context, req *request) (*logical.Response, error) {
	all, err := b.dns.all(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	keys, info := []string{}, map[string]any{}
	for _, e := range all {
		c := e.Common()
		keys = append(keys, c.Label())
		info[c.Label()] = map[string]any{"name": c.Name, "type": c.Type}
	}
	return logical.ListResponseWithInfo(keys, info), nil
}

func (b *backend) pathDNSTypeList(kind dnsprovider.Type) *framework.Path {
	return b.path(endpoint{
		pattern: "config/dns/" + kind.Name() + "/?$", suffix: "config-dns-" + kind.Name(),
		synopsis: fmt.Sprintf("List %s DNS configurations", kind.Name()), help: fmt.Sprintf("Lists the names of the DNS providers of the type %s.", kind.Name()),
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the DNS providers of a type.", do: func(ctx context.Context, req *request) (*logical.Response, error) {
				all, err := b.dns.all(ctx, req.Storage)
				if err != nil {
					return nil, err
				}
				names := []string{}
				for _, e := range all {
					if e.Common().Type == kind.Name() {
						names = append(names, e.Common().Name)
					}
				}
				return logical.ListResponse(names), nil
			}},
		},
	})
}

func (b *backend) pathDNSProvider(kind dnsprovider.Type) *framework.Path {
	p := dnsEndpoint{b, kind}
	return b.path(endpoint{
		pattern: "config/dns/" + kind.Name() + "/" + framework.GenericNameRegex("name"), suffix: "config-dns-" + kind.Name(),
		synopsis: kind.Synopsis(),
		help: `A DNS provider writes the TXT records of dns-01 challenges for names that its identifiers cover; the
most specific identifier of all providers wins. Credentials are never shown. dns/test/workflow tries it out.`,
		fields: kind.Schema(map[string]*framework.FieldSchema{"name": nameField("Name of the " + kind.Name() + " DNS configuration")}),
		exists: p.exists,
		operations: map[logical.Operation]operation{
			logical.CreateOperation: {summary: "Configure a DNS provider.", do: p.write, answers: kind.Shown(), verb: "write"},
			logical.UpdateOperation: {summary: "Configure a DNS provider.", do: p.write, answers: kind.Shown(), verb: "write"},
			logical.ReadOperation:   {summary: "Read a DNS provider; no credential is shown.", do: p.read, answers: kind.Shown(), anywhere: true},
			logical.DeleteOperation: {summary: "Delete a DNS provider.", do: p.delete, empty: true},
		},
	})
}

// dnsEndpoint serves the configurations of one type of DNS provider.
type dnsEndpoint struct {
	b    *backend
	kind dnsprovider.Type
}

// get reads a configuration that has not been deleted.
func (p dnsEndpoint) get(ctx context.Context, s logical.Storage, name string) (dnsprovider.Entry, error) {
	e, err := p.kind.Get(ctx, s, name)
	if err == nil && e.Common().Deleted {
		return nil, fmt.Errorf("DNS provider %q: %w", e.Common().Label(), store.ErrNotFound)
	}
	return e, err
}

func (p dnsEndpoint) exists(ctx context.Context, req *logical.Request, fields *framework.FieldData) (bool, error) {
	_, err := p.get(ctx, req.Storage, fields.Get("name").(string))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (p dnsEndpoint) read(ctx context.Context, req *request) (*logical.Response, error) {
	e, err := p.get(ctx, req.Storage, req.text("name"))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: e.Show()}, nil
}

// write creates a configuration or changes one. What a deleted one of the same
// name owes passes to the new one.
func (p dnsEndpoint) write(ctx context.Context, req *request) (*logical.Response, error) {
	p.b.dns.ledger.Lock()
	defer p.b.dns.ledger.Unlock()
	name := req.text("name")
	e, err := p.get(ctx, req.Storage, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		e, err = p.kind.Create(name, req.fields, p.b.now())
	case err == nil:
		e, err = p.kind.Update(e, req.fields, p.b.now())
	default:
		return nil, err
	}
	if err != nil {
		return nil, badRequest("%w", err)
	}
	err = p.kind.Put(ctx, req.Storage, e)
	p.b.dns.forget() // even after a failure: a storage that fails may have written
	if err != nil {
		return nil, err
	}
	p.b.dns.outages.end(e.Common().Label()) // perhaps it was mended
	p.b.wakeDebts(ctx, req.Storage, e.Common().Label())
	return &logical.Response{Data: e.Show()}, nil
}

// delete removes a configuration that no role names. While records that it
// wrote are still to be removed, its credentials are kept for that.
func (p dnsEndpoint) delete(ctx context.Context, req *request) (*logical.Response, error) {
	p.b.rolesLock.Lock()
	defer p.b.rolesLock.Unlock()
	p.b.dns.ledger.Lock()
	defer p.b.dns.ledger.Unlock()
	e, err := p.get(ctx, req.Storage, req.text("name"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	label := e.Common().Label()
	users, err := rolesWith(ctx, req.Storage, func(r *role) bool { return r.dnsProvider() == label })
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, conflict("DNS provider %q is in use by the roles %s; change them first", label, strings.Join(users, ", "))
	}
	return nil, p.b.dropProvider(ctx, req.Storage, e)
}
