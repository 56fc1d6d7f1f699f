package keyops

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// KEKs sums the census up by KEK, in their order; records that bring no block come
// first, under the empty KEK.
func (c *Census) KEKs() []KEKCount {
	by := map[string]*KEKCount{}
	for i := range c.Keys {
		k := &c.Keys[i]
		n := by[k.KEK]
		if n == nil {
			n = &KEKCount{KEK: k.KEK}
			by[k.KEK] = n
		}
		n.Keys++
		n.Records += k.Records
		if k.Tenant != "" && !slices.Contains(n.Tenants, k.Tenant) && len(n.Tenants) < maxTenantsShown {
			n.Tenants = append(n.Tenants, k.Tenant)
		}
	}
	var out []KEKCount
	for _, kek := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[kek].Tenants)
		out = append(out, *by[kek])
	}
	return out
}

// maxTenantsShown bounds the tenants that a KEKCount names.
const maxTenantsShown = 1000

// Records returns how many records were read, need no key, and could not be read.
func (c *Census) Records() (all, plain, unknown int64) {
	for i := range c.Partitions {
		p := &c.Partitions[i]
		all, plain, unknown = all+p.Records, plain+p.Plain, unknown+p.Unknown.Records
	}
	return all, plain, unknown
}

// PersonRecords returns how many records have values under keys of persons.
func (c *Census) PersonRecords() (n int64) {
	for i := range c.Partitions {
		n += c.Partitions[i].Persons.Records
	}
	return n
}

// Places returns the first places of records that could not be read.
func (c *Census) Places() []Place {
	var out []Place
	for i := range c.Partitions {
		out = append(out, c.Partitions[i].Unknown.First...)
	}
	return out[:min(len(out), MaxPlaces)]
}

// Prune forgets what was counted of records that the log does not hold any more:
// of partitions whose Start has moved on. A span that has lost only a part of its
// records keeps its counts; a new census tells them exactly.
func (c *Census) Prune() {
	starts := map[string]map[int32]int64{}
	for i := range c.Partitions {
		p := &c.Partitions[i]
		if starts[p.Topic] == nil {
			starts[p.Topic] = map[int32]int64{}
		}
		starts[p.Topic][p.Partition] = p.Start
		if p.Unknown.Records > 0 && p.Unknown.Last < p.Start {
			p.Unknown = Unknown{}
		}
		if p.Persons.Records > 0 && p.Persons.Last < p.Start {
			p.Persons = Persons{}
		}
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		k.Spans = slices.DeleteFunc(k.Spans, func(s Span) bool {
			start, ok := starts[s.Topic][s.Partition]
			gone := !ok || s.Last < start
			if gone {
				k.Records -= s.Records
			}
			return gone
		})
	}
	c.Keys = slices.DeleteFunc(c.Keys, func(k Key) bool { return len(k.Spans) == 0 })
}

// Sort puts partitions, keys and spans into the order that Census promises.
func (c *Census) Sort() {
	slices.SortFunc(c.Partitions, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	slices.SortFunc(c.Keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.KEK, b.KEK), cmp.Compare(a.Tenant, b.Tenant))
	})
	for i := range c.Keys {
		slices.SortFunc(c.Keys[i].Spans, func(a, b Span) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
	}
}

// WriteText writes a report for people: the KEKs, the partitions, and at most
// keys data keys, those with most records first.
func (c *Census) WriteText(w io.Writer, keys int) error {
	all, plain, unknown := c.Records()
	state := "complete"
	if !c.Complete {
		state = "NOT COMPLETE"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // Flush tells of errors
	printf("Census of %s, %s: %d records, %d need no key, %d could not be read\n\n", c.Updated.UTC().Format(time.RFC3339), state, all, plain, unknown)
	printf("KEK\tKEYS\tRECORDS\tTENANTS\n")
	for _, k := range c.KEKs() {
		printf("%s\t%d\t%d\t%d\n", cmp.Or(k.KEK, "(no block in the record)"), k.Keys, k.Records, len(k.Tenants))
	}
	if n := c.PersonRecords(); n > 0 {
		printf("(keys of persons)\t-\t%d\t-\n", n)
	}
	printf("\nTOPIC\tPARTITION\tREAD\tRECORDS\tNO KEY\tUNKNOWN\tOPEN\n")
	for _, p := range c.Partitions {
		printf("%s\t%d\t%d to %d of %d\t%d\t%d\t%d\t%d\n", p.Topic, p.Partition, p.Start, p.Next, p.End, p.Records, p.Plain, p.Unknown.Records, p.Open)
	}
	if keys > 0 && len(c.Keys) > 0 {
		printf("\nDATA KEY\tKEK\tTENANT\tRECORDS\tFIRST\tLAST\n")
		most := slices.SortedStableFunc(slices.Values(c.Keys), func(a, b Key) int { return cmp.Compare(b.Records, a.Records) })
		for _, k := range most[:min(keys, len(most))] {
			first, last := k.Spans[0].FirstTime, k.Spans[0].LastTime
			for _, s := range k.Spans {
				first, last = earlier(first, s.FirstTime), later(last, s.LastTime)
			}
			printf("%s\t%s\t%s\t%d\t%s\t%s\n", k.ID, cmp.Or(k.KEK, "-"), cmp.Or(k.Tenant, "-"), k.Records,
				first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
		}
		if len(most) > keys {
			printf("and %d more\n", len(most)-keys)
		}
	}
	if places := c.Places(); len(places) > 0 {
		printf("\nCould not be read:\n")
		for _, p := range places {
			printf("%s\n", p)
		}
	}
	return t.Flush()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
