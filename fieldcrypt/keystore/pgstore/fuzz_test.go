package pgstore

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// Whatever a server answers, a row comes out of it only with its checksum, of the
// right sizes, and never out of a tombstone.
func FuzzPersonRow(f *testing.F) {
	r := testRow()
	whole := rowSum(kindPerson, []byte("acme"), r.Person[:], r.Key[:], r.Sealed)
	tombstone := rowSum(kindPerson, []byte("acme"), r.Person[:], r.Key[:], nil)
	nobody := rowSum(kindPerson, []byte("acme"), r.Person[:], nil, nil)
	f.Add("acme", r.Person[:], r.Key[:], r.Sealed, whole, byte(0))
	f.Add("acme", r.Person[:], r.Key[:], r.Sealed, tombstone, byte(0))
	f.Add("acme", r.Person[:], r.Key[:], []byte{}, tombstone, byte(4))
	f.Add("acme", r.Person[:], []byte{}, []byte{}, nobody, byte(6))
	f.Add("acme", []byte{}, []byte{}, []byte{}, []byte{}, byte(7))
	f.Add("acme", r.Person[:31], r.Key[:], r.Sealed, rowSum(kindPerson, []byte("acme"), r.Person[:31], r.Key[:], r.Sealed), byte(0))
	f.Add("acme", r.Person[:], r.Key[:11], r.Sealed, rowSum(kindPerson, []byte("acme"), r.Person[:], r.Key[:11], r.Sealed), byte(0))
	f.Add("acme", r.Person[:], r.Key[:], r.Sealed, rowSum(kindPerson, []byte("acme"), r.Person[:], nil, r.Sealed), byte(2))
	f.Fuzz(func(t *testing.T, tenant string, person, key, sealed, sum []byte, nulls byte) {
		p := personRow{person, key, sealed, sum}
		for i, field := range []*[]byte{&p.person, &p.key, &p.sealed, &p.sum} {
			if nulls>>i&1 == 1 {
				*field = nil
			} else if *field == nil {
				*field = []byte{}
			}
		}
		got, err := p.row("person", tenant)
		fits := bytes.Equal(p.sum, rowSum(kindPerson, []byte(tenant), p.person, p.key, p.sealed))
		switch {
		case err == nil:
			if !fits || got.Tenant != tenant || !bytes.Equal(got.Person[:], p.person) || !bytes.Equal(got.Key[:], p.key) || p.sealed == nil || !bytes.Equal(got.Sealed, p.sealed) {
				t.Errorf("a row came out that was not there: %v", p)
			}
		case errors.Is(err, shred.ErrNone):
			if p.person != nil {
				t.Error("a row is taken for none")
			}
		case errors.Is(err, shred.ErrForgotten):
			if !fits || p.sealed != nil {
				t.Error("a person is taken for forgotten")
			}
		case !errors.Is(err, ErrDamaged):
			t.Error(err)
		}
		if err != nil && (got.Sealed != nil || got.Key != shred.KeyID{}) {
			t.Error("a row came with an error")
		}
	})
}

// Whatever is changed in a chain, what is read of it is what was written, or
// nothing.
func FuzzChain(f *testing.F) {
	f.Add(uint8(6), uint8(0), uint8(10), uint8(3), uint8(0), uint64(1), "x")
	f.Add(uint8(6), uint8(2), uint8(2), uint8(3), uint8(1), uint64(1), "acmf")
	f.Add(uint8(6), uint8(3), uint8(9), uint8(2), uint8(7), uint64(0), "")
	f.Add(uint8(6), uint8(0), uint8(3), uint8(5), uint8(8), uint64(4), "")
	f.Add(uint8(1), uint8(1), uint8(1), uint8(0), uint8(9), uint64(4), "")
	f.Fuzz(func(t *testing.T, n, after, limit, at, what uint8, number uint64, text string) {
		id := shred.LedgerID{1}
		want := chain(id, int(n%12))
		all := slices.Clone(want)
		if len(all) > 0 {
			e := &all[int(at)%len(all)]
			switch what % 10 {
			case 0:
				e.Seq = number
			case 1:
				e.Tenant = text
			case 2:
				e.By = text
			case 3:
				e.Reason = text
			case 4:
				e.Time = time.Unix(int64(number), 0).UTC()
			case 5:
				copy(e.Person[:], text)
			case 6:
				copy(e.Hash[:], text)
			case 7:
				copy(e.Prev[:], text)
				e.Hash = e.Sum()
			case 8:
				all = slices.Delete(all, int(at)%len(all), int(at)%len(all)+1)
			default:
				all = slices.Insert(all, int(at)%len(all), all[int(number%uint64(len(all)))])
			}
		}
		// As the query answers: those from the entry after on, by their numbers.
		var answer []shred.Entry
		for _, e := range all {
			if e.Seq >= uint64(after) && len(answer) <= int(limit) {
				answer = append(answer, e)
			}
		}
		got, err := chained(answer, id, uint64(after), int(limit))
		if err != nil {
			if !errors.Is(err, shred.ErrLedger) || got != nil {
				t.Errorf("%d entries with %v", len(got), err)
			}
			return
		}
		from := min(int(after), len(want))
		if len(got) > int(limit) || len(got) > len(want)-from || !slices.Equal(got, want[from:from+len(got)]) {
			t.Errorf("%d entries were read after %d that are not those that were written", len(got), after)
		}
	})
}
