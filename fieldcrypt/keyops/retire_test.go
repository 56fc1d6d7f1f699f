package keyops_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// found returns a census with one span of ten records for each key.
func found(keys ...keyops.Key) *keyops.Census {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	c := &keyops.Census{
		Version: keyops.CensusVersion, Started: at, Updated: at, Policy: "d0d1", Complete: true,
		Partitions: []keyops.Partition{{Topic: "users", TopicID: "t", Start: 5, Next: 105, End: 105, Records: 100, Plain: 50}},
	}
	for _, k := range keys {
		k.Records = 10
		k.Spans = []keyops.Span{{Topic: "users", Records: 10, First: 7, Last: 99, FirstTime: at, LastTime: at}}
		c.Keys = append(c.Keys, k)
	}
	return c
}

func TestRetireRefusesWhileAnythingNeedsTheKEK(t *testing.T) {
	s := newKMS()
	id, block := s.block(t, kekA, "acme")
	moved, err := keyops.RewrapBlock(t.Context(), block, s, kekA, kekB, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(moved)
	broken[len(broken)-1] ^= 1
	name := id.String()
	with := func(b []byte) datakey.Catalog {
		m := new(datakey.MemStore)
		if err := m.Put(t.Context(), id, b); err != nil {
			t.Fatal(err)
		}
		return m
	}
	headerA, headerB, noHeader := keyops.Key{ID: name, KEK: kekA}, keyops.Key{ID: name, KEK: kekB}, keyops.Key{ID: name}
	first := []keyops.Place{{Topic: "users", Offset: 7}}
	unread := found()
	unread.Partitions[0].Unknown = keyops.Unknown{Records: 3, First: []keyops.Place{{Topic: "users", Offset: 9, Reason: "x"}}}
	people := found()
	people.Partitions[0].Persons = keyops.Persons{Records: 4, Last: 80}
	half, open := found(), found()
	half.Complete, open.Partitions[0].Open = false, 2
	known := func(kek ...string) func(context.Context, datakey.ID) ([]string, error) {
		return func(context.Context, datakey.ID) ([]string, error) { return kek, nil }
	}
	tests := []struct {
		name string
		in   keyops.Retirement
		want *keyops.NeededError // nil where it is retired
	}{
		{"nothing at all", keyops.Retirement{Census: found()}, nil},
		{"headers under another KEK", keyops.Retirement{Census: found(headerB)}, nil},
		{"headers under it", keyops.Retirement{Census: found(headerA)}, &keyops.NeededError{Keys: 1, Records: 10, First: first, FirstKeys: []string{name}}},
		{"headers under it, rewrapped in the catalog", keyops.Retirement{Census: found(headerA), Catalog: with(moved)}, nil},
		{"the same, proven", keyops.Retirement{Census: found(headerA), Catalog: with(moved), Prove: s}, nil},
		{"a block that does not open, believed", keyops.Retirement{Census: found(headerA), Catalog: with(broken)}, nil},
		{
			"a block that does not open, proven", keyops.Retirement{Census: found(headerA), Catalog: with(broken), Prove: s},
			&keyops.NeededError{Keys: 1, Records: 10, Unproven: 1, First: first, FirstKeys: []string{name}},
		},
		{
			"headers under it, and the catalog too", keyops.Retirement{Census: found(headerA), Catalog: with(block)},
			&keyops.NeededError{Keys: 1, Records: 10, Blocks: 1, First: first, FirstKeys: []string{name}},
		},
		{"the catalog alone", keyops.Retirement{Census: found(), Catalog: with(block)}, &keyops.NeededError{Blocks: 1, FirstKeys: []string{name}}},
		{"no header, in the catalog", keyops.Retirement{Census: found(noHeader), Catalog: with(moved)}, nil},
		{"no header, known to nobody", keyops.Retirement{Census: found(noHeader)}, &keyops.NeededError{Unknown: 10, First: first, FirstKeys: []string{name}}},
		{"no header, known elsewhere", keyops.Retirement{Census: found(noHeader), Known: known(kekC)}, nil},
		{"no header, known elsewhere under it", keyops.Retirement{Census: found(noHeader), Known: known(kekA)}, &keyops.NeededError{Keys: 1, Records: 10, First: first, FirstKeys: []string{name}}},
		{
			"a version of a domain key under another KEK",
			keyops.Retirement{Census: found(noHeader), Policy: []keyops.SealingKey{{Name: "ids", KEK: kekB, Versions: [][]byte{moved}}}}, nil,
		},
		{
			"a version of a domain key under it",
			keyops.Retirement{Census: found(), Policy: []keyops.SealingKey{{Name: "ids", KEK: kekB, Versions: [][]byte{block}}}},
			&keyops.NeededError{Policy: []string{"ids"}},
		},
		{"the policy seals under it", keyops.Retirement{Census: found(), Policy: []keyops.SealingKey{{Name: "pii", KEK: kekA}}}, &keyops.NeededError{Policy: []string{"pii"}}},
		{"a template that can be it", keyops.Retirement{Census: found(), Policy: []keyops.SealingKey{{Name: "pii", KEK: "local:{tenant}"}}}, &keyops.NeededError{Policy: []string{"pii"}}},
		{"a template that cannot", keyops.Retirement{Census: found(), Policy: []keyops.SealingKey{{Name: "pii", KEK: "local:{tenant}-{tenant}/x"}}}, nil},
		{"a root", keyops.Retirement{Census: found(), Roots: []shred.Store{&rootStore{roots: map[string][]byte{"acme": block}}}}, &keyops.NeededError{Roots: 1, FirstKeys: []string{"tenant acme"}}},
		{"a root under another KEK", keyops.Retirement{Census: found(), Roots: []shred.Store{&rootStore{roots: map[string][]byte{"acme": moved}}}}, nil},
		{"values of persons, and no store of their keys", keyops.Retirement{Census: people}, &keyops.NeededError{Persons: 4}},
		{"values of persons, whose roots are under another KEK", keyops.Retirement{Census: people, Roots: []shred.Store{&rootStore{roots: map[string][]byte{"acme": moved}}}}, nil},
		{"values of persons, and no root under any", keyops.Retirement{Census: people, Roots: []shred.Store{new(shred.MemStore)}}, nil},
		{"records that could not be read", keyops.Retirement{Census: unread}, &keyops.NeededError{Unknown: 3, First: unread.Partitions[0].Unknown.First}},
		{"half a census", keyops.Retirement{Census: half}, &keyops.NeededError{Incomplete: true}},
		{"a transaction that is open", keyops.Retirement{Census: open}, &keyops.NeededError{Open: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.KEK = kekA
			evidence, err := keyops.Retire(t.Context(), tt.in)
			if tt.want == nil {
				if err != nil || evidence.Check() != nil || evidence.KEK != kekA || evidence.Records != 100 || evidence.Plain != 50 {
					t.Errorf("%+v, %v", evidence, err)
				}
				return
			}
			tt.want.KEK = kekA
			no, ok := errors.AsType[*keyops.NeededError](err)
			if !ok || !reflect.DeepEqual(no, tt.want) || evidence != nil {
				t.Errorf("%+v, %v\nwant %+v", no, err, tt.want)
			}
			if ok && (!strings.Contains(no.Error(), kekA) || strings.HasSuffix(no.Error(), ": ")) {
				t.Errorf("it says %q", no)
			}
		})
	}
}

// failing cannot answer.
type failing struct{ datakey.Catalog }

func (failing) Get(context.Context, datakey.ID) ([]byte, error) {
	return nil, errors.New("away") //nolint:err113 // a test
}

func TestRetireDoesNotGuess(t *testing.T) {
	s := newKMS()
	id, block := s.block(t, kekB, "")
	c := new(datakey.MemStore)
	if err := c.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	key := keyops.Key{ID: id.String(), KEK: kekA}
	for name, in := range map[string]keyops.Retirement{
		"no KEK":                    {Census: found()},
		"no census":                 {KEK: kekA},
		"a grace that is too short": {KEK: kekA, Census: found(), Grace: time.Hour},
		"a catalog that is away":    {KEK: kekA, Census: found(key), Catalog: failing{}},
		"a KMS that is away":        {KEK: kekA, Census: found(key), Catalog: c, Prove: away{s}},
		"a key id that is none":     {KEK: kekA, Census: found(keyops.Key{ID: "x"})},
		"a version that is none":    {KEK: kekA, Census: found(), Policy: []keyops.SealingKey{{Name: "k", Versions: [][]byte{{1}}}}},
	} {
		evidence, err := keyops.Retire(t.Context(), in)
		if _, refused := errors.AsType[*keyops.NeededError](err); err == nil || refused || evidence != nil {
			t.Errorf("%s: %+v, %v", name, evidence, err)
		}
	}
}

type away struct{ kms.Wrapper }

func (away) Unwrap(context.Context, string, []byte, kms.EncryptionContext) ([]byte, error) {
	return nil, kms.ErrUnavailable
}

func TestKeysThatNoRecordNamesAreRemovedAfterTheirGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newKMS()
		c := s.catalog(t, kekA, kekA, kekB)
		named, block := s.block(t, kekA, "")
		if err := c.Put(t.Context(), named, block); err != nil {
			t.Fatal(err)
		}
		in := keyops.Retirement{KEK: kekA, Census: found(), Catalog: c}
		refused := func() *keyops.NeededError {
			t.Helper()
			_, err := keyops.Retire(t.Context(), in)
			no, ok := errors.AsType[*keyops.NeededError](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			return no
		}
		if no := refused(); no.Blocks != 3 || no.Waiting != 0 {
			t.Errorf("nobody asked for removal: %+v", no)
		}
		in.RemoveKeys = true
		begin := time.Now().UTC()
		if no := refused(); no.Waiting != 3 || !no.Until.Equal(begin.Add(keyops.DefaultGrace)) || no.Blocks != 0 {
			t.Errorf("%+v", no)
		}
		// A record turns up that names one of them, and goes again later.
		in.Census = carry(found(keyops.Key{ID: named.String(), KEK: kekB}), in.Census)
		time.Sleep(keyops.DefaultGrace - time.Second) //nolint:forbidigo // the clock of a synctest
		if no := refused(); no.Waiting != 2 || no.Blocks != 1 {
			t.Errorf("a key with a record: %+v", no)
		}
		in.Census = carry(found(), in.Census)
		time.Sleep(time.Second) //nolint:forbidigo // the clock of a synctest
		if no := refused(); no.Waiting != 1 || c.Len() != 4 {
			t.Errorf("nothing is removed while anything refuses: %+v, %d keys", no, c.Len())
		}
		time.Sleep(keyops.DefaultGrace) //nolint:forbidigo // the clock of a synctest
		evidence, err := keyops.Retire(t.Context(), in)
		if err != nil || len(evidence.Removed) != 3 || c.Len() != 1 || keks(t, c)[kekB] != 1 {
			t.Errorf("%+v, %v", evidence, err)
		}
	})
}

// carry is what a state file does between two censuses.
func carry(next, before *keyops.Census) *keyops.Census {
	next.Unnamed = before.Unnamed
	return next
}

func TestEvidenceShowsChanges(t *testing.T) {
	evidence, err := keyops.Retire(t.Context(), keyops.Retirement{KEK: kekA, Census: found()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(evidence, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var back keyops.Evidence
	if err := json.Unmarshal(text, &back); err != nil || back.Check() != nil {
		t.Fatalf("%v, %v", err, back.Check())
	}
	for name, change := range map[string]func(*keyops.Evidence){
		"KEK":       func(e *keyops.Evidence) { e.KEK = kekB },
		"time":      func(e *keyops.Evidence) { e.Time = e.Time.Add(time.Second) },
		"partition": func(e *keyops.Evidence) { e.Partitions[0].End++ },
		"removed":   func(e *keyops.Evidence) { e.Removed = append(e.Removed, "x") },
		"hash":      func(e *keyops.Evidence) { e.SHA256 = "" },
		"version":   func(e *keyops.Evidence) { e.Version++ },
	} {
		var e keyops.Evidence
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		change(&e)
		if err := e.Check(); !errors.Is(err, keyops.ErrEvidence) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACensusIsSavedWholeAndReadStrictly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "census.json")
	if _, err := keyops.LoadCensus(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	c := found(keyops.Key{ID: "00", KEK: kekA, Tenant: "acme"}, keyops.Key{ID: "01"})
	c.Unnamed = map[string]time.Time{"02": c.Started}
	for range 2 {
		if err := c.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	back, err := keyops.LoadCensus(path)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%+v, %v", back, err)
	}
	for _, text := range []string{"", "{", `{"fieldveil_census": 2}`, `{"fieldveil_census": 1, "extra": 1}`, `[]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyops.LoadCensus(path); !errors.Is(err, keyops.ErrState) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := c.Save(filepath.Join(path, "no", "folder")); err == nil {
		t.Error("it was saved nowhere")
	}
}

func TestWhatTheLogHasLostIsForgotten(t *testing.T) {
	c := found(keyops.Key{ID: "00", KEK: kekA})
	c.Keys[0].Spans = append(c.Keys[0].Spans, keyops.Span{Topic: "gone", Records: 4})
	c.Keys[0].Records += 4
	c.Partitions[0].Unknown = keyops.Unknown{Records: 2, Last: 50}
	for _, tt := range []struct{ start, records, unknown int64 }{{50, 10, 2}, {51, 10, 0}, {99, 10, 0}, {100, 0, 0}} {
		c.Partitions[0].Start = tt.start
		c.Prune()
		var records int64
		for _, k := range c.Keys {
			records += k.Records
		}
		if records != tt.records || c.Partitions[0].Unknown.Records != tt.unknown || (records == 0) != (len(c.Keys) == 0) {
			t.Errorf("from %d: %+v", tt.start, c)
		}
	}
}
