package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// number is what medians are taken of.
type number interface {
	~int | ~int64 | ~float64
}

// median is the middle of the values, or the mean of the two in the middle; 0 if
// there are none.
func median[N number](values []N) N {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[N])
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// mean is the average; 0 if there are no values.
func mean[N number](values []N) float64 {
	if len(values) == 0 {
		return 0
	}
	var sum float64
	for _, v := range values {
		sum += float64(v)
	}
	return sum / float64(len(values))
}

// pick takes one figure out of each measurement.
func pick[T, N any](all []T, figure func(T) N) []N {
	out := make([]N, len(all))
	for i, one := range all {
		out[i] = figure(one)
	}
	return out
}

// milliseconds writes a duration for a table.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// times writes how many times as much one figure is as another.
func times(ratio float64) string { return fmt.Sprintf("%.2f×", ratio) }

func itoa(n int) string { return strconv.Itoa(n) }

// countOf writes how many names there are.
func countOf(names int) string {
	if names == 1 {
		return "1 name"
	}
	return itoa(names) + " names"
}
