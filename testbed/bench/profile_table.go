package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// spentOn is the processor time that a certificate takes of a kind, in both
// processes.
func (p profiled) spentOn(name string) time.Duration {
	return part(p.cpu.plugin, p.plugin[name]) + part(p.cpu.vault, p.vault[name])
}

func part(of time.Duration, share float64) time.Duration {
	return time.Duration(float64(of) * share)
}

func (p profiled) table() table {
	out := table{
		title: fmt.Sprintf("Where the processor time of %d orders at once goes", burstOrders),
		about: fmt.Sprintf(`Profiles of both processes during %s of such bursts at a CA that looks at challenges, in servers of their own. A
sample counts for the innermost function that is of one of the kinds; the processor time is what the system accounts
per certificate. There is a sample for each 10ms of work, so that shares are good to a few percent of the whole.

%s`, profileTime, wrapped(p.reading())),
		columns: []string{"per certificate", "plugin", "share", "Vault", "share"},
	}
	for _, name := range append(p.byCost(), "together") {
		out.rows = append(out.rows, p.row(name))
	}
	return out
}

func (p profiled) row(name string) []string {
	out := []string{name}
	for _, process := range []struct {
		spent  time.Duration
		shares shares
	}{{p.cpu.plugin, p.plugin}, {p.cpu.vault, p.vault}} {
		share, found := process.shares[name]
		switch {
		case name == "together":
			out = append(out, milliseconds(process.spent), "100 %")
		case !found:
			out = append(out, "", "")
		default:
			out = append(out, milliseconds(part(process.spent, share)), percent(share))
		}
	}
	return out
}

// byCost are the kinds that were seen, the dearest first, and others behind them.
func (p profiled) byCost() []string {
	var names []string
	for _, k := range kinds {
		if p.spentOn(k.name) > 0 {
			names = append(names, k.name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(p.spentOn(b), p.spentOn(a)) })
	return append(names, others)
}

// reading says in two sentences what the figures mean for the rate.
func (p profiled) reading() string {
	both, all := p.cpu.plugin+p.cpu.vault, p.cpu.plugin+p.cpu.vault+p.cpu.ca+p.cpu.clients
	dearest := p.byCost()
	dearest = dearest[:min(3, len(dearest)-1)]
	for i, name := range dearest {
		dearest[i] = fmt.Sprintf("%s (%s)", name, percent(float64(p.spentOn(name))/float64(both)))
	}
	var acme time.Duration
	for _, k := range kinds {
		if k.acme {
			acme += part(p.cpu.plugin, p.plugin[k.name])
		}
	}
	return fmt.Sprintf("Of the %s that Vault and the plugin spend on a certificate, the most goes into %s; the part that every client of a CA has, "+
		"its requests and keys, takes the plugin %s. With what the CA and the clients spend it is %s, with which %d processors "+
		"reach %.1f certificates per second at most; these bursts reached %.1f.",
		milliseconds(both), strings.Join(dearest, ", "), milliseconds(acme),
		milliseconds(all), runtime.NumCPU(), float64(runtime.NumCPU())/all.Seconds(), p.rate)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// lineLength is where prose is broken, in characters.
const lineLength = 115

// wrapped breaks prose into lines.
func wrapped(prose string) string {
	var text strings.Builder
	length := 0
	for i, word := range strings.Fields(prose) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case length+1+n > lineLength:
			text.WriteByte('\n')
			length = 0
		default:
			text.WriteByte(' ')
			length++
		}
		text.WriteString(word)
		length += n
	}
	return text.String()
}
