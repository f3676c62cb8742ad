package renewal_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

func window(start, end time.Duration) renewal.Window {
	return renewal.Window{Start: after(start), End: after(end)}
}

func TestChosenTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		window renewal.Window
		now    time.Duration
		random float64
		want   time.Duration
		reason string
	}{
		{window(59*day, 61*day), day, 0.25, 59*day + 12*time.Hour, "evenly within the window"},
		{window(9*day, 10*day), 20 * day, 0.25, 20 * day, "the window is over: at once"},
		{window(19*day, 21*day), 20 * day, 0.25, 19*day + 12*time.Hour, "the window is open: a time that has passed is at once, too"},
		{window(-time.Hour, -time.Minute), time.Hour, 0.9, time.Hour, "an incident right after the issuance"},
		{window(0, 90*day), 0, 0, 9 * day, "a CA that suggests the whole life is not asked for a new certificate at once"},
		{window(0, 90*day), 0, 0.999999, 90*day - 90*day*15/100, "nor so late that Vault Agent takes it no more"},
		{window(200*day, 300*day), 0, 0.5, 90*day - 90*day*15/100, "a window after the end"},
		{window(0, day), time.Hour, 0.5, 9 * day, "an open window that ends too early: such a CA would have it renewed without end"},
	} {
		var a renewal.Advice
		a.Heard(test.window, "", 0, quarter, after(test.now), test.random)
		if got := a.Chosen.Sub(issued); got.Round(time.Hour) != test.want.Round(time.Hour) {
			t.Errorf("window %v: chosen %s after the issuance, want %s: %s", test.window, got, test.want, test.reason)
		}
	}
}

// RFC 9773 §4.2: the time is chosen once for a window, and anew for another.
func TestTheChosenTimeStays(t *testing.T) {
	t.Parallel()
	var a renewal.Advice
	a.Heard(window(59*day, 61*day), "https://ca.example/why", 0, quarter, issued, 0.1)
	chosen := a.Chosen
	a.Heard(window(59*day, 61*day), "https://ca.example/why", 0, quarter, after(day), 0.9)
	if a.Chosen != chosen || a.Explanation == "" {
		t.Errorf("the same window moved the time from %s to %s", chosen, a.Chosen)
	}
	a.Heard(window(2*day, 3*day), "", 0, quarter, after(4*day), 0.9)
	if a.Chosen != after(4*day) || a.Explanation != "" {
		t.Errorf("a window that is over has it renewed at %s", a.Chosen)
	}
	a.Heard(window(61*day, 59*day), "", 0, quarter, after(5*day), 0.9)
	if !a.Chosen.IsZero() || a.Window.Valid() {
		t.Errorf("a window that ends before it begins is no answer: %+v", a)
	}
}

// RFC 9773 §4.3: as often as the CA asks, from a minute to a day.
func TestAsk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		after, want time.Duration
		reason      string
	}{
		{0, 6 * time.Hour, "the CA did not say"},
		{time.Second, time.Minute, "no CA wants to be asked every second"},
		{3 * time.Hour, 3 * time.Hour, "what it asks for"},
		{1000 * time.Hour, day, "an incident must be noticed within a day"},
	} {
		var a renewal.Advice
		a.Heard(window(59*day, 61*day), "", test.after, quarter, issued, 0)
		if got := a.Ask.Sub(issued); got != test.want {
			t.Errorf("asked to wait %s: asks after %s, want %s: %s", test.after, got, test.want, test.reason)
		}
	}
	a := renewal.Advice{Window: window(59*day, 61*day), Chosen: after(60 * day)}
	a.Unheard(issued, true)
	if a.Ask != after(6*time.Hour) || a.Chosen != after(60*day) {
		t.Errorf("without an answer what was heard before holds: %+v", a)
	}
	if a.Unheard(issued, false); a.Ask != after(day) {
		t.Errorf("a CA that gives no such information is asked again at %s, want after a day", a.Ask)
	}
}
