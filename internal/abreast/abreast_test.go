package abreast

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDo lets each piece of work take an hour of synthetic time, but fail at once.
func TestDo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		n, limit int
		fail     []int
		hours    int
		begun    int
		want     string
		reason   string
	}{
		{0, 4, nil, 0, 0, "", "nothing to be done"},
		{1, 4, nil, 1, 1, "", "one is done at once"},
		{4, 4, nil, 1, 4, "", "all together"},
		{9, 4, nil, 3, 9, "", "never more than the limit"},
		{3, 1, nil, 3, 3, "", "one at a time"},
		{3, 0, nil, 3, 3, "", "no limit means one at a time"},
		{9, 1, []int{3}, 3, 4, "3", "nothing is begun after a failure"},
		{9, 4, []int{3}, 1, 4, "3", "what has begun is waited for"},
		{2, 4, []int{0, 1}, 0, -1, "0", "the first in order is told"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			begun, began := 0, time.Now()
			err := Do(row.n, row.limit, func(i int) error {
				mu.Lock()
				begun++
				mu.Unlock()
				if slices.Contains(row.fail, i) {
					return errors.New(fmt.Sprint(i))
				}
				<-time.After(time.Hour)
				return nil
			})
			told := ""
			if err != nil {
				told = err.Error()
			}
			if hours := int(time.Since(began) / time.Hour); hours != row.hours || row.begun >= 0 && begun != row.begun || told != row.want {
				t.Errorf("%d by %d: %d begun, %d hours, error %q; want %+v", row.n, row.limit, begun, hours, told, row)
			}
		})
	}
}

// TestPanicsReachTheCaller, who would otherwise lose the process.
func TestPanicsReachTheCaller(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 3} {
		func() {
			defer func() {
				if cause := recover(); !strings.HasPrefix(fmt.Sprint(cause), "a fault") {
					t.Errorf("with a limit of %d the caller recovers %v", limit, cause)
				}
			}()
			_ = Do(5, limit, func(int) error { panic("a fault") })
			t.Errorf("with a limit of %d the panic is lost", limit)
		}()
	}
}
