package order

import "time"

const (
	// patience is how long an order is pursued when the CA sets no term: as
	// long as Let's Encrypt's "classic" orders live.
	patience = 7 * 24 * time.Hour
	// longestPatience is how long an order is pursued whatever the CA says:
	// three times as long as any CA is known to let a challenge pend.
	longestPatience = 90 * 24 * time.Hour
	// graceAfterCSR is how long a certificate is waited for once the CSR was
	// sent, even past the order's expiry: it may be counted as issued already.
	graceAfterCSR = 24 * time.Hour

	firstPoll   = 40 * time.Millisecond
	steadyPoll  = 15 * time.Second
	longestPoll = 10 * time.Minute
	// quickPolls come before the interval is steady; pollsAlike are made before
	// it is doubled from then on.
	quickPolls, pollsAlike = 9, 20

	// briefly is how long an order may wait without being stored.
	briefly = 250 * time.Millisecond

	firstRetry   = time.Second
	longestRetry = 10 * time.Minute

	// lagTries is how many times in a row a CA may fail to find what it has
	// made: for some seven seconds.
	lagTries = 3
)

// poll is how long to wait before reading a resource of the CA again for the
// n-th time (from 0), and never shorter than the CA asks (RFC 8555 §7.4,
// §7.5.1): doubling from an interval in which a CA on the same machine has
// answered to one that no public CA minds, then growing slowly with the time
// that has passed already, because a CA that takes days is not to be asked a
// hundred thousand times.
func poll(n int, asked time.Duration) time.Duration {
	d := double(firstPoll, n, steadyPoll)
	if d == steadyPoll {
		d = double(steadyPoll, (n-quickPolls)/pollsAlike, longestPoll)
	}
	return max(d, asked)
}

// backoff is how long to wait after the n-th failure in a row (from 1): from a
// second to ten minutes, spread by up to a fifth so that what failed together
// does not return together. jitter is in [0,1).
func backoff(n int, jitter float64) time.Duration {
	d := double(firstRetry, n-1, longestRetry)
	return d + time.Duration(jitter*float64(d)/5)
}

func double(first time.Duration, n int, longest time.Duration) time.Duration {
	for d := first; d < longest; d *= 2 {
		if n <= 0 {
			return d
		}
		n--
	}
	return longest
}
