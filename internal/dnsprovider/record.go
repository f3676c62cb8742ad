package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
)

// storedRecord is one TXT record at a service, and its value as the service
// writes it.
type storedRecord struct{ id, value string }

// recordService is a service where each value is a record of its own.
type recordService interface {
	zone(ctx context.Context, name string) (zone, error)
	// list gives all TXT records of a name.
	list(ctx context.Context, z zone, name string) ([]storedRecord, error)
	create(ctx context.Context, z zone, r dns01.Record) error
	remove(ctx context.Context, z zone, id string) error
}

// maxPages bounds how many pages of a list are asked for, whatever the service
// says there are. A name has a handful of records.
const maxPages = 20

// recordProvider adds and removes single values at a recordService. It keeps no
// ids: a record is found by its name and value, also by the process after this.
type recordProvider struct {
	label   string
	service recordService
}

// Add implements dns01.Provider.
func (p *recordProvider) Add(ctx context.Context, r dns01.Record) error {
	z, err := p.service.zone(ctx, r.Name)
	if err == nil {
		err = p.addIn(ctx, z, r)
	}
	return failure(p.label, z.String(), r, err)
}

func (p *recordProvider) addIn(ctx context.Context, z zone, r dns01.Record) error {
	if ids, err := p.find(ctx, z, r); err != nil || len(ids) > 0 {
		return err
	}
	err := p.service.create(ctx, z, r)
	if err == nil {
		return nil
	}
	if _, answered := errors.AsType[*rejection](err); answered {
		// Perhaps it was refused because somebody just made it.
		if ids, again := p.find(ctx, z, r); again == nil && len(ids) > 0 {
			return nil
		}
	}
	return fmt.Errorf("creating the record: %w", err)
}

// Remove implements dns01.Provider.
func (p *recordProvider) Remove(ctx context.Context, r dns01.Record) error {
	z, err := p.service.zone(ctx, r.Name)
	if err == nil {
		err = p.removeIn(ctx, z, r)
	}
	return failure(p.label, z.String(), r, err)
}

func (p *recordProvider) removeIn(ctx context.Context, z zone, r dns01.Record) error {
	ids, err := p.find(ctx, z, r)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := p.service.remove(ctx, z, id); err != nil && !hasStatus(err, http.StatusNotFound) {
			return fmt.Errorf("removing the record: %w", err)
		}
	}
	return nil
}

// find gives the ids of the records that hold the value.
func (p *recordProvider) find(ctx context.Context, z zone, r dns01.Record) ([]string, error) {
	all, err := p.service.list(ctx, z, r.Name)
	if err != nil {
		return nil, fmt.Errorf("listing the records of the name: %w", err)
	}
	ours := slices.DeleteFunc(all, func(s storedRecord) bool { return !isValue(s.value, r.Value) })
	ids := make([]string, len(ours))
	for i, s := range ours {
		ids[i] = s.id
	}
	return ids, nil
}
