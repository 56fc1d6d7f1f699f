package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

type catalogs = handles[datakey.Catalog]

func catalogChecks() []check[datakey.Catalog] {
	return []check[datakey.Catalog]{
		{"a block is found once it is put", checkPut},
		{"what was never put is unknown", checkUnknownBlock},
		{"the first block of an id stands", checkPutTwice},
		{"ids are told apart by their bytes", checkIDs},
		{"the longest block is kept whole", checkLongBlock},
		{"a block is replaced when it is still the old one", checkReplace},
		{"a block is removed when it is still the old one", checkRemove},
		{"all blocks are listed in the order of their ids", checkEachBlock},
		{"a listing ends with the error of its function", checkEachBlockEnds},
		{"the function of a listing may call the catalog", checkEachBlockCalls},
		{"blocks belong to the caller", checkBlockOwnership},
		{"an ended context says nothing about the catalog", checkCatalogEnded},
		{"no error shows a block", checkCatalogErrors},
		{"of those who put a block at a time one is first", checkPutRace},
		{"of those who replace a block at a time one is first", checkReplaceRace},
		{"of those who replace and remove at a time one is first", checkRemoveRace},
		{"a catalog does what a map does", checkCatalogModel},
	}
}

// newBlock returns a block that holds, for all that a catalog can see, a key
// with this id. size is that of the wrapped key.
func newBlock(id datakey.ID, size int) []byte {
	k := envelope.KeyBlock{KEK: "test:kek", Tenant: "acme", Wrapped: draw(size)}
	copy(k.Commitment[:], id[:])
	copy(k.Commitment[len(id):], "the commitment goes on")
	b, err := k.Append(nil)
	if err != nil {
		panic("keystoretest: " + err.Error()) //nolint:forbidigo // only the sizes of this package come here
	}
	return b
}

const blockSize = 180 // of most wrapped keys

func newID() datakey.ID { return datakey.ID(draw(len(datakey.ID{}))) }

// put puts a new block under id.
func put(ctx context.Context, c datakey.Catalog, id datakey.ID) ([]byte, error) {
	b := newBlock(id, blockSize)
	return b, want("Put", c.Put(ctx, id, bytes.Clone(b)), nil)
}

// has tells whether the block stands under id; nil means none.
func has(ctx context.Context, c datakey.Catalog, id datakey.ID, block []byte) error {
	got, err := c.Get(ctx, id)
	switch {
	case block == nil && got != nil:
		return faultf("Get returned a block that should not be there")
	case block == nil:
		return want("Get", err, datakey.ErrUnknownKey)
	case err != nil:
		return faultf("Get: %w", err)
	case !bytes.Equal(got, block):
		return faultf("Get returned another block than the one that was put")
	}
	return nil
}

func checkPut(ctx context.Context, h catalogs) error {
	a, b := newID(), newID()
	blockA, err := put(ctx, h.first(), a)
	if err != nil {
		return err
	}
	blockB, err := put(ctx, h.other(), b)
	if err != nil {
		return err
	}
	for i := range h {
		if err := errors.Join(has(ctx, h.at(i), a, blockA), has(ctx, h.at(i), b, blockB)); err != nil {
			return err
		}
	}
	return nil
}

func checkUnknownBlock(ctx context.Context, h catalogs) error {
	id := newID()
	if err := has(ctx, h.first(), id, nil); err != nil {
		return faultf("in an empty catalog: %w", err)
	}
	if err := h.first().Each(ctx, func(datakey.ID, []byte) error { return errors.New("called") }); err != nil {
		return faultf("Each of an empty catalog: %w", err)
	}
	if _, err := put(ctx, h.first(), newID()); err != nil {
		return err
	}
	block := newBlock(id, blockSize)
	return errors.Join(
		has(ctx, h.other(), id, nil),
		want("Replace", h.other().Replace(ctx, id, block, newBlock(id, blockSize)), datakey.ErrUnknownKey),
		want("Remove", h.other().Remove(ctx, id, block), datakey.ErrUnknownKey),
		has(ctx, h.first(), id, nil),
	)
}

// A retry of a Put whose answer was lost must pass. Whether another block under
// the same id is an error is the catalog's to say; it must not be lost that
// there was one.
func checkPutTwice(ctx context.Context, h catalogs) error {
	id := newID()
	block, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	if err := want("the same Put again", h.other().Put(ctx, id, block), nil); err != nil {
		return err
	}
	_ = h.other().Put(ctx, id, newBlock(id, blockSize)) // nil or not
	return has(ctx, h.first(), id, block)
}

func checkIDs(ctx context.Context, h catalogs) error {
	ids := edgeIDs()
	blocks := make(map[datakey.ID][]byte)
	for i, id := range ids {
		block, err := put(ctx, h.at(i), id)
		if err != nil {
			return faultf("id %s: %w", id, err)
		}
		blocks[id] = block
	}
	for i, id := range ids {
		if err := has(ctx, h.at(i+1), id, blocks[id]); err != nil {
			return faultf("id %s: %w", id, err)
		}
	}
	return lists(ctx, h.first(), blocks)
}

// edgeIDs are ids that are easily taken for each other or for text.
func edgeIDs() []datakey.ID {
	ids := []datakey.ID{{}, {1}, {0, 1}, {11: 1}, {11: 2}, {11: 0x80}, {0x7f}, {0x80}, {0xff}, {0: 0xff, 11: 0xff}, {0: '\'', 1: '"', 2: ';', 3: '\\'}}
	var all datakey.ID
	for i := range all {
		all[i] = 0xff
	}
	return append(ids, all, datakey.ID([]byte("AAAAAAAAAAAA")), datakey.ID([]byte("aaaaaaaaaaaa")), datakey.ID([]byte("aaaaaaaaaaa ")))
}

// lists tells whether a listing shows these blocks, in order and no other.
func lists(ctx context.Context, c datakey.Catalog, blocks map[datakey.ID][]byte) error {
	var ids []datakey.ID
	err := c.Each(ctx, func(id datakey.ID, block []byte) error {
		ids = append(ids, id)
		if want, ok := blocks[id]; !ok || !bytes.Equal(block, want) {
			return faultf("under id %s Each shows a block that is not there", id)
		}
		return nil
	})
	switch {
	case err != nil:
		return faultf("Each: %w", err)
	case len(ids) != len(blocks):
		return faultf("Each showed %d blocks of %d", len(ids), len(blocks))
	case !slices.IsSortedFunc(ids, func(a, b datakey.ID) int { return bytes.Compare(a[:], b[:]) }):
		return faultf("Each does not go by the order of the ids")
	}
	return nil
}

func checkLongBlock(ctx context.Context, h catalogs) error {
	id := newID()
	var long []byte
	short := newBlock(id, 1)
	for size := 17_000; ; size-- {
		k := envelope.KeyBlock{KEK: "test:kek", Tenant: "acme", Wrapped: draw(size)}
		copy(k.Commitment[:], id[:])
		if b, err := k.Append(nil); err == nil {
			long = b
			break
		}
	}
	if err := want("Put of the longest block", h.first().Put(ctx, id, long), nil); err != nil {
		return err
	}
	return errors.Join(
		has(ctx, h.other(), id, long),
		want("Replace by a short block", h.first().Replace(ctx, id, long, short), nil),
		has(ctx, h.other(), id, short),
		want("Replace by the longest block", h.first().Replace(ctx, id, short, long), nil),
		has(ctx, h.other(), id, long),
	)
}

func checkReplace(ctx context.Context, h catalogs) error {
	id, neighbour := newID(), newID()
	first, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	beside, err := put(ctx, h.first(), neighbour)
	if err != nil {
		return err
	}
	second, third := newBlock(id, blockSize), newBlock(id, blockSize+9)
	return errors.Join(
		want("Replace of a block that never stood", h.other().Replace(ctx, id, third, second), datakey.ErrBlockChanged),
		want("Replace of a beginning", h.other().Replace(ctx, id, first[:len(first)-1], second), datakey.ErrBlockChanged),
		want("Replace of nothing", h.other().Replace(ctx, id, nil, second), datakey.ErrBlockChanged),
		has(ctx, h.first(), id, first),
		want("Replace", h.other().Replace(ctx, id, first, second), nil),
		has(ctx, h.first(), id, second),
		want("Replace of what was replaced", h.first().Replace(ctx, id, first, third), datakey.ErrBlockChanged),
		has(ctx, h.other(), id, second),
		want("Replace by the same", h.other().Replace(ctx, id, second, second), nil),
		want("Replace once more", h.first().Replace(ctx, id, second, third), nil),
		lists(ctx, h.other(), map[datakey.ID][]byte{id: third, neighbour: beside}),
	)
}

func checkRemove(ctx context.Context, h catalogs) error {
	id, neighbour := newID(), newID()
	block, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	beside, err := put(ctx, h.first(), neighbour)
	if err != nil {
		return err
	}
	return errors.Join(
		want("Remove of another block", h.other().Remove(ctx, id, newBlock(id, blockSize)), datakey.ErrBlockChanged),
		want("Remove of nothing", h.other().Remove(ctx, id, nil), datakey.ErrBlockChanged),
		has(ctx, h.first(), id, block),
		want("Remove", h.other().Remove(ctx, id, block), nil),
		has(ctx, h.first(), id, nil),
		want("Remove again", h.first().Remove(ctx, id, block), datakey.ErrUnknownKey),
		want("Replace of what was removed", h.first().Replace(ctx, id, block, block), datakey.ErrUnknownKey),
		lists(ctx, h.other(), map[datakey.ID][]byte{neighbour: beside}),
	)
}

// manyRows is more than a page of most listings has.
const manyRows = 1500

func checkEachBlock(ctx context.Context, h catalogs) error {
	blocks := make(map[datakey.ID][]byte, manyRows)
	ids := make([]datakey.ID, manyRows)
	for i := range ids {
		ids[i] = newID()
		blocks[ids[i]] = newBlock(ids[i], 20)
	}
	const workers = 8
	err := race(workers, func(w int) error {
		for i := w; i < manyRows; i += workers {
			if err := h.at(w).Put(ctx, ids[i], blocks[ids[i]]); err != nil {
				return faultf("Put: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(lists(ctx, h.first(), blocks), lists(ctx, h.other(), blocks))
}

func checkEachBlockEnds(ctx context.Context, h catalogs) error {
	for range 5 {
		if _, err := put(ctx, h.first(), newID()); err != nil {
			return err
		}
	}
	enough, calls := errors.New("enough"), 0
	err := h.other().Each(ctx, func(datakey.ID, []byte) error {
		calls++
		if calls == 3 {
			return enough
		}
		return nil
	})
	if calls != 3 {
		return faultf("the function was called %d times, and was to be the last time the third", calls)
	}
	return want("Each", err, enough)
}

func checkEachBlockCalls(ctx context.Context, h catalogs) error {
	blocks := make(map[datakey.ID][]byte)
	for range 20 {
		id := newID()
		block, err := put(ctx, h.first(), id)
		if err != nil {
			return err
		}
		blocks[id] = block
	}
	seen, removed := 0, datakey.ID{}
	err := h.first().Each(ctx, func(id datakey.ID, block []byte) error {
		old, ok := blocks[id]
		if !ok {
			return nil // put meanwhile
		}
		if !bytes.Equal(block, old) {
			return errors.New("it shows another block than the one that stands")
		}
		seen++
		if seen == 1 {
			removed = id
			delete(blocks, id)
			return errors.Join(want("Remove within Each", h.first().Remove(ctx, id, old), nil), has(ctx, h.first(), id, nil))
		}
		next := newBlock(id, blockSize)
		blocks[id] = next
		if err := want("Replace within Each", h.at(seen).Replace(ctx, id, old, next), nil); err != nil {
			return err
		}
		other := newID()
		if _, err := put(ctx, h.first(), other); err != nil {
			return faultf("within Each: %w", err)
		}
		return errors.Join(has(ctx, h.first(), id, next), h.first().Each(ctx, func(datakey.ID, []byte) error { return nil }))
	})
	if err != nil {
		return faultf("Each: %w", err)
	}
	if seen != 20 {
		return faultf("Each showed %d of the 20 blocks that stood all the time", seen)
	}
	for id, block := range blocks {
		if err := has(ctx, h.other(), id, block); err != nil {
			return err
		}
	}
	return has(ctx, h.other(), removed, nil)
}

func checkBlockOwnership(ctx context.Context, h catalogs) error {
	id := newID()
	block := newBlock(id, blockSize)
	in := bytes.Clone(block)
	if err := want("Put", h.first().Put(ctx, id, in), nil); err != nil {
		return err
	}
	clear(in)
	if err := has(ctx, h.first(), id, block); err != nil {
		return faultf("the catalog kept the slice that it was given: %w", err)
	}
	out, err := h.first().Get(ctx, id)
	if err != nil {
		return faultf("Get: %w", err)
	}
	clear(out)
	if err := has(ctx, h.first(), id, block); err != nil {
		return faultf("the catalog handed out its own slice: %w", err)
	}
	next := newBlock(id, blockSize)
	old, in := bytes.Clone(block), bytes.Clone(next)
	if err := want("Replace", h.first().Replace(ctx, id, old, in), nil); err != nil {
		return err
	}
	clear(in)
	clear(old)
	if err := has(ctx, h.first(), id, next); err != nil {
		return faultf("the catalog kept a slice of Replace: %w", err)
	}
	return nil
}

func checkCatalogEnded(ctx context.Context, h catalogs) error {
	gone, id, fresh := ended(ctx), newID(), newID()
	block, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	next := newBlock(id, blockSize)
	got, errGet := h.first().Get(gone, id)
	if errGet == nil && !bytes.Equal(got, block) {
		return faultf("Get with an ended context returned another block")
	}
	errReplace := h.first().Replace(gone, id, block, next)
	if errReplace == nil {
		block = next
	}
	errPut := h.first().Put(gone, fresh, newBlock(fresh, blockSize))
	if errPut == nil {
		if _, err := h.other().Get(ctx, fresh); err != nil {
			return faultf("Put with an ended context claims to have put: %w", err)
		}
	}
	if err := has(ctx, h.other(), id, block); err != nil && errReplace == nil {
		return faultf("Replace with an ended context claims to have replaced: %w", err)
	}
	errRemove := h.first().Remove(gone, newID(), block)
	if errors.Is(errRemove, datakey.ErrUnknownKey) {
		errRemove = nil // a true answer
	}
	return errors.Join(
		endedWell("Get", errGet), endedWell("Replace", errReplace), endedWell("Put", errPut), endedWell("Remove", errRemove),
		endedWell("Each", h.first().Each(gone, func(datakey.ID, []byte) error { return nil })),
	)
}

func checkCatalogErrors(ctx context.Context, h catalogs) error {
	id := newID()
	block, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	secret := draw(blockSize)
	k := envelope.KeyBlock{KEK: "test:kek", Wrapped: secret}
	copy(k.Commitment[:], id[:])
	next, err := k.Append(nil)
	if err != nil {
		return err
	}
	what := []error{
		silent("Replace", h.first().Replace(ctx, id, next, next), secret),
		silent("Remove", h.first().Remove(ctx, id, next), secret),
		silent("Replace of an unknown block", h.first().Replace(ctx, newID(), next, next), secret),
		silent("Remove of an unknown block", h.first().Remove(ctx, newID(), next), secret),
	}
	for name, err := range map[string]error{
		"Put":     h.first().Put(ended(ctx), newID(), next),
		"Replace": h.first().Replace(ended(ctx), id, next, next),
	} {
		if err != nil {
			what = append(what, silent(name, err, secret))
		}
	}
	return errors.Join(append(what, has(ctx, h.first(), id, block))...)
}

func checkPutRace(ctx context.Context, h catalogs) error {
	id := newID()
	blocks := make([][]byte, racers)
	found := make([][]byte, racers)
	err := race(racers, func(i int) error {
		blocks[i] = newBlock(id, blockSize)
		_ = h.at(i).Put(ctx, id, blocks[i]) // all but one may be refused
		var err error
		found[i], err = h.at(i+1).Get(ctx, id)
		return want("Get after Put", err, nil)
	})
	if err != nil {
		return err
	}
	same := func(b []byte) bool { return bytes.Equal(b, found[0]) }
	if !slices.ContainsFunc(blocks, same) {
		return errors.New("the block that stands is none of those that were put")
	}
	if slices.ContainsFunc(found, func(b []byte) bool { return !same(b) }) {
		return errors.New("an id had two blocks, one after the other")
	}
	return nil
}

func checkReplaceRace(ctx context.Context, h catalogs) error {
	id := newID()
	old, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	blocks, won := make([][]byte, racers), make([]bool, racers)
	err = race(racers, func(i int) error {
		blocks[i] = newBlock(id, blockSize)
		err := h.at(i).Replace(ctx, id, old, blocks[i])
		won[i] = err == nil
		if won[i] {
			return nil
		}
		return want("Replace", err, datakey.ErrBlockChanged)
	})
	if err != nil {
		return err
	}
	winner := slices.Index(won, true)
	if winner < 0 || slices.Contains(won[winner+1:], true) {
		return errors.New("of those who replaced the same block not exactly one succeeded")
	}
	return has(ctx, h.other(), id, blocks[winner])
}

func checkRemoveRace(ctx context.Context, h catalogs) error {
	id := newID()
	old, err := put(ctx, h.first(), id)
	if err != nil {
		return err
	}
	next := newBlock(id, blockSize)
	won := make([]bool, racers)
	err = race(racers, func(i int) error {
		var err error
		if i%2 == 0 {
			err = h.at(i/2).Remove(ctx, id, old)
		} else {
			err = h.at(i/2).Replace(ctx, id, old, next)
		}
		won[i] = err == nil
		if err == nil || errors.Is(err, datakey.ErrUnknownKey) || errors.Is(err, datakey.ErrBlockChanged) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	winner := slices.Index(won, true)
	if winner < 0 || slices.Contains(won[winner+1:], true) {
		return errors.New("of those who replaced and removed the same block not exactly one succeeded")
	}
	if winner%2 == 0 {
		next = nil
	}
	return has(ctx, h.other(), id, next)
}
