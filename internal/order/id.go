package order

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ID names an order: a UUIDv7, in lower case with hyphens. Its first 48 bits
// are the time of creation, so ids sort by age and the hour under which an
// order is stored is computed from its id alone.
type ID string

// ErrID is wrapped by the error about a text that is no order id.
var ErrID = errors.New("is not an order id (a UUID of version 7)")

// NewID makes the id of an order that is created now.
func NewID() (ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an order id: %w", err)
	}
	return ID(id.String()), nil
}

// ParseID accepts the canonical form of a UUIDv7 and nothing else: an id is
// part of storage keys.
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 || id.String() != text {
		return "", fmt.Errorf("%.64q %w", text, ErrID)
	}
	return ID(text), nil
}

// Time is when the id was made, to the millisecond.
func (id ID) Time() time.Time {
	u, err := uuid.Parse(string(id))
	if err != nil {
		return time.Time{}
	}
	return time.Unix(u.Time().UnixTime()).UTC()
}

// Hour is the hour of the id's making in UTC, as "2026112309": the bucket in
// which the order is stored.
func (id ID) Hour() string { return HourOf(id.Time()) }

// HourOf is the bucket of all orders made in the hour of t.
func HourOf(t time.Time) string { return t.UTC().Format(hourLayout) }

// ParseHour gives the beginning of the hour that a bucket is named after.
func ParseHour(bucket string) (time.Time, error) {
	t, err := time.Parse(hourLayout, bucket)
	if err != nil || HourOf(t) != bucket { // time reads more than it writes
		return time.Time{}, fmt.Errorf("%.64q is not the name of an hour, as 2026112309 is", bucket)
	}
	return t, nil
}

const hourLayout = "2006010215"
