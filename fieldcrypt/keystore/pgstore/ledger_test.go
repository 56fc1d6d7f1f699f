package pgstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// chain makes entries that follow each other.
func chain(id shred.LedgerID, n int) []shred.Entry {
	prev := shred.FirstPrev(id)
	all := make([]shred.Entry, n)
	for i := range all {
		e := shred.Entry{Seq: uint64(i) + 1, Time: time.Unix(int64(i), 0).UTC(), Tenant: "acme", Person: shred.PersonID{byte(i)}, By: "desk", Reason: "request", Prev: prev}
		e.Hash = e.Sum()
		prev, all[i] = e.Hash, e
	}
	return all
}

func TestChainsThatAreWholeAreRead(t *testing.T) {
	id := shred.LedgerID{1}
	all := chain(id, 6)
	for after := range 8 {
		for limit := 1; limit < 9; limit++ {
			// What the query answers: from the entry after on, and one more than asked for.
			from := min(max(after-1, 0), 6)
			answer := slices.Clone(all[from:min(from+limit+1, 6)])
			if after == 7 {
				answer = nil
			}
			got, err := chained(answer, id, uint64(after), limit)
			begin := min(after, 6)
			if want := all[begin:min(begin+limit, 6)]; err != nil || !slices.Equal(got, want) {
				t.Errorf("after %d, at most %d: %d entries, want %d, %v", after, limit, len(got), len(want), err)
			}
		}
	}
}

func TestChainsThatAreBrokenAreRefused(t *testing.T) {
	id := shred.LedgerID{1}
	rehash := func(e *shred.Entry) { e.Hash = e.Sum() }
	for _, test := range []struct {
		name   string
		damage func(all []shred.Entry) []shred.Entry
	}{
		{"an entry is missing", func(all []shred.Entry) []shred.Entry { return slices.Delete(all, 3, 4) }},
		{"two are exchanged", func(all []shred.Entry) []shred.Entry { all[3], all[4] = all[4], all[3]; return all }},
		{"one is there twice", func(all []shred.Entry) []shred.Entry { return slices.Insert(all, 3, all[3]) }},
		{"a person is another one", func(all []shred.Entry) []shred.Entry { all[3].Person[0]++; return all }},
		{"a person is another one, with the hash", func(all []shred.Entry) []shred.Entry { all[3].Person[0]++; rehash(&all[3]); return all }},
		{"a tenant is another one", func(all []shred.Entry) []shred.Entry { all[3].Tenant = "acmf"; return all }},
		{"a reason is another one", func(all []shred.Entry) []shred.Entry { all[3].Reason = "requesu"; return all }},
		{"a time is another one", func(all []shred.Entry) []shred.Entry { all[3].Time = all[3].Time.Add(time.Second); return all }},
		{"a hash is another one", func(all []shred.Entry) []shred.Entry { all[3].Hash[5]++; return all }},
		{"a link is another one", func(all []shred.Entry) []shred.Entry { all[3].Prev[5]++; rehash(&all[3]); return all }},
		{"numbers are moved", func(all []shred.Entry) []shred.Entry {
			for i := range all {
				all[i].Seq++
			}
			return all
		}},
		{"fields were damaged beyond use", func(all []shred.Entry) []shred.Entry { all[3] = shred.Entry{Seq: 4}; return all }},
	} {
		for _, after := range []uint64{0, 2, 3} {
			t.Run(fmt.Sprintf("%s after %d", test.name, after), func(t *testing.T) {
				all := test.damage(chain(id, 6))
				got, err := chained(all[max(after, 1)-1:], id, after, 10)
				if !errors.Is(err, shred.ErrLedger) || got != nil {
					t.Errorf("%d entries, %v", len(got), err)
				}
			})
		}
	}
	if _, err := chained(chain(id, 3), shred.LedgerID{2}, 0, 10); !errors.Is(err, shred.ErrLedger) {
		t.Errorf("the chain of another ledger: %v", err)
	}
}

// What a server says it has written is compared with what was asked for.
func TestEntriesThatAreNotTheOnesAskedForAreRefused(t *testing.T) {
	id := shred.LedgerID{1}
	asked := shred.Entry{Tenant: "acme", Person: shred.PersonID{5}, By: "desk", Reason: "request", Time: time.Unix(7, 9).UTC()}
	for _, test := range []struct {
		name   string
		change func(e *shred.Entry)
		ok     bool
	}{
		{"the one", func(e *shred.Entry) { e.Hash = e.Sum() }, true},
		{"without its hash", func(*shred.Entry) {}, false},
		{"of another person", func(e *shred.Entry) { e.Person[0]++; e.Hash = e.Sum() }, false},
		{"of another tenant", func(e *shred.Entry) { e.Tenant = "x"; e.Hash = e.Sum() }, false},
		{"of another time", func(e *shred.Entry) { e.Time = time.Unix(8, 0); e.Hash = e.Sum() }, false},
		{"by somebody else", func(e *shred.Entry) { e.By = "x"; e.Hash = e.Sum() }, false},
		{"for another reason", func(e *shred.Entry) { e.Reason = "x"; e.Hash = e.Sum() }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := asked
			e.Seq, e.Prev, e.Time = 1, shred.FirstPrev(id), time.Unix(7, 0).UTC()
			test.change(&e)
			f := &fake{changed: "1", row: []any{int64(1), e.Time.Unix(), []byte(e.Tenant), e.Person[:], []byte(e.By), []byte(e.Reason), e.Prev[:], e.Hash[:]}}
			got, err := f.ledger(t).Append(t.Context(), asked)
			if test.ok != (err == nil) || err != nil && !errors.Is(err, shred.ErrLedger) || test.ok && got != e {
				t.Errorf("%v, %v", got, err)
			}
			if len(f.messages) != 1 {
				t.Errorf("%d messages", len(f.messages))
			}
		})
	}
}
