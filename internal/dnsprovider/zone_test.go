package dnsprovider_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// txtRecord is one value as a client wrote it.
type txtRecord struct {
	id    int64
	value string
	ttl   int64
}

// txtZones is the records of a service. All methods may be called by several
// requests at once; what belongs together happens under lock.
type txtZones struct {
	sync.Mutex

	names   []string // of the zones, in lower case
	records map[string][]txtRecord
	lastID  int64
	etags   map[string]int
}

func newZones(names ...string) *txtZones {
	return &txtZones{names: names, records: map[string][]txtRecord{}, etags: map[string]int{}}
}

// lookup is the values at a name as the DNS has them.
func (z *txtZones) lookup(name string) []string {
	z.Lock()
	defer z.Unlock()
	var values []string
	for _, r := range z.records[name] {
		values = append(values, strings.Trim(r.value, `"[]`))
	}
	return values
}

// holds tells whether a name is in one of the zones.
func (z *txtZones) holds(name string) bool {
	return slices.ContainsFunc(z.names, func(zone string) bool { return strings.HasSuffix("."+name, "."+zone) })
}

// put makes a record without a request, as others would.
func (z *txtZones) put(name, value string, ttl int64) {
	z.Lock()
	defer z.Unlock()
	z.add(name, value, ttl)
}

// wipe removes all records of a name without a request.
func (z *txtZones) wipe(name string) {
	z.Lock()
	defer z.Unlock()
	delete(z.records, name)
}

func (z *txtZones) add(name, value string, ttl int64) txtRecord {
	z.lastID++
	z.etags[name]++
	r := txtRecord{z.lastID, value, ttl}
	z.records[name] = append(z.records[name], r)
	return r
}

// replaceAll puts a whole set in the place of another.
func (z *txtZones) replaceAll(name string, values []string, ttl int64) {
	delete(z.records, name)
	z.etags[name]++
	for _, v := range values {
		z.add(name, v, ttl)
	}
}

// drop removes a record by its id.
func (z *txtZones) drop(id string) bool {
	for name, all := range z.records {
		left := slices.DeleteFunc(slices.Clone(all), func(r txtRecord) bool { return strconv.FormatInt(r.id, 10) == id })
		if len(left) < len(all) {
			z.records[name] = left
			return true
		}
	}
	return false
}

func (z *txtZones) values(name string) (values []string) {
	for _, r := range z.records[name] {
		values = append(values, r.value)
	}
	return values
}

// expectTXT compares what is at a name.
func expectTXT(t *testing.T, z *txtZones, name string, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(z.lookup(name)))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", name, got, want)
	}
}
