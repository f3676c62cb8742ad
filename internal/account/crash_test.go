package account

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// TestCrashAtEverySave changes a key with every kind of answer, lets every save
// fail in turn, before or after its effect, and begins again with what was
// stored: as after a crash at that point. However it went, the account ends
// with the key that the CA knows, and can have it changed again.
func TestCrashAtEverySave(t *testing.T) {
	t.Parallel()
	answers := map[string]outcome{
		"fine": fine, "lost": lost, "away": away, "busy": busy, "refused": refused, "conflict": conflict, "repeated": repeated,
	}
	for name, answer := range answers {
		for failAt := range 4 { // 0: none fails
			for _, late := range []bool{false, true} {
				story := fmt.Sprintf("%s, save %d fails, late %t", name, failAt, late)
				v, ca := opened(t)
				ca.change, v.failAt, v.late = answer, failAt, late
				err := Rotate(context.Background(), v.load(), keys.EC384, ca, v.save, later)
				if err == nil && v.load().ActiveVersion() != 1 {
					t.Errorf("%s: reported as done, and is not stored", story)
				}
				v.failAt, ca.change = 0, fine
				v.settle(t, ca, story)
				if err := Rotate(context.Background(), v.load(), keys.EC256, ca, v.save, later); err != nil {
					t.Errorf("%s: and again: %v", story, err)
				}
				v.inForce(t, ca, story+", and again")
			}
		}
	}
}

// settle is the next use of the account, in which saves fail too.
func (v *vault) settle(t *testing.T, ca *fakeCA, story string) {
	t.Helper()
	for _, failAt := range []int{1, 0} {
		v.saves, v.failAt = 0, failAt
		err := Reconcile(context.Background(), v.load(), ca, v.save, later)
		if failAt == 0 && err != nil {
			t.Fatalf("%s: cannot be settled: %v", story, err)
		}
	}
	v.inForce(t, ca, story)
}

// TestAnUnsettledAccountIsNotRotated holds that there is never a second
// candidate: the first may be the account's key.
func TestAnUnsettledAccountIsNotRotated(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	v.leaveOpen(ca, true)
	first := v.load().Candidate.Key
	ca.finds = []outcome{away}
	err := Rotate(context.Background(), v.load(), keys.EC256, ca, v.save, later)
	if err == nil || !strings.Contains(err.Error(), "finding out which key") || v.load().Candidate.Key != first {
		t.Errorf("%v", err)
	}
	if err := Rotate(context.Background(), v.load(), keys.EC256, ca, v.save, later); err != nil {
		t.Fatal(err)
	}
	v.inForce(t, ca, "settled, then rotated")
	if got := v.load().ActiveVersion(); got != 2 {
		t.Errorf("version %d, want 2: both changes have happened", got)
	}
}
