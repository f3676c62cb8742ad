package identifier

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrRange refuses what is no range of addresses in CIDR form (RFC 4632 §3.1,
// RFC 4291 §2.3).
var ErrRange = errors.New("is not a range of addresses; expected the form 192.0.2.0/24 or 2001:db8::/32")

// ParseRange reads a range. It has to be written as what it is: bits behind the
// prefix would suggest another range than the one that counts.
func ParseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if address, single := netip.ParseAddr(text); single == nil && address.Zone() == "" {
		return netip.Prefix{}, fmt.Errorf("%.100q %w; a single address is written %s/%d", text, ErrRange, address, address.BitLen())
	}
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%.100q %w", text, ErrRange)
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%.100q %w; IPv4 addresses are written as such", text, ErrRange)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%.100q %w; with a prefix of %d bits that is %s", text, ErrRange, prefix.Bits(), prefix.Masked())
	}
	return prefix, nil
}

// Ranges is a set of addresses. Looking one up costs the same whatever the number
// of ranges, but for a logarithm. The zero Ranges holds nothing.
type Ranges struct {
	// sorted holds ranges of which none is within another, by first address: the
	// last one that does not begin after an address is the only one that may
	// hold it.
	sorted []netip.Prefix
}

// NewRanges makes a set of ranges, each as [ParseRange] gives it.
func NewRanges(prefixes []netip.Prefix) Ranges {
	all := slices.Clone(prefixes)
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits() // of two that begin alike the wider one first
	})
	var sorted []netip.Prefix
	for _, p := range all {
		if n := len(sorted); n == 0 || !sorted[n-1].Overlaps(p) {
			sorted = append(sorted, p)
		}
	}
	return Ranges{sorted}
}

// Hold tells whether an address is in one of the ranges.
func (r Ranges) Hold(address netip.Addr) bool {
	n, _ := slices.BinarySearchFunc(r.sorted, address, func(p netip.Prefix, a netip.Addr) int {
		if p.Addr().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	return n > 0 && r.sorted[n-1].Contains(address)
}
