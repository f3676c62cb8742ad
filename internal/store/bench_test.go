package store

import (
	"context"
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// BenchmarkGet reads a record of the size of an order's.
func BenchmarkGet(b *testing.B) {
	ctx, s := context.Background(), &logical.InmemStorage{}
	if err := baskets.Put(ctx, s, "x", &basket{Fruits: slices.Repeat([]fruit{{Name: "pear", Seeds: 7}}, 100)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := baskets.Get(ctx, s, "x"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut writes it.
func BenchmarkPut(b *testing.B) {
	ctx, s := context.Background(), &logical.InmemStorage{}
	rec := &basket{Fruits: slices.Repeat([]fruit{{Name: "pear", Seeds: 7}}, 100)}
	b.ReportAllocs()
	for b.Loop() {
		if err := baskets.Put(ctx, s, "x", rec); err != nil {
			b.Fatal(err)
		}
	}
}

// basket is a record with much in it.
type basket struct {
	Fruits []fruit `json:"fruits"`
}

var baskets = Collection[basket]{Kind: "basket", Prefix: "basket/", Version: 1}
