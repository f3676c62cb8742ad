package renewal_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

func TestDemand(t *testing.T) {
	t.Parallel()
	week := renewal.Life{NotBefore: issued, NotAfter: issued.Add(7 * day)}
	quarter := renewal.Life{NotBefore: issued, NotAfter: issued.Add(100 * day)}
	var anything renewal.Demand
	for _, row := range []struct {
		reason string
		life   renewal.Life
		demand renewal.Demand
		age    time.Duration
		met    bool
	}{
		{"it is new", quarter, anything, 0, true},
		{"it is not due", quarter, anything, 66 * day, true},
		{"it is due", quarter, anything, 67 * day, false},
		{"a short one is due earlier", week, anything, 4 * day, false},
		{"a day is left when an hour will do", quarter, renewal.Least(time.Hour), 84 * day, true},
		{"too old for Vault Agent, whatever is demanded", quarter, renewal.Least(0), 85 * day, false},
		{"likewise as a share", quarter, renewal.Share(1), 85 * day, false},
		{"long enough, to the second", quarter, renewal.Least(60 * day), 40 * day, true},
		{"not long enough", quarter, renewal.Least(60 * day), 40*day + time.Second, false},
		{"share enough", quarter, renewal.Share(60), 40 * day, true},
		{"too little of it", quarter, renewal.Share(60), 40*day + time.Second, false},
		{"it has expired", quarter, anything, 101 * day, false},
	} {
		if got := row.demand.Met(row.life, renewal.Due(row.life.NotBefore, row.life.NotAfter), issued.Add(row.age)); got != row.met {
			t.Errorf("%s: met is %t after %s", row.reason, got, row.age)
		}
	}
}

// TestPossible: a demand that even a new certificate does not meet, or not for
// long, would have one ordered again and again.
func TestPossible(t *testing.T) {
	t.Parallel()
	life := renewal.Life{NotBefore: issued, NotAfter: issued.Add(100 * day)}
	for _, row := range []struct {
		reason   string
		demand   renewal.Demand
		possible bool
	}{
		{"none", renewal.Demand{}, true},
		{"nothing", renewal.Least(0), true},
		{"nine tenths", renewal.Least(90 * day), true},
		{"more", renewal.Least(90*day + time.Second), false},
		{"more than all", renewal.Least(1000 * day), false},
		{"the largest share", renewal.Share(renewal.MostShare), true},
		{"all of it", renewal.Share(100), false},
	} {
		if got := row.demand.Possible(life); got != row.possible {
			t.Errorf("%s: possible is %t", row.reason, got)
		}
	}
	if got := life.Most(); got != 90*day {
		t.Errorf("the most is %s", got)
	}
}
