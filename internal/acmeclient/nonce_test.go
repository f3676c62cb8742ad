package acmeclient

import (
	"strconv"
	"testing"
	"time"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func TestNoncePool(t *testing.T) {
	t.Parallel()
	var p noncePool
	if got := p.take(noon); got != "" {
		t.Errorf("an empty pool gave %q", got)
	}
	p.put("", noon) // an answer without one
	p.put("old", noon)
	p.put("new", noon.Add(time.Minute))
	if got := p.take(noon.Add(time.Minute)); got != "new" {
		t.Errorf("got %q; the newest is the least likely to be forgotten", got)
	}
	if got := p.take(noon.Add(nonceLife + time.Second)); got != "" {
		t.Errorf("got %q, which is too old", got)
	}
}

func TestNoncePoolIsBounded(t *testing.T) {
	t.Parallel()
	var p noncePool
	for i := range 3 * maxNonces {
		p.put(strconv.Itoa(i), noon)
	}
	for i := range maxNonces {
		if got, want := p.take(noon), strconv.Itoa(3*maxNonces-1-i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if got := p.take(noon); got != "" {
		t.Errorf("got %q beyond the bound", got)
	}
}

func TestNonceDelay(t *testing.T) {
	t.Parallel()
	var total time.Duration
	for try := range maxTries {
		d := nonceDelay(try)
		if try <= 5 && d != 0 {
			t.Errorf("try %d waits %v; RFC 8555 §6.5 wants it at once", try, d)
		}
		if try > 0 && d < nonceDelay(try-1) {
			t.Errorf("try %d waits less than the one before", try)
		}
		total += d
	}
	if total > patience/4 {
		t.Errorf("all tries together wait %v, which leaves too little of %v for the requests", total, patience)
	}
}

func TestIsBase64URL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "abcXYZ019-_": true, "a": true,
		"a=": false, "a+b": false, "a/b": false, "../../etc/passwd": false, "a b": false, "a\x00": false, "é": false,
	} {
		if isBase64URL(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
