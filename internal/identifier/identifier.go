// Package identifier holds what a certificate can be for, a DNS name (RFC 8555)
// or an IP address (RFC 8738), and who may have which.
//
// Text becomes an [Identifier] where it comes in, and is not looked at again:
// which of the two it is decides about challenges, about the place in a
// certificate, and about what allows it. The names of a [Policy] are those of
// package domainmatch; its addresses are ranges.
package identifier

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// The rules that an address has to keep, besides being one.
var (
	// ErrBrackets refuses how addresses stand in URLs.
	ErrBrackets = errors.New("an IPv6 address is written without brackets")
	// ErrZone refuses an address that means something on one machine only
	// (RFC 4007 §11).
	ErrZone = errors.New("an address with a zone, the part behind %, is known on one machine only")
	// ErrMapped refuses one address in the form of another: a certificate has
	// IPv4 addresses in four bytes, so what was asked for would not be in it.
	ErrMapped = errors.New("it is an IPv4 address that is written as an IPv6 address")
	// ErrType refuses identifiers that are neither names nor addresses.
	ErrType = errors.New("is of no type that is known here")
)

// Identifier is a DNS name or an IP address. Identifiers are equal, also as map
// keys, if and only if they are the same name or the same address, however they
// were written. The zero Identifier is neither.
type Identifier struct {
	name    domainmatch.Name
	address netip.Addr
}

// Parse reads an identifier as people write it. What reads as an address is one:
// no name may.
func Parse(text string) (Identifier, error) {
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		name, err := domainmatch.Parse(text)
		return Identifier{name: name}, err
	}
	if strings.ContainsAny(text, "[]") {
		return Identifier{}, unfit(text, ErrBrackets)
	}
	return OfAddress(address)
}

// OfName is the identifier of a name.
func OfName(name domainmatch.Name) Identifier { return Identifier{name: name} }

// OfAddress is the identifier of an address, if it can stand in a certificate.
func OfAddress(address netip.Addr) (Identifier, error) {
	switch {
	case address.Zone() != "":
		return Identifier{}, unfit(address.String(), ErrZone)
	case address.Is4In6():
		return Identifier{}, fmt.Errorf("%w; write %s", unfit(address.String(), ErrMapped), address.Unmap())
	}
	return Identifier{address: address}, nil
}

// Of reads an identifier as it is stored, or as a server has written it.
func Of(id acme.Identifier) (Identifier, error) {
	switch id.Type {
	case acme.DNS:
		name, err := domainmatch.Parse(id.Value)
		return Identifier{name: name}, err
	case acme.IP:
		address, err := netip.ParseAddr(id.Value)
		if err != nil {
			return Identifier{}, fmt.Errorf("%.300q is not an IP address", id.Value)
		}
		return OfAddress(address)
	}
	return Identifier{}, fmt.Errorf("%.300q %w: %.64q", id.Value, ErrType, id.Type)
}

func unfit(text string, rule error) error {
	return fmt.Errorf("%.300q is not an identifier for a certificate: %w", text, rule)
}

// Name is the name; false when the identifier is an address.
func (i Identifier) Name() (domainmatch.Name, bool) { return i.name, i.name != domainmatch.Name{} }

// Address is the address; false when the identifier is a name.
func (i Identifier) Address() (netip.Addr, bool) { return i.address, i.address.IsValid() }

// String is the canonical form: the name, or the address as RFC 5952 has it.
func (i Identifier) String() string {
	if address, ok := i.Address(); ok {
		return address.String()
	}
	return i.name.String()
}

// ACME is the identifier as a CA is asked for it (RFC 8555 §9.7.7, RFC 8738 §3).
func (i Identifier) ACME() acme.Identifier {
	if _, ok := i.Address(); ok {
		return acme.Identifier{Type: acme.IP, Value: i.String()}
	}
	return acme.Identifier{Type: acme.DNS, Value: i.String()}
}

// Names picks the names out of identifiers.
func Names(ids []Identifier) []domainmatch.Name {
	var names []domainmatch.Name
	for _, id := range ids {
		if name, ok := id.Name(); ok {
			names = append(names, name)
		}
	}
	return names
}

// Addresses picks the addresses out of identifiers.
func Addresses(ids []Identifier) []netip.Addr {
	var addresses []netip.Addr
	for _, id := range ids {
		if address, ok := id.Address(); ok {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
