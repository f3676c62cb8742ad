package main

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why    string
		values []int
		want   int
	}{
		{"nothing was measured", nil, 0},
		{"one value is the middle", []int{7}, 7},
		{"values come in any order", []int{9, 1, 5}, 5},
		{"one outlier changes nothing", []int{1, 2, 3, 4, 1000}, 3},
		{"with an even number, between the two in the middle", []int{4, 1, 2, 100}, 3},
	} {
		if got := median(row.values); got != row.want {
			t.Errorf("%s: median of %v is %d, want %d", row.why, row.values, got, row.want)
		}
	}
}

func TestMeanOfNothing(t *testing.T) {
	t.Parallel()
	if got := mean([]int{}); got != 0 {
		t.Errorf("it is %v", got)
	}
	if got := mean([]int{1, 2}); got != 1.5 {
		t.Errorf("of 1 and 2 it is %v", got)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1.5 ms":   milliseconds(1500 * time.Microsecond),
		"999 ns":   nanoseconds(999),
		"1.0 µs":   nanoseconds(1000),
		"2.5 ms":   nanoseconds(2.5e6),
		"1.15×":    times(1.15),
		"25.4 MiB": mebibytes(26_599_586),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
