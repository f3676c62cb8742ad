// Package domainmatch decides which DNS names may be ordered.
//
// An operator lists what is allowed, in entries and options; a client asks for
// names. Both are parsed at the border, into [Entry] and [Name], so that a
// [Policy] compares nothing but canonical text: lower-case A-labels of the IDNA
// lookup profile (RFC 5891 §5, UTS #46), without a trailing dot. A name that was
// spelled in full-width letters, in capitals or as a U-label is therefore the
// same value as its plain spelling, and no spelling gets around a rule.
//
// # Entries
//
// An entry is a name (example.com), a name with stars (*.example.com,
// web-*.example.com), or either of these with placeholders that are filled from
// the caller's identity ({{identity.entity.name}}.users.example.com).
//
//   - An entry without a star allows itself. If it is a bare domain, which is a
//     registrable domain or a public suffix by the public suffix list, or a
//     single label, it does so only with [BareDomains].
//   - [Subdomains] adds the names below an entry without a star, at any depth
//     and on label boundaries: evilexample.com is not below example.com.
//   - An entry with a star allows nothing by itself. With [Globs] every star
//     stands for one or more characters, dots included.
//   - A wildcard name (*.example.com) is a request for a whole level of names, so
//     it always needs [Wildcards], and then an entry that is equal to it, or
//     Subdomains and an entry equal to or above what follows the star, or Globs
//     and an entry that matches it.
//
// # Identity is data
//
// What a placeholder receives can never change the shape of an entry: not its
// number of labels, not its stars, not the text around it. A value that is
// anything else than letters, digits and hyphens of one label makes its entry
// match nothing. See [Entry.Fill].
//
// # What is not decided here
//
// Whether a CA would certify a name is the CA's to say: wildcards over a top-level
// domain and names of more than ten labels are refused by public CAs, but not
// here, where the CA may be a private one. That a wildcard name needs the dns-01
// challenge is a rule about challenges and belongs to the caller. IP addresses are
// no DNS names and have no place in this package.
package domainmatch
