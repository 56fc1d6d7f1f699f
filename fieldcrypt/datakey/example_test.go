package datakey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// place is the context id of one field; package fieldcrypt computes it.
var place = [8]byte{0x13, 0x2d, 0x9d, 0x6d, 0x3a, 0x56, 0xba, 0x74}

// process returns the scope of a process of its own, and what ends it.
func process(w kms.Wrapper, opts ...datakey.Option) (*datakey.Scope, func(), error) {
	cache, err := datakey.New(w, opts...)
	if err != nil {
		return nil, nil, err
	}
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}})
	return scope, cache.Close, err
}

// seal seals one value under the scope's current data key, and returns the key
// block for the header of its record too.
func seal(ctx context.Context, s *datakey.Scope, plain string) (env, block []byte, err error) {
	w := s.NewSealer()
	if err := w.Reserve(ctx, 1, len(plain)); err != nil {
		return nil, nil, err
	}
	defer w.Done()
	env, err = w.Append(nil, []byte(plain), w.Head(place))
	return env, w.KeyBlock(), err
}

func ExampleNew() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"),
		datakey.WithStore(new(datakey.MemStore)),
		datakey.WithMaxOpeners(1000),
		datakey.WithFanOut(5),
		datakey.WithCallTimeout(3*time.Second),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()

	_, err = datakey.New(kmstest.NewFake("fake:pii"), datakey.WithFanOut(0))
	fmt.Println(err)
	// Output: datakey: fan-out 0 is not positive
}

func ExampleCache_Scope() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	spec := datakey.ScopeSpec{
		Name:   "pii",
		Tenant: "acme",
		KEKs:   []string{"fake:pii", "fake:last-year"},
		Limits: datakey.Limits{Refresh: 5 * time.Minute, Seals: 1 << 20},
	}
	scope, err := cache.Scope(spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scope.Name(), scope.Tenant())

	spec.Limits.Seals = datakey.MaxSeals + 1
	_, err = cache.Scope(spec)
	fmt.Println(err)
	// Output:
	// pii acme
	// datakey: 4294967297 seals are more than 2^32
}

func ExampleCache_Close() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	cache.Close()
	err = scope.NewSealer().Reserve(context.Background(), 1, 10)
	fmt.Println(errors.Is(err, datakey.ErrUnusable))
	// Output: true
}

// A Sealer serves one record after another, and a Head all values of one place
// until the data key changes.
func ExampleSealer() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, w := context.Background(), scope.NewSealer()
	var head *datakey.Head
	for _, email := range []string{"jane@example.com", "joe@example.com"} {
		if err := w.Reserve(ctx, 2, 2*len(email)); err != nil {
			fmt.Println(err)
			return
		}
		if !w.Current(head) {
			head = w.Head(place)
			fmt.Println("a new head")
		}
		text, err := w.AppendText(nil, []byte(email), head)
		if err != nil {
			fmt.Println(err)
			return
		}
		raw, err := w.Append(nil, []byte(email), head)
		if err != nil {
			fmt.Println(err)
			return
		}
		id, err := datakey.CheckBlock(w.KeyBlock()) // for the record's header
		fmt.Println(string(text[:6]), len(raw), w.Done(), id == w.KeyID(), err)
	}
	// Output:
	// a new head
	// fv1:AQ 66 2 true <nil>
	// fv1:AQ 65 2 true <nil>
}

// A reservation that is too small grows as long as the key has room.
func ExampleSealer_Append() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}, Limits: datakey.Limits{Seals: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := scope.NewSealer()
	if err := w.Reserve(context.Background(), 1, 1); err != nil {
		fmt.Println(err)
		return
	}
	head := w.Head(place)
	for range 3 {
		_, err := w.Append(nil, []byte("x"), head)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// reserved seals are used up
}

// Another process opens the value with the block from the record's header.
func ExampleScope_Opener() {
	fake, ctx := kmstest.NewFake("fake:pii"), context.Background()
	writer, end, err := process(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer end()
	reader, end, err := process(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer end()
	env, block, err := seal(ctx, writer, "jane@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}

	v, err := datakey.ParseValue(env)
	if err != nil {
		fmt.Println(err)
		return
	}
	opener := reader.Cached(v.KeyID())
	fmt.Println(opener == nil)
	if opener, err = reader.Opener(ctx, v.KeyID(), [][]byte{block}); err != nil {
		fmt.Println(err)
		return
	}
	plain, err := opener.Append(nil, &v)
	fmt.Println(string(plain), err, v.Place() == place)
	fmt.Println(opener.KeyID() == v.KeyID(), opener.Expired(), reader.Cached(v.KeyID()) == opener)

	env[len(env)-1] ^= 1
	_, err = opener.Append(nil, &v)
	fmt.Println(err)
	// Output:
	// true
	// jane@example.com <nil> true
	// true false true
	// value failed authentication
}

// The values of one field mostly begin alike: a Head tells so without parsing.
func ExampleHead() {
	scope, end, err := process(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer end()
	w := scope.NewSealer()
	if err := w.Reserve(context.Background(), 1, 16); err != nil {
		fmt.Println(err)
		return
	}
	text, err := w.AppendText(nil, []byte("jane@example.com"), w.Head(place))
	if err != nil {
		fmt.Println(err)
		return
	}

	head := scope.Cached(w.KeyID()).Head(place)
	fmt.Println(head.Opens([]byte("fv1:AQEBAQ")), head.Opens(text))
	plain, _, err := head.AppendText(nil, text, nil)
	fmt.Println(string(plain), err)
	// Output:
	// false true
	// jane@example.com <nil>
}

func ExampleForeignKeyError() {
	fake, ctx := kmstest.NewFake("fake:pii"), context.Background()
	cache, err := datakey.New(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	acme, err := cache.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"fake:pii"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	globex, err := cache.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "globex", KEKs: []string{"fake:pii"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	env, block, err := seal(ctx, acme, "jane@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := datakey.ParseValue(env)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = globex.Opener(ctx, v.KeyID(), [][]byte{block})
	var foreign *datakey.ForeignKeyError
	fmt.Println(errors.As(err, &foreign))
	fmt.Println(err)
	// Output:
	// true
	// data key belongs to tenant "acme" under KEK "fake:pii"
}

// What an error means for the caller.
func ExampleSealer_Reserve() {
	fake := kmstest.NewFake("fake:pii")
	cache, err := datakey.New(fake, datakey.WithCallTimeout(time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	for _, class := range []error{kms.ErrUnavailable, kms.ErrDenied} {
		fake.Fail(class)
		scope, err := cache.Scope(datakey.ScopeSpec{Name: class.Error(), KEKs: []string{"fake:pii"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		err = scope.NewSealer().Reserve(context.Background(), 1, 10)
		switch {
		case errors.Is(err, datakey.ErrUnavailable):
			fmt.Println("later:", errors.Is(err, kms.ErrUnavailable))
		case errors.Is(err, datakey.ErrUnusable):
			fmt.Println("an operator must act:", errors.Is(err, kms.ErrDenied))
		}
	}
	// Output:
	// later: true
	// an operator must act: true
}

func ExampleParseValue() {
	_, err := datakey.ParseValue([]byte("not sealed at all"))
	fmt.Println(err)
	_, err = datakey.ParseValue([]byte{1, 1})
	fmt.Println(err)
	// Output:
	// unknown format version: not in the fieldveil format
	// envelope is cut short: not in the fieldveil format
}

// Nothing that leads to a key shows one, whatever the verb.
func ExampleScope_Format() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"fake:pii"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v %s %#v\n", cache, scope, scope.NewSealer())

	w := scope.NewSealer()
	if err := w.Reserve(context.Background(), 1, 1); err != nil {
		fmt.Println(err)
		return
	}
	id := w.KeyID().String()
	for _, v := range []any{w, w.Head(place), scope.Cached(w.KeyID())} {
		fmt.Println(strings.ReplaceAll(fmt.Sprintf("%+v", v), id, "ID"))
	}
	// Output:
	// datakey.Cache datakey.Scope("pii", "acme") datakey.Sealer(no key)
	// datakey.Sealer(ID)
	// datakey.Head(ID)
	// datakey.Opener(ID)
}
