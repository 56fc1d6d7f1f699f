package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// found tells how many checks find something wrong with a store, and names the
// one that has to.
func found[S any](t *testing.T, checks []check[S], open func() handles[S], by string) {
	t.Helper()
	known := false
	for _, c := range checks {
		if c.name != by {
			continue
		}
		known = true
		for range 20 { // races are lost sooner or later
			if c.run(t.Context(), open()) != nil {
				return
			}
		}
	}
	t.Errorf("%q finds nothing; it is a check: %t", by, known)
}

// meeting returns a function in which the first caller waits for the second.
func meeting() func() {
	var callers atomic.Int64
	second := make(chan struct{})
	return func() {
		switch callers.Add(1) {
		case 1:
			<-second
		case 2:
			close(second)
		}
	}
}

// A brokenCatalog is a sound one but for what is set.
type brokenCatalog struct {
	*datakey.MemStore

	put     func(ctx context.Context, id datakey.ID, block []byte) error
	get     func(ctx context.Context, id datakey.ID) ([]byte, error)
	each    func(ctx context.Context, f func(datakey.ID, []byte) error) error
	replace func(ctx context.Context, id datakey.ID, old, next []byte) error
	remove  func(ctx context.Context, id datakey.ID, old []byte) error
}

func (b *brokenCatalog) Put(ctx context.Context, id datakey.ID, block []byte) error {
	if b.put != nil {
		return b.put(ctx, id, block)
	}
	return b.MemStore.Put(ctx, id, block)
}

func (b *brokenCatalog) Get(ctx context.Context, id datakey.ID) ([]byte, error) {
	if b.get != nil {
		return b.get(ctx, id)
	}
	return b.MemStore.Get(ctx, id)
}

func (b *brokenCatalog) Each(ctx context.Context, f func(datakey.ID, []byte) error) error {
	if b.each != nil {
		return b.each(ctx, f)
	}
	return b.MemStore.Each(ctx, f)
}

func (b *brokenCatalog) Replace(ctx context.Context, id datakey.ID, old, next []byte) error {
	if b.replace != nil {
		return b.replace(ctx, id, old, next)
	}
	return b.MemStore.Replace(ctx, id, old, next)
}

func (b *brokenCatalog) Remove(ctx context.Context, id datakey.ID, old []byte) error {
	if b.remove != nil {
		return b.remove(ctx, id, old)
	}
	return b.MemStore.Remove(ctx, id, old)
}

func TestABrokenCatalogIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, by string
		breaks   func(b *brokenCatalog, m *datakey.MemStore)
	}{
		{"it forgets", "a block is found once it is put", func(b *brokenCatalog, _ *datakey.MemStore) {
			b.put = func(context.Context, datakey.ID, []byte) error { return nil }
		}},
		{"it knows everything", "what was never put is unknown", func(b *brokenCatalog, m *datakey.MemStore) {
			b.get = func(ctx context.Context, id datakey.ID) ([]byte, error) {
				if got, err := m.Get(ctx, id); err == nil {
					return got, nil
				}
				return []byte("block"), nil
			}
		}},
		{"the last block of an id wins", "the first block of an id stands", func(b *brokenCatalog, m *datakey.MemStore) {
			b.put = func(ctx context.Context, id datakey.ID, block []byte) error {
				if old, err := m.Get(ctx, id); err == nil {
					return m.Replace(ctx, id, old, block)
				}
				return m.Put(ctx, id, block)
			}
		}},
		{"ids are folded", "ids are told apart by their bytes", func(b *brokenCatalog, m *datakey.MemStore) {
			fold := func(id datakey.ID) datakey.ID { return datakey.ID(bytes.ToLower(id[:])) }
			b.put = func(ctx context.Context, id datakey.ID, block []byte) error {
				if !slices.Contains(edgeIDs()[len(edgeIDs())-3:], id) {
					return m.Put(ctx, id, block)
				}
				return m.Put(ctx, fold(id), block)
			}
		}},
		{"long blocks are cut", "the longest block is kept whole", func(b *brokenCatalog, m *datakey.MemStore) {
			b.put = func(ctx context.Context, id datakey.ID, block []byte) error {
				return m.Put(ctx, id, block[:min(len(block), 8192)])
			}
		}},
		{"old is not looked at", "a block is replaced when it is still the old one", func(b *brokenCatalog, m *datakey.MemStore) {
			b.replace = func(ctx context.Context, id datakey.ID, _, next []byte) error {
				old, err := m.Get(ctx, id)
				if err != nil {
					return err
				}
				return m.Replace(ctx, id, old, next)
			}
		}},
		{"it removes what is another one by now", "a block is removed when it is still the old one", func(b *brokenCatalog, m *datakey.MemStore) {
			b.remove = func(ctx context.Context, id datakey.ID, _ []byte) error {
				old, err := m.Get(ctx, id)
				if err != nil {
					return err
				}
				return m.Remove(ctx, id, old)
			}
		}},
		{"it lists the first page only", "all blocks are listed in the order of their ids", func(b *brokenCatalog, m *datakey.MemStore) {
			b.each = func(ctx context.Context, f func(datakey.ID, []byte) error) error {
				n := 0
				return m.Each(ctx, func(id datakey.ID, block []byte) error {
					n++
					if n > 1000 {
						return nil
					}
					return f(id, block)
				})
			}
		}},
		{"it hides the error of the function", "a listing ends with the error of its function", func(b *brokenCatalog, m *datakey.MemStore) {
			b.each = func(ctx context.Context, f func(datakey.ID, []byte) error) error { _ = m.Each(ctx, f); return nil }
		}},
		{"a listing is of the past", "the function of a listing may call the catalog", func(b *brokenCatalog, m *datakey.MemStore) {
			b.each = func(ctx context.Context, f func(datakey.ID, []byte) error) error {
				var ids []datakey.ID
				_ = m.Each(ctx, func(id datakey.ID, _ []byte) error { ids = append(ids, id); return nil })
				for _, id := range ids[:len(ids)-1] {
					block, _ := m.Get(ctx, id)
					if err := f(id, block); err != nil {
						return err
					}
				}
				return nil
			}
		}},
		{"it hands out its own slice", "blocks belong to the caller", func(b *brokenCatalog, m *datakey.MemStore) {
			kept := map[datakey.ID][]byte{}
			b.put = func(_ context.Context, id datakey.ID, block []byte) error { kept[id] = block; return nil }
			b.get = func(_ context.Context, id datakey.ID) ([]byte, error) { return kept[id], nil }
		}},
		{"it takes an ended context for an answer", "an ended context says nothing about the catalog", func(b *brokenCatalog, m *datakey.MemStore) {
			b.get = func(ctx context.Context, id datakey.ID) ([]byte, error) {
				if ctx.Err() != nil {
					return nil, datakey.ErrUnknownKey
				}
				return m.Get(ctx, id)
			}
		}},
		{"its errors show the block", "no error shows a block", func(b *brokenCatalog, m *datakey.MemStore) {
			b.replace = func(ctx context.Context, id datakey.ID, old, next []byte) error {
				if err := m.Replace(ctx, id, old, next); err != nil {
					return fmt.Errorf("replace by %X: %w", next, err)
				}
				return nil
			}
		}},
		{"it replaces without a lock", "of those who replace a block at a time one is first", func(b *brokenCatalog, m *datakey.MemStore) {
			between := meeting()
			b.replace = func(ctx context.Context, id datakey.ID, old, next []byte) error {
				stands, err := m.Get(ctx, id)
				if err != nil || !bytes.Equal(stands, old) {
					return datakey.ErrBlockChanged
				}
				between()
				if stands, err = m.Get(ctx, id); err != nil {
					return err
				}
				return m.Replace(ctx, id, stands, next)
			}
		}},
		{"a replaced block comes back", "a catalog does what a map does", func(b *brokenCatalog, m *datakey.MemStore) {
			b.replace = func(ctx context.Context, id datakey.ID, old, next []byte) error {
				if err := m.Replace(ctx, id, old, next); err != nil {
					return err
				}
				if len(next) == len(old)+1 {
					return m.Replace(ctx, id, next, old)
				}
				return nil
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found(t, catalogChecks(), func() catalogs {
				b := &brokenCatalog{MemStore: new(datakey.MemStore)}
				tt.breaks(b, b.MemStore)
				return catalogs{b}
			}, tt.by)
		})
	}
}

// A brokenStore is a sound one but for what is set.
type brokenStore struct {
	*shred.MemStore

	createRoot func(ctx context.Context, tenant string, block []byte) ([]byte, error)
	eachRoot   func(ctx context.Context, f func(string, []byte) error) error
	create     func(ctx context.Context, row shred.Row) (shred.Row, error)
	person     func(ctx context.Context, tenant string, p shred.PersonID) (shred.Row, error)
	byKey      func(ctx context.Context, tenant string, k shred.KeyID) (shred.Row, error)
	forget     func(ctx context.Context, tenant string, p shred.PersonID) error
	setMark    func(ctx context.Context, m shred.Mark) error
	tenant     func(string) string
}

func (b *brokenStore) name(tenant string) string {
	if b.tenant != nil && len(tenant) <= shred.MaxTenant {
		return b.tenant(tenant)
	}
	return tenant
}

func (b *brokenStore) CreateRoot(ctx context.Context, tenant string, block []byte) ([]byte, error) {
	if b.createRoot != nil {
		return b.createRoot(ctx, tenant, block)
	}
	return b.MemStore.CreateRoot(ctx, b.name(tenant), block)
}

func (b *brokenStore) Root(ctx context.Context, tenant string) ([]byte, error) {
	return b.MemStore.Root(ctx, b.name(tenant))
}

func (b *brokenStore) EachRoot(ctx context.Context, f func(string, []byte) error) error {
	if b.eachRoot != nil {
		return b.eachRoot(ctx, f)
	}
	return b.MemStore.EachRoot(ctx, f)
}

func (b *brokenStore) Create(ctx context.Context, row shred.Row) (shred.Row, error) {
	if b.create != nil {
		return b.create(ctx, row)
	}
	tenant := row.Tenant
	row.Tenant = b.name(tenant)
	got, err := b.MemStore.Create(ctx, row)
	got.Tenant = tenant
	return got, err
}

func (b *brokenStore) Person(ctx context.Context, tenant string, p shred.PersonID) (shred.Row, error) {
	if b.person != nil {
		return b.person(ctx, tenant, p)
	}
	got, err := b.MemStore.Person(ctx, b.name(tenant), p)
	got.Tenant = tenant
	return got, err
}

func (b *brokenStore) ByKey(ctx context.Context, tenant string, k shred.KeyID) (shred.Row, error) {
	if b.byKey != nil {
		return b.byKey(ctx, tenant, k)
	}
	got, err := b.MemStore.ByKey(ctx, b.name(tenant), k)
	got.Tenant = tenant
	return got, err
}

func (b *brokenStore) Forget(ctx context.Context, tenant string, p shred.PersonID) error {
	if b.forget != nil {
		return b.forget(ctx, tenant, p)
	}
	return b.MemStore.Forget(ctx, b.name(tenant), p)
}

func (b *brokenStore) SetMark(ctx context.Context, m shred.Mark) error {
	if b.setMark != nil {
		return b.setMark(ctx, m)
	}
	return b.MemStore.SetMark(ctx, m)
}

func TestABrokenStoreIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, by string
		breaks   func(b *brokenStore, m *shred.MemStore)
	}{
		{"CreateRoot returns what it was given", "the first root of a tenant stands", func(b *brokenStore, m *shred.MemStore) {
			b.createRoot = func(ctx context.Context, tenant string, block []byte) ([]byte, error) {
				_, err := m.CreateRoot(ctx, tenant, block)
				return bytes.Clone(block), err
			}
		}},
		{"Create returns what it was given", "of those who create a person's row at a time one wins", func(b *brokenStore, m *shred.MemStore) {
			b.create = func(ctx context.Context, row shred.Row) (shred.Row, error) {
				_, err := m.Create(ctx, row)
				return row, err
			}
		}},
		{"a key id is free once its person was forgotten", "a key id is taken for good", func(b *brokenStore, m *shred.MemStore) {
			b.create = func(ctx context.Context, row shred.Row) (shred.Row, error) {
				got, err := m.Create(ctx, row)
				if _, errKey := m.ByKey(ctx, row.Tenant, row.Key); errors.Is(err, shred.ErrTaken) && errors.Is(errKey, shred.ErrForgotten) {
					row.Key = newKeyID()
					return m.Create(ctx, row)
				}
				return got, err
			}
		}},
		{"the key of one who was forgotten is unknown", "a tombstone bars its person for ever", func(b *brokenStore, m *shred.MemStore) {
			b.byKey = func(ctx context.Context, tenant string, k shred.KeyID) (shred.Row, error) {
				row, err := m.ByKey(ctx, tenant, k)
				if errors.Is(err, shred.ErrForgotten) {
					err = shred.ErrNone
				}
				return row, err
			}
		}},
		{"only who has a row is forgotten", "a person without a row can be forgotten", func(b *brokenStore, m *shred.MemStore) {
			b.forget = func(ctx context.Context, tenant string, p shred.PersonID) error {
				if _, err := m.Person(ctx, tenant, p); errors.Is(err, shred.ErrNone) {
					return nil
				}
				return m.Forget(ctx, tenant, p)
			}
		}},
		{"to forget is remembered late", "who is forgotten while his row is created stays forgotten", func(b *brokenStore, m *shred.MemStore) {
			b.forget = func(ctx context.Context, tenant string, p shred.PersonID) error {
				go func() { _ = m.Forget(context.WithoutCancel(ctx), tenant, p) }()
				return nil
			}
		}},
		{"tenants are one", "tenants know nothing of each other", func(b *brokenStore, _ *shred.MemStore) {
			b.tenant = func(string) string { return "" }
		}},
		{"tenants end with NUL", "tenants, persons and keys are told apart by their bytes", func(b *brokenStore, _ *shred.MemStore) {
			b.tenant = func(s string) string { before, _, _ := bytes.Cut([]byte(s), []byte{0}); return string(before) }
		}},
		{"tenants are text", "tenants, persons and keys are told apart by their bytes", func(b *brokenStore, _ *shred.MemStore) {
			b.tenant = func(s string) string { return string(bytes.ToValidUTF8([]byte(s), []byte("?"))) }
		}},
		{"long keys are cut", "what is too large is refused and the largest is kept", func(b *brokenStore, m *shred.MemStore) {
			b.create = func(ctx context.Context, row shred.Row) (shred.Row, error) {
				row.Sealed = row.Sealed[:min(len(row.Sealed), 256)]
				return m.Create(ctx, row)
			}
		}},
		{"the mark goes back", "a mark is remembered and never goes back", func(b *brokenStore, m *shred.MemStore) {
			b.setMark = func(ctx context.Context, next shred.Mark) error { *m = shred.MemStore{}; return m.SetMark(ctx, next) }
		}},
		{"the mark is a signed number", "a mark of 64 bits is kept or refused", func(b *brokenStore, m *shred.MemStore) {
			b.setMark = func(ctx context.Context, next shred.Mark) error {
				next.Seq &= 1<<63 - 1
				return m.SetMark(ctx, next)
			}
		}},
		{"a mark at zero is none", "a mark at zero binds the store to its ledger", func(b *brokenStore, m *shred.MemStore) {
			b.setMark = func(ctx context.Context, next shred.Mark) error {
				if next.Seq == 0 {
					return nil
				}
				return m.SetMark(ctx, next)
			}
		}},
		{"a mark is read, compared and set", "of ledgers that are set at a time one stands", func(b *brokenStore, m *shred.MemStore) {
			between := meeting()
			b.setMark = func(ctx context.Context, next shred.Mark) error {
				if stands, err := m.Mark(ctx); err == nil && stands.Ledger != next.Ledger {
					return shred.ErrLedger
				}
				between()
				_ = m.SetMark(ctx, next)
				return nil
			}
		}},
		{"roots come by the length of their names", "all roots are listed in the order of the tenants", func(b *brokenStore, m *shred.MemStore) {
			b.eachRoot = func(ctx context.Context, f func(string, []byte) error) error {
				var names []string
				_ = m.EachRoot(ctx, func(tenant string, _ []byte) error { names = append(names, tenant); return nil })
				slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) })
				for _, name := range names {
					block, _ := m.Root(ctx, name)
					if err := f(name, block); err != nil {
						return err
					}
				}
				return nil
			}
		}},
		{"the listing goes on after an error", "a listing ends with the error of its function", func(b *brokenStore, m *shred.MemStore) {
			b.eachRoot = func(ctx context.Context, f func(string, []byte) error) error {
				var first error
				_ = m.EachRoot(ctx, func(tenant string, block []byte) error {
					if err := f(tenant, block); first == nil {
						first = err
					}
					return nil
				})
				return first
			}
		}},
		{"an ended context is an answer", "an ended context says nothing about the store", func(b *brokenStore, m *shred.MemStore) {
			b.person = func(ctx context.Context, tenant string, p shred.PersonID) (shred.Row, error) {
				if ctx.Err() != nil {
					return shred.Row{}, shred.ErrNone
				}
				return m.Person(ctx, tenant, p)
			}
		}},
		{"its errors show the key", "no error shows a key", func(b *brokenStore, m *shred.MemStore) {
			b.create = func(ctx context.Context, row shred.Row) (shred.Row, error) {
				got, err := m.Create(ctx, row)
				if err != nil {
					err = fmt.Errorf("insert %+v: %w", row, err)
				}
				return got, err
			}
		}},
		{"it keeps the slice of its caller", "slices belong to the caller", func(b *brokenStore, m *shred.MemStore) {
			var kept shred.Row
			b.create = func(_ context.Context, row shred.Row) (shred.Row, error) {
				if kept.Sealed == nil {
					kept = row
				}
				return kept, nil
			}
		}},
		{"it forgets nobody of one tenant", "a store does what a model does", func(b *brokenStore, m *shred.MemStore) {
			b.forget = func(ctx context.Context, tenant string, p shred.PersonID) error {
				if tenant == "globex" {
					return nil
				}
				return m.Forget(ctx, tenant, p)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found(t, shredChecks(), func() stores {
				b := &brokenStore{MemStore: new(shred.MemStore)}
				tt.breaks(b, b.MemStore)
				return stores{b}
			}, tt.by)
		})
	}
}

// A brokenLedger is a sound one but for what is set.
type brokenLedger struct {
	*shred.MemLedger

	id   func(ctx context.Context) (shred.LedgerID, error)
	add  func(ctx context.Context, e shred.Entry) (shred.Entry, error)
	read func(ctx context.Context, after uint64, limit int) ([]shred.Entry, error)
}

func (b *brokenLedger) ID(ctx context.Context) (shred.LedgerID, error) {
	if b.id != nil {
		return b.id(ctx)
	}
	return b.MemLedger.ID(ctx)
}

func (b *brokenLedger) Append(ctx context.Context, e shred.Entry) (shred.Entry, error) {
	if b.add != nil {
		return b.add(ctx, e)
	}
	return b.MemLedger.Append(ctx, e)
}

func (b *brokenLedger) Read(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
	if b.read != nil {
		return b.read(ctx, after, limit)
	}
	return b.MemLedger.Read(ctx, after, limit)
}

func TestABrokenLedgerIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, by string
		breaks   func(b *brokenLedger, m *shred.MemLedger)
	}{
		{"it has no id", "the id is the ledger's own and stays", func(b *brokenLedger, _ *shred.MemLedger) {
			b.id = func(context.Context) (shred.LedgerID, error) { return shred.LedgerID{}, nil }
		}},
		{"it draws its id again", "the id is the ledger's own and stays", func(b *brokenLedger, _ *shred.MemLedger) {
			b.id = func(context.Context) (shred.LedgerID, error) { return newLedgerID(), nil }
		}},
		{"it forgets an entry", "entries form a chain", func(b *brokenLedger, m *shred.MemLedger) {
			b.read = func(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
				entries, err := m.Read(ctx, after, limit)
				return slices.DeleteFunc(entries, func(e shred.Entry) bool { return e.Seq == 5 }), err
			}
		}},
		{"it keeps the time as it comes", "an entry is returned as it stands", func(b *brokenLedger, m *shred.MemLedger) {
			b.add = func(ctx context.Context, e shred.Entry) (shred.Entry, error) {
				got, err := m.Append(ctx, e)
				got.Time = e.Time
				return got, err
			}
		}},
		{"it cleans texts up", "texts and names are kept to the byte", func(b *brokenLedger, m *shred.MemLedger) {
			b.add = func(ctx context.Context, e shred.Entry) (shred.Entry, error) {
				e.Tenant = string(bytes.ToValidUTF8([]byte(e.Tenant), []byte("\ufffd")))
				return m.Append(ctx, e)
			}
		}},
		{"it adds what it refuses", "an entry that is refused is not added", func(b *brokenLedger, m *shred.MemLedger) {
			b.add = func(ctx context.Context, e shred.Entry) (shred.Entry, error) {
				if err := e.Check(); err != nil {
					e.Tenant, e.By, e.Reason = "", "-", "-"
					_, _ = m.Append(ctx, e)
					return shred.Entry{}, err
				}
				return m.Append(ctx, e)
			}
		}},
		{"the limit is not kept", "entries are read after any other and up to a limit", func(b *brokenLedger, m *shred.MemLedger) {
			b.read = func(ctx context.Context, after uint64, _ int) ([]shred.Entry, error) { return m.Read(ctx, after, 1000) }
		}},
		{"after is a signed number", "entries are read after any other and up to a limit", func(b *brokenLedger, m *shred.MemLedger) {
			b.read = func(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
				return m.Read(ctx, uint64(max(int64(after), 0)), limit)
			}
		}},
		{"an ended context is an answer", "an ended context says nothing about the ledger", func(b *brokenLedger, m *shred.MemLedger) {
			b.read = func(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
				entries, _ := m.Read(ctx, after, limit)
				return entries, nil
			}
		}},
		{"it hands out its own slice", "entries belong to the caller", func(b *brokenLedger, m *shred.MemLedger) {
			var own []shred.Entry
			b.read = func(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
				if own == nil {
					own, _ = m.Read(ctx, 0, 1000)
				}
				return own[min(int(after), len(own)):], nil
			}
		}},
		{"it says more than one that an entry is theirs", "those who append at a time are put in a row", func(b *brokenLedger, m *shred.MemLedger) {
			var mu sync.Mutex
			var last shred.Entry
			b.add = func(ctx context.Context, e shred.Entry) (shred.Entry, error) {
				mu.Lock()
				defer mu.Unlock()
				if last.Seq == 7 {
					got := last
					last = shred.Entry{}
					return got, nil
				}
				var err error
				last, err = m.Append(ctx, e)
				return last, err
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found(t, ledgerChecks(), func() ledgers {
				b := &brokenLedger{MemLedger: new(shred.MemLedger)}
				tt.breaks(b, b.MemLedger)
				return ledgers{b}
			}, tt.by)
		})
	}
}

// A handle that does not see what another one did.
func TestHandlesThatShareNothingAreFound(t *testing.T) {
	found(t, catalogChecks(), func() catalogs { return catalogs{new(datakey.MemStore), new(datakey.MemStore)} }, "a block is found once it is put")
	found(t, shredChecks(), func() stores { return stores{new(shred.MemStore), new(shred.MemStore)} }, "the first row of a person stands")
	found(t, ledgerChecks(), func() ledgers { return ledgers{new(shred.MemLedger), new(shred.MemLedger)} }, "entries form a chain")
}
