package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// modelSteps is how many random calls are compared with a model.
const modelSteps = 600

// steps runs random steps and names the seed of those that went wrong.
func steps(step func(r *rand.Rand, i int) error) error {
	seed := rand.Uint64()               //nolint:gosec // no secret
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // no secret
	for i := range modelSteps {
		if err := step(r, i); err != nil {
			return faultf("step %d of seed %d: %w", i, seed, err)
		}
	}
	return nil
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// checkCatalogModel does the same to a catalog and to a map.
func checkCatalogModel(ctx context.Context, h catalogs) error {
	ids := []datakey.ID{newID(), newID(), newID(), newID(), {}}
	model := make(map[datakey.ID][]byte)
	return steps(func(r *rand.Rand, i int) error {
		c, id := h.at(i), pick(r, ids)
		stands, known := model[id]
		old, next := stands, newBlock(id, 1+r.IntN(300))
		if r.IntN(3) == 0 {
			old = newBlock(id, blockSize)
		}
		target := error(nil)
		switch {
		case !known:
			target = datakey.ErrUnknownKey
		case !bytes.Equal(old, stands):
			target = datakey.ErrBlockChanged
		}
		switch r.IntN(5) {
		case 0, 1:
			if !known {
				model[id] = next
				return want("Put", c.Put(ctx, id, next), nil)
			}
			return want("Put", c.Put(ctx, id, stands), nil)
		case 2:
			if target == nil {
				model[id] = next
			}
			return errors.Join(want("Replace", c.Replace(ctx, id, old, next), target), has(ctx, h.at(i+1), id, model[id]))
		case 3:
			if target == nil {
				delete(model, id)
			}
			return errors.Join(want("Remove", c.Remove(ctx, id, old), target), has(ctx, h.at(i+1), id, model[id]))
		}
		return errors.Join(has(ctx, c, id, stands), lists(ctx, c, model))
	})
}

// checkShredModel does the same to a store and to the one in memory, which has
// to pass the checks that are written out.
func checkShredModel(ctx context.Context, h stores) error {
	var model shred.MemStore
	tenants := []string{"", "acme", "acme\x00", "globex"}
	var people []shred.PersonID
	var keys []shred.KeyID
	for range 5 {
		people, keys = append(people, newPerson()), append(keys, newKeyID())
	}
	blocks := [][]byte{newRoot(), newRoot(), newRoot()}
	ledgers := []shred.LedgerID{newLedgerID(), newLedgerID()}
	// compare calls both and compares the kind of their errors, then the rest.
	compare := func(what string, s shred.Store, call func(shred.Store) (shred.Row, []byte, error)) error {
		row, block, err := call(s)
		wantRow, wantBlock, target := call(&model)
		if target == nil && (!sameRow(row, wantRow) || !bytes.Equal(block, wantBlock)) && err == nil {
			return faultf("%s returned another key than the model", what)
		}
		return want(what, err, kind(target))
	}
	return steps(func(r *rand.Rand, i int) error {
		s := h.at(i)
		tenant, p, k := pick(r, tenants), pick(r, people), pick(r, keys)
		old, next := pick(r, blocks), pick(r, blocks)
		switch r.IntN(9) {
		case 0:
			return compare("Root", s, func(s shred.Store) (shred.Row, []byte, error) {
				b, err := s.Root(ctx, tenant)
				return shred.Row{}, b, err
			})
		case 1:
			return compare("CreateRoot", s, func(s shred.Store) (shred.Row, []byte, error) {
				b, err := s.CreateRoot(ctx, tenant, next)
				return shred.Row{}, b, err
			})
		case 2:
			return compare("ReplaceRoot", s, func(s shred.Store) (shred.Row, []byte, error) {
				return shred.Row{}, nil, s.ReplaceRoot(ctx, tenant, old, next)
			})
		case 3:
			return compare("Person", s, func(s shred.Store) (shred.Row, []byte, error) {
				row, err := s.Person(ctx, tenant, p)
				return row, nil, err
			})
		case 4:
			return compare("ByKey", s, func(s shred.Store) (shred.Row, []byte, error) {
				row, err := s.ByKey(ctx, tenant, k)
				return row, nil, err
			})
		case 5, 6:
			row := shred.Row{Tenant: tenant, Person: p, Key: k, Sealed: draw(1 + r.IntN(100))}
			return compare("Create", s, func(s shred.Store) (shred.Row, []byte, error) {
				stands, err := s.Create(ctx, row)
				return stands, nil, err
			})
		case 7:
			if r.IntN(6) > 0 {
				return nil // or soon everybody is forgotten
			}
			return compare("Forget", s, func(s shred.Store) (shred.Row, []byte, error) {
				return shred.Row{}, nil, s.Forget(ctx, tenant, p)
			})
		}
		m := newMark(pick(r, ledgers), r.Uint64N(1000))
		if stands, err := model.Mark(ctx); err == nil && stands.Seq == m.Seq {
			m.Hash = stands.Hash // what else would be wrong is not said
		}
		return errors.Join(compare("SetMark", s, func(s shred.Store) (shred.Row, []byte, error) {
			return shred.Row{}, nil, s.SetMark(ctx, m)
		}), compare("Mark", h.at(i+1), func(s shred.Store) (shred.Row, []byte, error) {
			m, err := s.Mark(ctx)
			return shred.Row{}, fmt.Appendf(nil, "%s %d %x", m.Ledger, m.Seq, m.Hash), err
		}))
	})
}

// kind returns the error of package shred that err is.
func kind(err error) error {
	for _, k := range []error{shred.ErrNone, shred.ErrForgotten, shred.ErrTaken, shred.ErrChanged, shred.ErrLedger, shred.ErrInvalid} {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}
