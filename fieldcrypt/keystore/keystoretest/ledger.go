package keystoretest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

type ledgers = handles[shred.Ledger]

func ledgerChecks() []check[shred.Ledger] {
	return []check[shred.Ledger]{
		{"the id is the ledger's own and stays", checkLedgerID},
		{"an empty ledger has no entries", checkEmptyLedger},
		{"entries form a chain", checkChain},
		{"an entry is returned as it stands", checkEntry},
		{"texts and names are kept to the byte", checkTexts},
		{"an entry that is refused is not added", checkRefusedEntry},
		{"entries are read after any other and up to a limit", checkRead},
		{"an ended context says nothing about the ledger", checkLedgerEnded},
		{"entries belong to the caller", checkEntryOwnership},
		{"those who append at a time are put in a row", checkAppendRace},
		{"whoever reads while others append sees whole chains", checkReadRace},
	}
}

func newEntry() shred.Entry {
	return shred.Entry{
		Time: time.Date(2026, 11, 21, 14, 4, 10, 0, time.UTC), Tenant: "acme", Person: newPerson(), By: "privacy desk", Reason: "request 4711",
	}
}

// chained tells whether entries are those of a ledger after a Seq and a hash.
func chained(entries []shred.Entry, after uint64, prev [32]byte) error {
	for _, e := range entries {
		after++
		switch {
		case e.Seq != after:
			return faultf("entry %d stands where entry %d belongs", e.Seq, after)
		case e.Prev != prev:
			return faultf("entry %d does not hold the hash of the one before", e.Seq)
		case e.Hash != e.Sum():
			return faultf("entry %d does not have its hash", e.Seq)
		case e.Time.Location() != time.UTC || e.Time.Nanosecond() != 0:
			return faultf("the time of entry %d is not in UTC and whole seconds", e.Seq)
		}
		prev = e.Hash
	}
	return nil
}

// readAll reads a ledger in parts of so many entries, and checks the chain.
func readAll(ctx context.Context, l shred.Ledger, part int) ([]shred.Entry, error) {
	id, err := l.ID(ctx)
	if err != nil {
		return nil, faultf("ID: %w", err)
	}
	var all []shred.Entry
	for {
		entries, err := l.Read(ctx, uint64(len(all)), part)
		switch {
		case err != nil:
			return nil, faultf("Read: %w", err)
		case len(entries) > part:
			return nil, faultf("Read returned %d entries, and %d was the limit", len(entries), part)
		case len(entries) == 0:
			return all, chained(all, 0, shred.FirstPrev(id))
		}
		all = append(all, entries...)
	}
}

// appendNew appends so many new entries, one handle after the other.
func appendNew(ctx context.Context, h ledgers, n int) ([]shred.Entry, error) {
	entries := make([]shred.Entry, n)
	for i := range entries {
		e, err := h.at(i).Append(ctx, newEntry())
		if err != nil {
			return nil, faultf("Append: %w", err)
		}
		entries[i] = e
	}
	return entries, nil
}

func checkLedgerID(ctx context.Context, h ledgers) error {
	id, err := h.first().ID(ctx)
	if err != nil {
		return faultf("ID: %w", err)
	}
	if id == (shred.LedgerID{}) {
		return errors.New("the id was not drawn")
	}
	if _, err := appendNew(ctx, h, 2); err != nil {
		return err
	}
	for i := range h {
		if again, err := h.at(i).ID(ctx); err != nil || again != id {
			return faultf("the id of handle %d is %s, and of the first %s: %w", i, again, id, err)
		}
	}
	return nil
}

func checkEmptyLedger(ctx context.Context, h ledgers) error {
	for _, after := range []uint64{0, 1, math.MaxUint64} {
		for _, limit := range []int{0, 1, math.MaxInt} {
			if entries, err := h.first().Read(ctx, after, limit); err != nil || len(entries) != 0 {
				return faultf("Read after %d, at most %d: %d entries, %w", after, limit, len(entries), err)
			}
		}
	}
	return nil
}

func checkChain(ctx context.Context, h ledgers) error {
	id, err := h.first().ID(ctx)
	if err != nil {
		return faultf("ID: %w", err)
	}
	entries, err := appendNew(ctx, h, 10)
	if err != nil {
		return err
	}
	if err := chained(entries, 0, shred.FirstPrev(id)); err != nil {
		return err
	}
	for i := range h {
		all, err := readAll(ctx, h.at(i), 3)
		if err != nil {
			return err
		}
		if !slices.Equal(all, entries) {
			return faultf("Read returns other entries than Append did")
		}
	}
	return nil
}

// checkEntry gives an entry what the ledger has to set, and a time from
// elsewhere.
func checkEntry(ctx context.Context, h ledgers) error {
	e := newEntry()
	e.Seq, e.Prev, e.Hash = 99, [32]byte{1}, [32]byte{2}
	at := time.Date(2026, 11, 21, 14, 4, 10, 987654321, time.FixedZone("east", 5*3600+1800))
	e.Time = at
	got, err := h.first().Append(ctx, e)
	if err != nil {
		return faultf("Append: %w", err)
	}
	id, err := h.first().ID(ctx)
	if err != nil {
		return faultf("ID: %w", err)
	}
	if err := chained([]shred.Entry{got}, 0, shred.FirstPrev(id)); err != nil {
		return err
	}
	if !got.Time.Equal(at.Truncate(time.Second)) {
		return faultf("the time %s became %s", at, got.Time)
	}
	if got.Tenant != e.Tenant || got.Person != e.Person || got.By != e.By || got.Reason != e.Reason {
		return faultf("Append returned another entry")
	}
	all, err := readAll(ctx, h.other(), 10)
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0] != got {
		return faultf("Read returns another entry than Append did")
	}
	return nil
}

func checkTexts(ctx context.Context, h ledgers) error {
	var entries []shred.Entry
	add := func(tenant, by, reason string, at time.Time) error {
		e := newEntry()
		e.Tenant, e.By, e.Reason, e.Time = tenant, by, reason, at
		got, err := h.at(len(entries)).Append(ctx, e)
		if err != nil {
			return faultf("Append for tenant %q by %q at %s: %w", tenant, by, at, err)
		}
		if got.Tenant != tenant || got.By != by || got.Reason != reason || got.Time.Unix() != at.Unix() {
			return faultf("Append changed tenant %q, %q, %q or %s", tenant, by, reason, at)
		}
		entries = append(entries, got)
		return nil
	}
	now := newEntry().Time
	for _, tenant := range edgeTenants() {
		if err := add(tenant, "a", "b", now); err != nil {
			return err
		}
	}
	for _, text := range []string{
		`"quoted" \back\ /slash/`, "<b>&amp;</b>", "'; drop table x; --", "a\u2028b\u2029c\u0085d", "ÄÖÜ 日本語 \U0001F512", "\ufffd", "\ufeffbom", "{}", "null", " ",
		strings.Repeat("x", shred.MaxNote), strings.Repeat("\u2028", shred.MaxNote/3), strings.Repeat(`"`, shred.MaxNote),
	} {
		if err := errors.Join(add("acme", text, "b", now), add("acme", "a", text, now)); err != nil {
			return err
		}
	}
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1<<31, 0), time.Date(1970, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(2100, 2, 28, 0, 0, 0, 0, time.UTC),
	} {
		if err := add("acme", "a", "b", at); err != nil {
			return err
		}
	}
	all, err := readAll(ctx, h.other(), 7)
	if err != nil {
		return err
	}
	if !slices.Equal(all, entries) {
		return faultf("Read returns other entries than Append did")
	}
	return nil
}

func checkRefusedEntry(ctx context.Context, h ledgers) error {
	standing, err := appendNew(ctx, h, 2)
	if err != nil {
		return err
	}
	for name, change := range map[string]func(e *shred.Entry){
		"a long tenant":       func(e *shred.Entry) { e.Tenant = strings.Repeat("x", shred.MaxTenant+1) },
		"a long by":           func(e *shred.Entry) { e.By = strings.Repeat("x", shred.MaxNote+1) },
		"a long reason":       func(e *shred.Entry) { e.Reason = strings.Repeat("x", shred.MaxNote+1) },
		"no by":               func(e *shred.Entry) { e.By = "" },
		"no reason":           func(e *shred.Entry) { e.Reason = "" },
		"a line feed in by":   func(e *shred.Entry) { e.By = "a\nb" },
		"a NUL in the reason": func(e *shred.Entry) { e.Reason = "a\x00b" },
		"by that is no UTF-8": func(e *shred.Entry) { e.By = "a\xffb" },
		"a cut reason":        func(e *shred.Entry) { e.Reason = "\xe6\x97" },
	} {
		e := newEntry()
		change(&e)
		got, err := h.first().Append(ctx, e)
		if err := want("Append of "+name, err, shred.ErrInvalid); err != nil {
			return err
		}
		if got != (shred.Entry{}) {
			return faultf("Append of %s returned an entry with its error", name)
		}
	}
	all, err := readAll(ctx, h.other(), 10)
	if err != nil {
		return err
	}
	if !slices.Equal(all, standing) {
		return errors.New("an entry that was refused stands in the ledger, or another is lost")
	}
	next, err := h.first().Append(ctx, newEntry())
	if err != nil {
		return faultf("Append: %w", err)
	}
	return chained([]shred.Entry{next}, 2, standing[1].Hash)
}

func checkRead(ctx context.Context, h ledgers) error {
	const n = 12
	entries, err := appendNew(ctx, h, n)
	if err != nil {
		return err
	}
	for after := range n + 3 {
		for _, limit := range []int{0, 1, 2, 5, n, n + 1, math.MaxInt} {
			from := min(after, n)
			expected := entries[from : from+min(limit, n-from)]
			got, err := h.at(after+limit%2).Read(ctx, uint64(after), limit)
			if err != nil || !slices.Equal(got, expected) {
				return faultf("Read after %d, at most %d: %d entries, want %d, %w", after, limit, len(got), len(expected), err)
			}
		}
	}
	for _, after := range []uint64{1 << 31, 1 << 63, math.MaxUint64} {
		if got, err := h.first().Read(ctx, after, 1); err != nil || len(got) != 0 {
			return faultf("Read after %d: %d entries, %w", after, len(got), err)
		}
	}
	return nil
}

func checkLedgerEnded(ctx context.Context, h ledgers) error {
	gone := ended(ctx)
	entries, err := appendNew(ctx, h, 2)
	if err != nil {
		return err
	}
	_, errID := h.first().ID(gone)
	got, errRead := h.first().Read(gone, 0, 10)
	if errRead == nil && !slices.Equal(got, entries) {
		return faultf("Read with an ended context leaves entries out")
	}
	added, errAppend := h.first().Append(gone, newEntry())
	if errAppend == nil {
		entries = append(entries, added)
	}
	all, err := readAll(ctx, h.other(), 10)
	switch {
	case err != nil:
		return err
	case len(all) < len(entries) || !slices.Equal(all[:len(entries)], entries):
		return faultf("Append with an ended context claims to have added an entry")
	}
	return errors.Join(endedWell("ID", errID), endedWell("Read", errRead), endedWell("Append", errAppend))
}

func checkEntryOwnership(ctx context.Context, h ledgers) error {
	entries, err := appendNew(ctx, h, 3)
	if err != nil {
		return err
	}
	got, err := h.first().Read(ctx, 0, 10)
	if err != nil {
		return faultf("Read: %w", err)
	}
	clear(got)
	all, err := readAll(ctx, h.first(), 10)
	if err != nil {
		return faultf("after the slice was wiped: %w", err)
	}
	if !slices.Equal(all, entries) {
		return errors.New("the ledger handed out its own slice")
	}
	return nil
}

func checkAppendRace(ctx context.Context, h ledgers) error {
	entries := make([]shred.Entry, racers)
	err := race(racers, func(i int) (err error) {
		entries[i], err = h.at(i).Append(ctx, newEntry())
		return want("Append", err, nil)
	})
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b shred.Entry) int { return int(a.Seq) - int(b.Seq) }) //nolint:gosec // small counts
	for i := range h {
		all, err := readAll(ctx, h.at(i), 33)
		if err != nil {
			return err
		}
		if !slices.Equal(all, entries) {
			return errors.New("the ledger holds other entries than those who appended were told")
		}
	}
	return nil
}

func checkReadRace(ctx context.Context, h ledgers) error {
	const writers, each = 4, 20
	return race(2*writers, func(i int) error {
		if i < writers {
			_, err := appendNew(ctx, ledgers{h.at(i)}, each)
			return err
		}
		seen := 0
		for seen < writers*each {
			all, err := readAll(ctx, h.at(i), 9)
			if err != nil {
				return err
			}
			if len(all) < seen {
				return errors.New("entries that were there are gone")
			}
			seen = len(all)
			if err := ctx.Err(); err != nil {
				return err
			}
			if seen == 0 {
				continue
			}
			// The last one is durable and stays what it is.
			last, err := h.at(i+1).Read(ctx, uint64(seen)-1, 1)
			if err != nil || len(last) != 1 || last[0] != all[seen-1] {
				return faultf("an entry that was seen is another one by now: %w", err)
			}
		}
		return nil
	})
}
