package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

type stores = handles[shred.Store]

func shredChecks() []check[shred.Store] {
	return []check[shred.Store]{
		{"an empty store has nothing", checkEmptyStore},
		{"the first root of a tenant stands", checkCreateRoot},
		{"a root is replaced when it is still the old one", checkReplaceRoot},
		{"all roots are listed in the order of the tenants", checkEachRoot},
		{"a listing ends with the error of its function", checkEachRootEnds},
		{"the function of a listing may call the store", checkEachRootCalls},
		{"the first row of a person stands", checkCreate},
		{"a key id is taken for good", checkTaken},
		{"a tombstone bars its person for ever", checkForget},
		{"a person without a row can be forgotten", checkForgetUnknown},
		{"tenants know nothing of each other", checkTenants},
		{"tenants, persons and keys are told apart by their bytes", checkStoreBytes},
		{"what is too large is refused and the largest is kept", checkBounds},
		{"a mark is remembered and never goes back", checkMark},
		{"a mark at zero binds the store to its ledger", checkMarkZero},
		{"a mark of 64 bits is kept or refused", checkMarkLarge},
		{"slices belong to the caller", checkStoreOwnership},
		{"an ended context says nothing about the store", checkStoreEnded},
		{"no error shows a key", checkStoreErrors},
		{"of those who create a root at a time one wins", checkRootRace},
		{"of those who replace a root at a time one wins", checkReplaceRootRace},
		{"of those who create a person's row at a time one wins", checkCreateRace},
		{"of those who want a key id at a time one gets it", checkKeyRace},
		{"who is forgotten while his row is created stays forgotten", checkForgetRace},
		{"of marks that are set at a time the highest stands", checkMarkRace},
		{"of ledgers that are set at a time one stands", checkLedgerRace},
		{"a store does what a model does", checkShredModel},
	}
}

const sealedSize = 73 // of most sealed keys: version, nonce, key and tag

func newPerson() shred.PersonID { return shred.PersonID(draw(len(shred.PersonID{}))) }

func newKeyID() shred.KeyID { return shred.KeyID(draw(len(shred.KeyID{}))) }

func newRow(tenant string) shred.Row {
	return shred.Row{Tenant: tenant, Person: newPerson(), Key: newKeyID(), Sealed: draw(sealedSize)}
}

func sameRow(a, b shred.Row) bool {
	return a.Tenant == b.Tenant && a.Person == b.Person && a.Key == b.Key && bytes.Equal(a.Sealed, b.Sealed)
}

// create creates a row that must be new.
func create(ctx context.Context, s shred.Store, row shred.Row) error {
	return createStands(ctx, s, row, row)
}

// createStands creates a row in whose place stands must be returned.
func createStands(ctx context.Context, s shred.Store, row, stands shred.Row) error {
	row.Sealed = bytes.Clone(row.Sealed)
	got, err := s.Create(ctx, row)
	switch {
	case err != nil:
		return faultf("Create: %w", err)
	case !sameRow(got, stands):
		return faultf("Create returned another row than the one that stands")
	}
	return nil
}

// refused tells whether a row is refused, and nothing returned.
func refused(ctx context.Context, s shred.Store, row shred.Row, target error) error {
	got, err := s.Create(ctx, row)
	if err == nil && got.Sealed == nil {
		return faultf("Create returned neither a row nor an error")
	}
	return want("Create", err, target)
}

// standsBoth tells whether a row is found by its person and by its key.
func standsBoth(ctx context.Context, s shred.Store, row shred.Row) error {
	byPerson, err := s.Person(ctx, row.Tenant, row.Person)
	if err != nil {
		return faultf("Person: %w", err)
	}
	byKey, err := s.ByKey(ctx, row.Tenant, row.Key)
	if err != nil {
		return faultf("ByKey: %w", err)
	}
	if !sameRow(byPerson, row) || !sameRow(byKey, row) {
		return faultf("Person or ByKey returned another row than the one that was created")
	}
	return nil
}

// person tells whether Person fails with target.
func person(ctx context.Context, s shred.Store, tenant string, p shred.PersonID, target error) error {
	row, err := s.Person(ctx, tenant, p)
	if row.Sealed != nil {
		return faultf("Person returned a key, want: %w", target)
	}
	return want("Person", err, target)
}

// byKey tells whether ByKey fails with target.
func byKey(ctx context.Context, s shred.Store, tenant string, k shred.KeyID, target error) error {
	row, err := s.ByKey(ctx, tenant, k)
	if row.Sealed != nil {
		return faultf("ByKey returned a key, want: %w", target)
	}
	return want("ByKey", err, target)
}

// hasRoot tells whether the block is the root of the tenant; nil means none.
func hasRoot(ctx context.Context, s shred.Store, tenant string, block []byte) error {
	got, err := s.Root(ctx, tenant)
	switch {
	case block == nil && got != nil:
		return faultf("Root returned a block that should not be there")
	case block == nil:
		return want("Root", err, shred.ErrNone)
	case err != nil:
		return faultf("Root: %w", err)
	case !bytes.Equal(got, block):
		return faultf("Root returned another block than the one that stands")
	}
	return nil
}

// createRoot creates a root in whose place stands must be returned.
func createRoot(ctx context.Context, s shred.Store, tenant string, block, stands []byte) error {
	got, err := s.CreateRoot(ctx, tenant, bytes.Clone(block))
	switch {
	case err != nil:
		return faultf("CreateRoot: %w", err)
	case !bytes.Equal(got, stands):
		return faultf("CreateRoot returned another block than the one that stands")
	}
	return nil
}

func newRoot() []byte { return newBlock(newID(), blockSize) }

func checkEmptyStore(ctx context.Context, h stores) error {
	_, errMark := h.first().Mark(ctx)
	return errors.Join(
		hasRoot(ctx, h.first(), "", nil),
		hasRoot(ctx, h.first(), "acme", nil),
		want("ReplaceRoot", h.first().ReplaceRoot(ctx, "acme", newRoot(), newRoot()), shred.ErrNone),
		hasRoot(ctx, h.first(), "acme", nil),
		person(ctx, h.first(), "acme", newPerson(), shred.ErrNone),
		person(ctx, h.first(), "", shred.PersonID{}, shred.ErrNone),
		byKey(ctx, h.first(), "acme", newKeyID(), shred.ErrNone),
		byKey(ctx, h.first(), "", shred.KeyID{}, shred.ErrNone),
		want("Mark", errMark, shred.ErrNone),
		want("EachRoot", h.first().EachRoot(ctx, func(string, []byte) error { return errors.New("called") }), nil),
	)
}

func checkCreateRoot(ctx context.Context, h stores) error {
	a, b := newRoot(), newRoot()
	return errors.Join(
		createRoot(ctx, h.first(), "acme", a, a),
		createRoot(ctx, h.other(), "acme", newRoot(), a),
		createRoot(ctx, h.other(), "acme", a, a),
		createRoot(ctx, h.other(), "", b, b),
		hasRoot(ctx, h.other(), "acme", a),
		hasRoot(ctx, h.first(), "", b),
		hasRoot(ctx, h.first(), "acm", nil),
	)
}

func checkReplaceRoot(ctx context.Context, h stores) error {
	a, b, c, beside := newRoot(), newRoot(), newRoot(), newRoot()
	return errors.Join(
		createRoot(ctx, h.first(), "acme", a, a),
		createRoot(ctx, h.first(), "acme2", beside, beside),
		want("ReplaceRoot of another block", h.other().ReplaceRoot(ctx, "acme", c, b), shred.ErrChanged),
		want("ReplaceRoot of a beginning", h.other().ReplaceRoot(ctx, "acme", a[:len(a)-1], b), shred.ErrChanged),
		hasRoot(ctx, h.first(), "acme", a),
		want("ReplaceRoot", h.other().ReplaceRoot(ctx, "acme", a, b), nil),
		hasRoot(ctx, h.first(), "acme", b),
		want("ReplaceRoot of what was replaced", h.first().ReplaceRoot(ctx, "acme", a, c), shred.ErrChanged),
		want("ReplaceRoot by the same", h.first().ReplaceRoot(ctx, "acme", b, b), nil),
		hasRoot(ctx, h.other(), "acme", b),
		hasRoot(ctx, h.other(), "acme2", beside),
		want("ReplaceRoot of nobody", h.first().ReplaceRoot(ctx, "acme3", a, c), shred.ErrNone),
		hasRoot(ctx, h.other(), "acme3", nil),
	)
}

// edgeTenants are names that are easily taken for each other, for a pattern or
// for a separator, and the longest one.
func edgeTenants() []string {
	return []string{
		"", " ", "\x00", "a", "A", "a ", " a", "a\x00", "a\x00b", "ab", "a/b", "a:b", "a%", "a_", "a*", "a'; --", `a"`, `a\`,
		"ä", "a\u0308", "ß", "ss", "\xff", "\xff\xfe", "\xc3\x28", "\n", "\u2028", "日本", "日本語", "0", "00", "null", "NULL",
		strings.Repeat("x", shred.MaxTenant), strings.Repeat("x", shred.MaxTenant-1), strings.Repeat("\xff", shred.MaxTenant),
	}
}

// listsRoots tells whether a listing shows these roots, in order and no other.
func listsRoots(ctx context.Context, s shred.Store, roots map[string][]byte) error {
	var tenants []string
	err := s.EachRoot(ctx, func(tenant string, block []byte) error {
		tenants = append(tenants, tenant)
		if want, ok := roots[tenant]; !ok || !bytes.Equal(block, want) {
			return faultf("for tenant %q EachRoot shows a block that is not his", tenant)
		}
		return nil
	})
	switch {
	case err != nil:
		return faultf("EachRoot: %w", err)
	case len(tenants) != len(roots):
		return faultf("EachRoot showed %d roots of %d", len(tenants), len(roots))
	case !slices.IsSorted(tenants):
		return faultf("EachRoot does not go by the order of the names")
	}
	return nil
}

func checkEachRoot(ctx context.Context, h stores) error {
	roots := make(map[string][]byte)
	for _, tenant := range edgeTenants() {
		roots[tenant] = newRoot()
	}
	for i := range 300 {
		roots[fmt.Sprintf("tenant-%d", i)] = newRoot()
	}
	for tenant, block := range roots {
		if err := createRoot(ctx, h.at(len(tenant)), tenant, block, block); err != nil {
			return faultf("tenant %q: %w", tenant, err)
		}
	}
	return errors.Join(listsRoots(ctx, h.first(), roots), listsRoots(ctx, h.other(), roots))
}

func checkEachRootEnds(ctx context.Context, h stores) error {
	for _, tenant := range []string{"a", "b", "c", "d"} {
		if _, err := h.first().CreateRoot(ctx, tenant, newRoot()); err != nil {
			return faultf("CreateRoot: %w", err)
		}
	}
	enough, last := errors.New("enough"), ""
	err := h.other().EachRoot(ctx, func(tenant string, _ []byte) error {
		if last = tenant; tenant == "c" {
			return enough
		}
		return nil
	})
	if last != "c" {
		return faultf("the last call was for %q and not for %q, which returned an error", last, "c")
	}
	return want("EachRoot", err, enough)
}

func checkEachRootCalls(ctx context.Context, h stores) error {
	s := h.first()
	roots := make(map[string][]byte)
	for i := range 20 {
		tenant := fmt.Sprintf("t%02d", i)
		roots[tenant] = newRoot()
		if err := createRoot(ctx, s, tenant, roots[tenant], roots[tenant]); err != nil {
			return err
		}
	}
	seen := 0
	err := s.EachRoot(ctx, func(tenant string, block []byte) error {
		old, ok := roots[tenant]
		if !ok {
			return nil // created meanwhile
		}
		if !bytes.Equal(block, old) {
			return errors.New("it shows another block than the one that stands")
		}
		seen++
		row, next := newRow(tenant), newRoot()
		roots[tenant] = next
		fresh := fmt.Sprintf("s%02d", seen)
		return errors.Join(
			want("ReplaceRoot", s.ReplaceRoot(ctx, tenant, old, next), nil),
			hasRoot(ctx, s, tenant, next),
			createRoot(ctx, s, fresh, old, old),
			create(ctx, s, row),
			standsBoth(ctx, s, row),
			want("Forget", s.Forget(ctx, tenant, row.Person), nil),
			want("SetMark", s.SetMark(ctx, shred.Mark{Seq: uint64(seen)}), nil), //nolint:gosec // a small count
			s.EachRoot(ctx, func(string, []byte) error { return nil }),
		)
	})
	if err != nil {
		return faultf("within EachRoot: %w", err)
	}
	if seen != 20 {
		return faultf("EachRoot showed %d of the 20 roots that stood all the time", seen)
	}
	for tenant, block := range roots {
		if err := hasRoot(ctx, h.other(), tenant, block); err != nil {
			return err
		}
	}
	return nil
}

func checkCreate(ctx context.Context, h stores) error {
	a, b := newRow("acme"), newRow("acme")
	again := newRow("acme")
	again.Person = a.Person
	takenAgain := again
	takenAgain.Key = b.Key // the person decides first
	return errors.Join(
		create(ctx, h.first(), a),
		create(ctx, h.other(), b),
		createStands(ctx, h.other(), again, a),
		createStands(ctx, h.first(), a, a),
		createStands(ctx, h.first(), takenAgain, a),
		byKey(ctx, h.first(), "acme", again.Key, shred.ErrNone),
		standsBoth(ctx, h.first(), a), standsBoth(ctx, h.other(), a),
		standsBoth(ctx, h.first(), b), standsBoth(ctx, h.other(), b),
	)
}

func checkTaken(ctx context.Context, h stores) error {
	a := newRow("acme")
	thief := newRow("acme")
	thief.Key = a.Key
	retry := thief
	retry.Key = newKeyID()
	return errors.Join(
		create(ctx, h.first(), a),
		refused(ctx, h.other(), thief, shred.ErrTaken),
		person(ctx, h.first(), "acme", thief.Person, shred.ErrNone),
		standsBoth(ctx, h.other(), a),
		want("Forget", h.other().Forget(ctx, "acme", a.Person), nil),
		refused(ctx, h.first(), thief, shred.ErrTaken),
		person(ctx, h.first(), "acme", thief.Person, shred.ErrNone),
		byKey(ctx, h.first(), "acme", a.Key, shred.ErrForgotten),
		create(ctx, h.first(), retry),
		standsBoth(ctx, h.other(), retry),
	)
}

func checkForget(ctx context.Context, h stores) error {
	a, b := newRow("acme"), newRow("acme")
	back := newRow("acme")
	back.Person = a.Person
	if err := errors.Join(create(ctx, h.first(), a), create(ctx, h.first(), b)); err != nil {
		return err
	}
	for i := range 3 { // to forget once more changes nothing
		err := errors.Join(
			want("Forget", h.at(i).Forget(ctx, "acme", a.Person), nil),
			person(ctx, h.at(i+1), "acme", a.Person, shred.ErrForgotten),
			byKey(ctx, h.at(i+1), "acme", a.Key, shred.ErrForgotten),
			refused(ctx, h.at(i+1), back, shred.ErrForgotten),
			refused(ctx, h.at(i+1), a, shred.ErrForgotten),
			byKey(ctx, h.at(i), "acme", back.Key, shred.ErrNone),
			standsBoth(ctx, h.at(i+1), b),
		)
		if err != nil {
			return faultf("time %d: %w", i+1, err)
		}
	}
	taken := back
	taken.Key = b.Key // the person decides first
	return refused(ctx, h.first(), taken, shred.ErrForgotten)
}

func checkForgetUnknown(ctx context.Context, h stores) error {
	row := newRow("acme")
	other := newRow("acme")
	other.Key = row.Key
	return errors.Join(
		want("Forget", h.first().Forget(ctx, "acme", row.Person), nil),
		person(ctx, h.other(), "acme", row.Person, shred.ErrForgotten),
		refused(ctx, h.other(), row, shred.ErrForgotten),
		byKey(ctx, h.other(), "acme", row.Key, shred.ErrNone),
		want("Forget again", h.other().Forget(ctx, "acme", row.Person), nil),
		create(ctx, h.first(), other), // the key id was never used
		standsBoth(ctx, h.other(), other),
	)
}

func checkTenants(ctx context.Context, h stores) error {
	a := newRow("acme")
	b := a
	b.Tenant, b.Sealed = "globex", draw(sealedSize)
	block := newRoot()
	return errors.Join(
		create(ctx, h.first(), a),
		person(ctx, h.other(), "globex", a.Person, shred.ErrNone),
		byKey(ctx, h.other(), "globex", a.Key, shred.ErrNone),
		create(ctx, h.first(), b), // the same person and key id, with another tenant
		createRoot(ctx, h.first(), "acme", block, block),
		hasRoot(ctx, h.other(), "globex", nil),
		standsBoth(ctx, h.other(), a), standsBoth(ctx, h.other(), b),
		want("Forget", h.first().Forget(ctx, "acme", a.Person), nil),
		person(ctx, h.other(), "acme", a.Person, shred.ErrForgotten),
		standsBoth(ctx, h.other(), b),
		want("Forget", h.first().Forget(ctx, "initech", a.Person), nil),
		standsBoth(ctx, h.other(), b),
		hasRoot(ctx, h.other(), "acme", block),
	)
}

func checkStoreBytes(ctx context.Context, h stores) error {
	var rows []shred.Row
	roots := make(map[string][]byte)
	zero := newRow("zero")
	zero.Person, zero.Key = shred.PersonID{}, shred.KeyID{}
	last := newRow("zero")
	last.Person, last.Key = shred.PersonID{31: 1}, shred.KeyID{11: 1}
	zero.Sealed = make([]byte, sealedSize)
	rows = append(rows, zero, last)
	shared := newRow("")
	for _, tenant := range edgeTenants() {
		row := shared // one person and one key id, with every tenant
		row.Tenant, row.Sealed = tenant, draw(sealedSize)
		rows = append(rows, row)
		roots[tenant] = newRoot()
	}
	for i, row := range rows {
		if err := create(ctx, h.at(i), row); err != nil {
			return faultf("tenant %q: %w", row.Tenant, err)
		}
	}
	for tenant, block := range roots {
		if err := createRoot(ctx, h.first(), tenant, block, block); err != nil {
			return faultf("tenant %q: %w", tenant, err)
		}
	}
	for i, row := range rows {
		if err := standsBoth(ctx, h.at(i+1), row); err != nil {
			return faultf("tenant %q: %w", row.Tenant, err)
		}
		if block := roots[row.Tenant]; block != nil {
			if err := hasRoot(ctx, h.at(i+1), row.Tenant, block); err != nil {
				return faultf("tenant %q: %w", row.Tenant, err)
			}
		}
	}
	for i, row := range rows {
		if err := want("Forget", h.at(i).Forget(ctx, row.Tenant, row.Person), nil); err != nil {
			return faultf("tenant %q: %w", row.Tenant, err)
		}
		for j, other := range rows {
			if j <= i {
				continue
			}
			if err := standsBoth(ctx, h.at(j), other); err != nil {
				return faultf("tenant %q, after another was forgotten: %w", other.Tenant, err)
			}
		}
	}
	return nil
}

func checkBounds(ctx context.Context, h stores) error {
	long := strings.Repeat("x", shred.MaxTenant+1)
	s := h.first()
	p, k := newPerson(), newKeyID()
	maxBlock := draw(shred.MaxBlock)
	_, errRoot := s.Root(ctx, long)
	_, errCreateRoot := s.CreateRoot(ctx, long, newRoot())
	_, errLongRoot := s.CreateRoot(ctx, "acme", draw(shred.MaxBlock+1))
	tooLong, empty, longName := newRow("acme"), newRow("acme"), newRow(long)
	tooLong.Sealed, empty.Sealed = draw(shred.MaxSealed+1), nil
	err := errors.Join(
		want("Root of a long name", errRoot, shred.ErrInvalid),
		want("CreateRoot with a long name", errCreateRoot, shred.ErrInvalid),
		want("CreateRoot with a long block", errLongRoot, shred.ErrInvalid),
		want("ReplaceRoot with a long name", s.ReplaceRoot(ctx, long, newRoot(), newRoot()), shred.ErrInvalid),
		person(ctx, s, long, p, shred.ErrInvalid),
		byKey(ctx, s, long, k, shred.ErrInvalid),
		want("Forget with a long name", s.Forget(ctx, long, p), shred.ErrInvalid),
		refused(ctx, s, tooLong, shred.ErrInvalid),
		refused(ctx, s, empty, shred.ErrInvalid),
		refused(ctx, s, longName, shred.ErrInvalid),
		hasRoot(ctx, s, "acme", nil),
		person(ctx, s, "acme", tooLong.Person, shred.ErrNone),
		person(ctx, s, "acme", empty.Person, shred.ErrNone),
		byKey(ctx, s, "acme", tooLong.Key, shred.ErrNone),
		createRoot(ctx, s, "acme", maxBlock, maxBlock),
		want("ReplaceRoot by a long block", s.ReplaceRoot(ctx, "acme", maxBlock, draw(shred.MaxBlock+1)), shred.ErrInvalid),
		hasRoot(ctx, h.other(), "acme", maxBlock),
	)
	if err != nil {
		return err
	}
	for _, size := range []int{1, 2, 255, 256, shred.MaxSealed} {
		row := newRow(strings.Repeat("y", shred.MaxTenant))
		row.Sealed = draw(size)
		if err := errors.Join(create(ctx, h.first(), row), standsBoth(ctx, h.other(), row)); err != nil {
			return faultf("a sealed key of %d bytes: %w", size, err)
		}
	}
	return nil
}

// hasMark tells whether the store has the mark.
func hasMark(ctx context.Context, s shred.Store, m shred.Mark) error {
	got, err := s.Mark(ctx)
	switch {
	case err != nil:
		return faultf("Mark: %w", err)
	case got != m:
		return faultf("the mark is at entry %d of ledger %s, want entry %d of %s", got.Seq, got.Ledger, m.Seq, m.Ledger)
	}
	return nil
}

func newLedgerID() shred.LedgerID { return shred.LedgerID(draw(len(shred.LedgerID{}))) }

func newMark(l shred.LedgerID, seq uint64) shred.Mark {
	return shred.Mark{Ledger: l, Seq: seq, Hash: [32]byte(draw(32))}
}

func checkMark(ctx context.Context, h stores) error {
	l := newLedgerID()
	seven, two, eight := newMark(l, 7), newMark(l, 2), newMark(l, 8)
	foreign := newMark(newLedgerID(), 100)
	none := newMark(newLedgerID(), 0)
	return errors.Join(
		want("SetMark", h.first().SetMark(ctx, seven), nil),
		hasMark(ctx, h.first(), seven), hasMark(ctx, h.other(), seven),
		want("SetMark of a smaller Seq", h.other().SetMark(ctx, two), nil),
		hasMark(ctx, h.first(), seven),
		want("SetMark of the same", h.other().SetMark(ctx, seven), nil),
		hasMark(ctx, h.first(), seven),
		want("SetMark of another ledger", h.other().SetMark(ctx, foreign), shred.ErrLedger),
		want("SetMark of an empty other ledger", h.other().SetMark(ctx, none), shred.ErrLedger),
		hasMark(ctx, h.first(), seven),
		want("SetMark of a greater Seq", h.other().SetMark(ctx, eight), nil),
		hasMark(ctx, h.first(), eight),
	)
}

func checkMarkZero(ctx context.Context, h stores) error {
	l := newLedgerID()
	zero, one := newMark(l, 0), newMark(l, 1)
	return errors.Join(
		want("SetMark at zero", h.first().SetMark(ctx, zero), nil),
		hasMark(ctx, h.other(), zero),
		want("SetMark of another ledger", h.other().SetMark(ctx, newMark(newLedgerID(), 1)), shred.ErrLedger),
		want("SetMark at one", h.other().SetMark(ctx, one), nil),
		hasMark(ctx, h.first(), one),
		want("SetMark at zero again", h.other().SetMark(ctx, zero), nil),
		hasMark(ctx, h.first(), one),
	)
}

// A ledger never gets so long: a store may refuse, and must not take the number
// for a negative one.
func checkMarkLarge(ctx context.Context, h stores) error {
	l := newLedgerID()
	m := newMark(l, 1<<62)
	if err := errors.Join(want("SetMark", h.first().SetMark(ctx, m), nil), hasMark(ctx, h.other(), m)); err != nil {
		return err
	}
	for _, seq := range []uint64{1 << 63, 1<<64 - 1} {
		next := newMark(l, seq)
		if h.first().SetMark(ctx, next) == nil {
			m = next
		}
		if err := hasMark(ctx, h.other(), m); err != nil {
			return err
		}
	}
	return errors.Join(want("SetMark", h.first().SetMark(ctx, newMark(l, 3)), nil), hasMark(ctx, h.other(), m))
}

func checkStoreOwnership(ctx context.Context, h stores) error {
	s := h.first()
	row, root, next := newRow("acme"), newRoot(), newRoot()
	// Each call gets its own copies, and all that goes in and out is wiped.
	for range 2 {
		in := row
		in.Sealed = bytes.Clone(row.Sealed)
		got, err := s.Create(ctx, in)
		if err != nil {
			return faultf("Create: %w", err)
		}
		clear(in.Sealed)
		if !sameRow(got, row) {
			return errors.New("what Create returned shares its slice with what it was given")
		}
		clear(got.Sealed)
		byPerson, err := s.Person(ctx, "acme", row.Person)
		if err != nil {
			return faultf("Person: %w", err)
		}
		clear(byPerson.Sealed)
		byKey, err := s.ByKey(ctx, "acme", row.Key)
		if err != nil {
			return faultf("ByKey: %w", err)
		}
		clear(byKey.Sealed)
		if err := standsBoth(ctx, s, row); err != nil {
			return faultf("after the slices were wiped: %w", err)
		}
		block := bytes.Clone(root)
		stands, err := s.CreateRoot(ctx, "acme", block)
		if err != nil {
			return faultf("CreateRoot: %w", err)
		}
		clear(block)
		if !bytes.Equal(stands, root) {
			return errors.New("what CreateRoot returned shares its slice with what it was given")
		}
		clear(stands)
		out, err := s.Root(ctx, "acme")
		if err != nil {
			return faultf("Root: %w", err)
		}
		clear(out)
		if err := hasRoot(ctx, s, "acme", root); err != nil {
			return faultf("after the slices were wiped: %w", err)
		}
	}
	in := bytes.Clone(next)
	if err := want("ReplaceRoot", s.ReplaceRoot(ctx, "acme", root, in), nil); err != nil {
		return err
	}
	clear(in)
	return hasRoot(ctx, s, "acme", next)
}

func checkStoreEnded(ctx context.Context, h stores) error {
	gone, s := ended(ctx), h.first()
	row, root := newRow("acme"), newRoot()
	if err := errors.Join(create(ctx, s, row), createRoot(ctx, s, "acme", root, root)); err != nil {
		return err
	}
	fresh := newRow("acme")
	_, errRoot := s.Root(gone, "acme")
	_, errPerson := s.Person(gone, "acme", row.Person)
	_, errByKey := s.ByKey(gone, "acme", row.Key)
	_, errCreateRoot := s.CreateRoot(gone, "globex", root)
	_, errCreate := s.Create(gone, fresh)
	next := newRoot()
	errReplace := s.ReplaceRoot(gone, "acme", root, next)
	errForget := s.Forget(gone, "acme", row.Person)
	_, errMark := s.Mark(gone)
	if errors.Is(errMark, shred.ErrNone) {
		errMark = nil // a true answer
	}
	m := newMark(newLedgerID(), 3)
	errSetMark := s.SetMark(gone, m)
	err := errors.Join(
		endedWell("Root", errRoot), endedWell("Person", errPerson), endedWell("ByKey", errByKey), endedWell("CreateRoot", errCreateRoot),
		endedWell("Create", errCreate), endedWell("ReplaceRoot", errReplace), endedWell("Forget", errForget), endedWell("Mark", errMark),
		endedWell("SetMark", errSetMark), endedWell("EachRoot", s.EachRoot(gone, func(string, []byte) error { return nil })),
	)
	// What claims to be done, is.
	if errCreateRoot == nil {
		err = errors.Join(err, hasRoot(ctx, h.other(), "globex", root))
	}
	if errCreate == nil {
		err = errors.Join(err, standsBoth(ctx, h.other(), fresh))
	}
	if errReplace == nil {
		err = errors.Join(err, hasRoot(ctx, h.other(), "acme", next))
	}
	if errForget == nil {
		err = errors.Join(err, person(ctx, h.other(), "acme", row.Person, shred.ErrForgotten))
	}
	if errSetMark == nil {
		err = errors.Join(err, hasMark(ctx, h.other(), m))
	}
	return err
}

func checkStoreErrors(ctx context.Context, h stores) error {
	s := h.first()
	row, gone := newRow("acme"), newRow("acme")
	root := newRoot()
	if err := errors.Join(create(ctx, s, row), create(ctx, s, gone), want("Forget", s.Forget(ctx, "acme", gone.Person), nil), createRoot(ctx, s, "acme", root, root)); err != nil {
		return err
	}
	secret := draw(shred.MaxSealed + 1)
	try := func(name string, change func(*shred.Row)) error {
		r := newRow("acme")
		r.Sealed = secret[:shred.MaxSealed]
		change(&r)
		_, err := s.Create(ctx, r)
		return silent(name, err, secret)
	}
	block := draw(shred.MaxBlock + 1)
	_, errLong := s.CreateRoot(ctx, "acme", block)
	return errors.Join(
		try("Create of a long key", func(r *shred.Row) { r.Sealed = secret }),
		try("Create for a long tenant", func(r *shred.Row) { r.Tenant = strings.Repeat("x", shred.MaxTenant+1) }),
		try("Create with a key id that is taken", func(r *shred.Row) { r.Key = row.Key }),
		try("Create with a key id that was forgotten", func(r *shred.Row) { r.Key = gone.Key }),
		try("Create for a person who was forgotten", func(r *shred.Row) { r.Person = gone.Person }),
		silent("CreateRoot of a long block", errLong, block[:shred.MaxSealed]),
		silent("ReplaceRoot", s.ReplaceRoot(ctx, "acme", block[:shred.MaxBlock], block[:shred.MaxBlock]), block[:shred.MaxSealed]),
		silent("ReplaceRoot of nobody", s.ReplaceRoot(ctx, "globex", block[:shred.MaxBlock], block[:shred.MaxBlock]), block[:shred.MaxSealed]),
		standsBoth(ctx, s, row),
	)
}
