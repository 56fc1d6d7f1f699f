package pgvault

import (
	"bytes"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

// rowsOf reads rows with few indexes and tokens from bytes, each from one.
func rowsOf(data []byte) []tokenize.Row {
	rows := make([]tokenize.Row, len(data))
	for i, b := range data {
		rows[i] = tokenize.Row{Scope: string('a' + rune(b>>7)), Index: tokenize.Index{b & 15}, Token: []byte{'t', b >> 4 & 7}, Sealed: []byte{byte(i), b}}
	}
	return rows
}

// oneByOne is the contract: rows go into the table one after the other.
func oneByOne(table, rows []tokenize.Row) (after []tokenize.Row, out []tokenize.Outcome) {
	for _, r := range rows {
		o := tokenize.Outcome{Status: tokenize.Inserted, Row: r}
		for _, old := range table {
			if old.Scope == r.Scope && old.Index == r.Index {
				o = tokenize.Outcome{Status: tokenize.Exists, Row: old}
				break
			}
			if old.Scope == r.Scope && bytes.Equal(old.Token, r.Token) {
				o = tokenize.Outcome{Status: tokenize.Taken}
			}
		}
		if o.Status == tokenize.Inserted {
			table = append(table, r)
		}
		out = append(out, o)
	}
	return table, out
}

// FuzzOutcomes has batches come out as if their rows were inserted one after the
// other, though the table sees them in another order.
func FuzzOutcomes(f *testing.F) {
	f.Add([]byte{}, []byte{0, 0, 0})
	f.Add([]byte{0x00, 0x11}, []byte{0x00, 0x10, 0x01, 0x12, 0x22, 0x23, 0x33})
	f.Add([]byte{0x31}, []byte{0x32, 0x42, 0x52, 0x43, 0x53})             // taken, then free tokens for one index
	f.Add([]byte{0x05}, []byte{0x15, 0x16, 0x17, 0x96, 0x97, 0x9f, 0x1f}) // a token that its first row does not use
	f.Fuzz(func(t *testing.T, before, batch []byte) {
		if len(before) > 64 || len(batch) > 256 {
			return
		}
		table, _ := oneByOne(nil, rowsOf(before))
		rows := rowsOf(batch)
		wantTable, want := oneByOne(table, rows)
		out := make([]tokenize.Outcome, len(rows))
		places := make([]int, len(rows))
		for i := range places {
			places[i] = i
		}
		for len(places) > 0 {
			now, later := independent(rows, places)
			if len(now) == 0 || len(now)+len(later) != len(places) {
				t.Fatalf("%d places were split into %d and %d", len(places), len(now), len(later))
			}
			b := newBatch(rows, sorted(rows, now))
			table = simulate(table, b)
			if again := b.settle(rows, out); len(again) > 0 {
				t.Fatalf("%d rows have no outcome", len(again))
			}
			places = later
		}
		for i := range want {
			if !sameOutcome(out[i], want[i]) {
				t.Errorf("row %d of %x after %x: %+v, want %+v", i, batch, before, out[i], want[i])
			}
		}
		if len(table) != len(wantTable) {
			t.Errorf("%d rows stand, want %d", len(table), len(wantTable))
		}
	})
}

func sameOutcome(a, b tokenize.Outcome) bool {
	return a.Status == b.Status && sameKey(&a.Row, &b.Row) && bytes.Equal(a.Row.Token, b.Row.Token) && bytes.Equal(a.Row.Sealed, b.Row.Sealed)
}

// simulate is one transaction: the insert, and the statement after it.
func simulate(table []tokenize.Row, b *batch) []tokenize.Row {
	var sent []tokenize.Row
	for i := range b.order {
		sent = append(sent, tokenize.Row{Scope: string(b.scopes[i]), Index: tokenize.Index(b.indexes[i]), Token: b.tokens[i], Sealed: b.sealed[i]})
	}
	old := len(table)
	after, _ := oneByOne(table, sent)
	b.inserted = int64(len(after) - old)
	if int(b.inserted) == len(sent) {
		return after
	}
	for i, r := range sent {
		at := standing{found: true}
		for place, row := range after {
			switch {
			case row.Scope != r.Scope:
			case row.Index == r.Index:
				at.token, at.sealed = row.Token, row.Sealed
				at.found = place < old || !bytes.Equal(row.Token, r.Token)
			case bytes.Equal(row.Token, r.Token):
				at.taken = true
			}
		}
		if at.found {
			b.standing[i] = at
		}
	}
	return after
}
