package keyops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A SealingKey is a named key of a policy.
type SealingKey struct {
	Name string
	// KEK wraps new keys. Where it holds "{tenant}", any text may stand for that.
	KEK string
	// Versions are the key blocks of a domain key.
	Versions [][]byte
}

// DefaultGrace is how long a key that no record names stays in the catalog. It is
// longer than any policy lets a producer keep a key that it has made.
const DefaultGrace = 48 * time.Hour

// minGrace is the longest time for which a policy lets a data key be used. Before
// it has passed, a producer may have a key that no record names yet.
const minGrace = 24 * time.Hour

// Retirement is what [Retire] looks at.
type Retirement struct {
	KEK    string  // the URI to be retired
	Census *Census // of all topics with data under the KEK, just brought up to their ends
	// Policy are the keys of every policy that producers have.
	Policy []SealingKey
	// Catalog is the key store; nil where there is none, and then every record
	// that brings a block under the KEK needs it.
	Catalog datakey.Catalog
	// Roots are the stores of persons' keys. Where the census found values of
	// persons, there must be one.
	Roots []shred.Store
	// Known, if not nil, is asked for keys that neither the catalog nor the policy
	// has. It returns the KEKs under which others hold the key: none for a key
	// that it does not know.
	Known func(ctx context.Context, id datakey.ID) (keks []string, err error)
	// Prove, if not nil, unwraps each block of the catalog that takes the place of
	// one under the KEK, and compares the keys. Without it, Retire believes the
	// catalog.
	Prove kms.Wrapper
	// RemoveKeys takes blocks under the KEK out of the catalog that no record of
	// the census names, once they have been so for Grace. Only whoever has every
	// topic in the census may want that: values elsewhere that lost their headers
	// cannot be read afterwards.
	RemoveKeys bool
	// Grace is DefaultGrace when it is 0, and at least 24 hours. It counts from
	// the first Retire with RemoveKeys that found the key without records, as the
	// census remembers it.
	Grace time.Duration
}

// A NeededError says why a KEK cannot be retired. It holds names, numbers and
// places, and no content of a record.
type NeededError struct {
	KEK string `json:"kek"`
	// Incomplete is true when the census did not reach the end of a partition, and
	// Open is the number of offsets in transactions that have not ended.
	Incomplete bool  `json:"incomplete,omitempty"`
	Open       int64 `json:"open,omitempty"`
	// Keys and Records need the KEK: no other block of theirs is known.
	Keys    int   `json:"keys,omitempty"`
	Records int64 `json:"records,omitempty"`
	// Unknown records could not be read, or name a key that nobody knows.
	Unknown int64 `json:"unknown,omitempty"`
	// Persons are records with values of persons, where no store of their root
	// keys was looked at.
	Persons int64 `json:"persons,omitempty"`
	// Unproven keys have another block, and it does not open to them.
	Unproven int `json:"unproven,omitempty"`
	// Blocks of the catalog, and Roots of tenants, are under the KEK.
	Blocks int `json:"blocks,omitempty"`
	Roots  int `json:"roots,omitempty"`
	// Policy are the names of keys that are made, or have a version, under it.
	Policy []string `json:"policy,omitempty"`
	// Waiting are keys without records whose grace time ends at Until.
	Waiting int       `json:"waiting,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	// First are the first records and FirstKeys the first keys, by id in hex or
	// tenant of a root, that stand against it.
	First     []Place  `json:"first,omitempty"`
	FirstKeys []string `json:"first_keys,omitempty"`
}

func (e *NeededError) Error() string {
	var parts []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(e.Incomplete, "the census is not complete")
	add(e.Open > 0, "%d offsets belong to transactions that have not ended", e.Open)
	add(e.Records > 0, "%d records need it for %d data keys", e.Records, e.Keys)
	add(e.Unknown > 0, "%d records could not be read or name a key that nobody knows", e.Unknown)
	add(e.Persons > 0, "%d records have values of persons, and no store of their keys was looked at", e.Persons)
	add(e.Unproven > 0, "%d data keys have another block that does not open to them", e.Unproven)
	add(e.Blocks > 0, "%d blocks of the catalog are under it", e.Blocks)
	add(e.Roots > 0, "%d roots of tenants are under it", e.Roots)
	add(len(e.Policy) > 0, "the policy uses it for %s", strings.Join(e.Policy, ", "))
	add(e.Waiting > 0, "%d keys without records are kept until %s", e.Waiting, e.Until.UTC().Format(time.RFC3339))
	if len(e.First) > 0 {
		places := make([]string, len(e.First))
		for i, p := range e.First {
			places[i] = p.String()
		}
		add(true, "first records: %s", strings.Join(places, ", "))
	}
	add(len(e.FirstKeys) > 0, "first keys: %s", strings.Join(e.FirstKeys, ", "))
	return fmt.Sprintf("keyops: KEK %s is needed: %s", e.KEK, strings.Join(parts, "; "))
}

func (e *NeededError) refuses() bool {
	return e.Incomplete || e.Open > 0 || e.Records > 0 || e.Unknown > 0 || e.Unproven > 0 || e.Blocks > 0 || e.Roots > 0 ||
		e.Persons > 0 || len(e.Policy) > 0 || e.Waiting > 0 || e.Keys > 0
}

func (e *NeededError) place(p Place) {
	if len(e.First) < MaxPlaces {
		e.First = append(e.First, p)
	}
}

func (e *NeededError) key(name string) {
	if len(e.FirstKeys) < MaxPlaces && !slices.Contains(e.FirstKeys, name) {
		e.FirstKeys = append(e.FirstKeys, name)
	}
}

// Retire tells whether a KEK can be disabled without any value becoming
// unreadable that the census, the catalog, the roots and the policy know of. It
// returns the evidence, or a [*NeededError]; another error means that it could not
// find out. It removes nothing, unless RemoveKeys asks for it.
//
// It looks at one moment. Producers that still have a policy with the KEK may use
// it a moment later, so they are all restarted before the census is taken.
func Retire(ctx context.Context, in Retirement) (*Evidence, error) {
	if in.Grace == 0 {
		in.Grace = DefaultGrace
	}
	switch {
	case in.KEK == "" || in.Census == nil:
		return nil, fmt.Errorf("keyops: retire without a KEK or a census: %w", ErrArgument)
	case in.Grace < minGrace:
		return nil, fmt.Errorf("keyops: grace of %v is shorter than %v: %w", in.Grace, minGrace, ErrArgument)
	}
	r := retiring{
		Retirement: in, now: time.Now().UTC().Truncate(time.Second), versions: map[string][]string{},
		no: &NeededError{KEK: in.KEK},
	}
	for _, step := range []func(context.Context) error{r.policy, r.records, r.catalog, r.roots} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if r.no.refuses() {
		return nil, r.no
	}
	for _, u := range r.remove {
		if err := guard(func() error { return in.Catalog.Remove(ctx, u.id, u.block) }); err != nil {
			return nil, fmt.Errorf("keyops: retire: remove key %s: %w", u.id, err)
		}
		r.removed = append(r.removed, u.id.String())
	}
	return r.evidence()
}

type retiring struct {
	Retirement

	now      time.Time
	versions map[string][]string // KEKs of the versions of domain keys, by id in hex
	no       *NeededError

	relied  int // keys that need the catalog instead of their headers
	blocks  int
	rooted  int
	remove  []unnamed
	removed []string
}

type unnamed struct {
	id    datakey.ID
	block []byte
}

func (r *retiring) policy(context.Context) error {
	for _, k := range r.Policy {
		uses := mayBe(k.KEK, r.KEK)
		for _, b := range k.Versions {
			info, err := datakey.DescribeBlock(b)
			if err != nil {
				return fmt.Errorf("keyops: retire: policy key %q: %w", k.Name, err)
			}
			r.versions[info.ID.String()] = append(r.versions[info.ID.String()], info.KEK)
			uses = uses || info.KEK == r.KEK
		}
		if uses {
			r.no.Policy = append(r.no.Policy, k.Name)
		}
	}
	return nil
}

// mayBe tells whether a URI of a policy can be kek for some tenant.
func mayBe(uri, kek string) bool {
	before, after, ok := strings.Cut(uri, "{tenant}")
	if !ok {
		return uri == kek
	}
	if i := strings.LastIndex(after, "{tenant}"); i >= 0 {
		after = after[i+len("{tenant}"):] // what lies between may be anything
	}
	return len(kek) >= len(before)+len(after) && strings.HasPrefix(kek, before) && strings.HasSuffix(kek, after)
}

// records looks at what the census has found.
func (r *retiring) records(ctx context.Context) error {
	r.no.Incomplete = !r.Census.Complete
	if len(r.Roots) == 0 {
		r.no.Persons = r.Census.PersonRecords()
	}
	for i := range r.Census.Partitions {
		p := &r.Census.Partitions[i]
		r.no.Open += p.Open
		r.no.Unknown += p.Unknown.Records
		for _, place := range p.Unknown.First {
			r.no.place(place)
		}
	}
	needed := map[string]bool{}
	for i := range r.Census.Keys {
		k := &r.Census.Keys[i]
		if k.KEK != "" && k.KEK != r.KEK {
			continue // opens by what the records bring
		}
		keks, err := r.elsewhere(ctx, k)
		if err != nil {
			return err
		}
		switch {
		case slices.ContainsFunc(keks, func(kek string) bool { return kek != r.KEK }):
			if k.KEK == r.KEK {
				r.relied++
			}
			continue
		case k.KEK == r.KEK || len(keks) > 0:
			r.no.Records += k.Records
			needed[k.ID] = true
		default:
			r.no.Unknown += k.Records
		}
		r.no.key(k.ID)
		for _, s := range k.Spans {
			r.no.place(Place{Topic: s.Topic, Partition: s.Partition, Offset: s.First})
		}
	}
	r.no.Keys = len(needed)
	return nil
}

// elsewhere returns the KEKs under which a key is held outside of the records.
// One whose block does not open to the key is left out.
func (r *retiring) elsewhere(ctx context.Context, k *Key) ([]string, error) {
	b, err := hex.DecodeString(k.ID)
	if err != nil || len(b) != len(datakey.ID{}) {
		return nil, fmt.Errorf("keyops: retire: census: %q is no key id: %w", k.ID, ErrState)
	}
	id := datakey.ID(b)
	keks := slices.Clone(r.versions[k.ID])
	if r.Catalog != nil {
		var block []byte
		err := guard(func() (err error) {
			block, err = r.Catalog.Get(ctx, id)
			return err
		})
		switch {
		case errors.Is(err, datakey.ErrUnknownKey):
		case err != nil:
			return nil, fmt.Errorf("keyops: retire: key %s: %w", id, err)
		default:
			kek, err := r.believe(ctx, id, block)
			if err != nil {
				return nil, err
			}
			if kek != "" {
				keks = append(keks, kek)
			}
		}
	}
	if len(keks) == 0 && r.Known != nil {
		if keks, err = r.Known(ctx, id); err != nil {
			return nil, fmt.Errorf("keyops: retire: key %s: %w", id, err)
		}
	}
	return keks, nil
}

// believe returns the KEK of a block of the catalog, empty for a block that does
// not open to its key.
func (r *retiring) believe(ctx context.Context, id datakey.ID, block []byte) (string, error) {
	info, err := datakey.DescribeBlock(block)
	if err != nil || info.ID != id {
		return "", nil //nolint:nilerr // what is no block of the key opens nothing
	}
	if info.KEK == r.KEK || r.Prove == nil {
		return info.KEK, nil
	}
	err = datakey.ProveBlock(ctx, r.Prove, block)
	switch {
	case err == nil:
		return info.KEK, nil
	case kms.Retryable(err) && !errors.Is(err, datakey.ErrCommitment):
		return "", fmt.Errorf("keyops: retire: %w", err)
	}
	r.no.Unproven++
	r.no.key(id.String())
	return "", nil
}

// catalog looks for blocks under the KEK.
func (r *retiring) catalog(ctx context.Context) error {
	if r.Catalog == nil {
		return nil
	}
	named := make(map[string]bool, len(r.Census.Keys))
	for i := range r.Census.Keys {
		named[r.Census.Keys[i].ID] = true
	}
	still := map[string]time.Time{}
	err := r.Catalog.Each(ctx, func(id datakey.ID, block []byte) error {
		r.blocks++
		info, err := datakey.DescribeBlock(block)
		if err == nil && info.KEK != r.KEK {
			return nil
		}
		if err != nil || !r.RemoveKeys || named[id.String()] {
			r.no.Blocks++
			r.no.key(id.String())
			return nil //nolint:nilerr // what is no block counts as one under the KEK
		}
		since, ok := r.Census.Unnamed[id.String()]
		if !ok {
			since = r.now
		}
		still[id.String()] = since
		if until := since.Add(r.Grace); r.now.Before(until) {
			r.no.Waiting++
			r.no.Until = later(r.no.Until, until)
			return nil
		}
		r.remove = append(r.remove, unnamed{id, slices.Clone(block)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("keyops: retire: catalog: %w", err)
	}
	if r.RemoveKeys {
		if r.Census.Unnamed == nil {
			r.Census.Unnamed = map[string]time.Time{}
		}
		clear(r.Census.Unnamed)
		maps.Copy(r.Census.Unnamed, still)
	}
	return nil
}

// roots looks for roots of tenants under the KEK.
func (r *retiring) roots(ctx context.Context) error {
	for _, s := range r.Roots {
		err := s.EachRoot(ctx, func(tenant string, block []byte) error {
			r.rooted++
			if info, err := datakey.DescribeBlock(block); err != nil || info.KEK == r.KEK {
				r.no.Roots++
				r.no.key("tenant " + tenant)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("keyops: retire: roots: %w", err)
		}
	}
	return nil
}
