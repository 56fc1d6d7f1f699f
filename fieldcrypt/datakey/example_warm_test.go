package datakey_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func ExampleCache_Warm() {
	fake := kmstest.NewFake("fake:pii")
	cache, err := datakey.New(fake, datakey.WithMaxScopes(500))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	var specs []datakey.ScopeSpec
	for _, tenant := range []string{"acme", "globex"} {
		specs = append(specs, datakey.ScopeSpec{Name: "pii", Tenant: tenant, KEKs: []string{"fake:pii"}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println(cache.Warm(ctx, specs...), fake.Calls(kmstest.OpGenerate))
	// Output: <nil> 2
}

func ExampleCache_WarmDomains() {
	ctx, fake := context.Background(), kmstest.NewFake("fake:pii")
	block, err := datakey.CreateDomainBlock(ctx, fake, "fake:pii", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	cache, err := datakey.New(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	spec := datakey.DomainSpec{Name: "ids", KEKs: []string{"fake:pii"}, Blocks: [][]byte{block}}
	fmt.Println(cache.WarmDomains(ctx, spec), cache.Ready())
	// Output: <nil> <nil>
}

// For a readiness probe: the text says which key is missing and why.
func ExampleCache_Ready() {
	fake := kmstest.NewFake("fake:pii")
	fake.Fail(kms.ErrDenied)
	cache, err := datakey.New(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	_ = cache.Warm(context.Background(), datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}})
	fmt.Println(cache.Ready())
	// Output: datakey: generate key "pii" under fake:pii: data key unusable: access to the KEK denied
}

// The handler of an event that says that a KEK was disabled.
func ExampleCache_Recheck() {
	ctx, fake := context.Background(), kmstest.NewFake("fake:pii")
	cache, err := datakey.New(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	if err := cache.Warm(ctx, datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}}); err != nil {
		fmt.Println(err)
		return
	}
	fake.Fail(kms.ErrDisabled)
	err = cache.Recheck(ctx, "fake:pii")
	fmt.Println(errors.Is(err, datakey.ErrUnusable), cache.Ready() == nil)
	// Output: true false
}

func ExampleCache_Stats() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	if err := cache.Warm(context.Background(), datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}}); err != nil {
		fmt.Println(err)
		return
	}
	stats := cache.Stats()
	for _, k := range stats.Keys {
		fmt.Printf("key %s: %d of %d scopes warm, %d seals left\n", k.Key, k.Warm, k.Scopes, k.SealsLeft)
	}
	for _, e := range stats.Endpoints {
		fmt.Println("endpoint", e.Endpoint+":", "circuit", e.Circuit)
		for _, c := range e.Calls {
			fmt.Println(" ", c.Op, c.Outcome, c.Count)
		}
	}
	// Output:
	// key pii: 1 of 1 scopes warm, 268435456 seals left
	// endpoint fake: circuit closed
	//   generate ok 1
	//   unwrap ok 1
}

// calls prints what a metric would count.
type calls struct{}

func (calls) Observe(e datakey.Event) {
	if e.Kind == datakey.EventCall {
		fmt.Println(e.Endpoint, e.Op, e.Outcome)
	}
}

func ExampleWithObserver() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"), datakey.WithObserver(calls{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	if err := cache.Warm(context.Background(), datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// fake generate ok
	// fake unwrap ok
}

// A process that ended and starts again while the KMS makes no keys.
func ExampleWithKeyFiles() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	fake := kmstest.NewFake("fake:pii")
	start := func() error {
		cache, err := datakey.New(fake, datakey.WithKeyFiles(filepath.Join(dir, "fieldveil")))
		if err != nil {
			return err
		}
		defer cache.Close()
		spec := datakey.ScopeSpec{Name: "pii", KEKs: []string{"fake:pii"}, Persist: true}
		return cache.Warm(context.Background(), spec)
	}
	fmt.Println(start())
	fake.Hook(func(_ context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpGenerate {
			return kms.ErrDenied
		}
		return nil
	})
	fmt.Println(start())
	// Output:
	// <nil>
	// <nil>
}

func ExampleWithTenantMetrics() {
	cache, err := datakey.New(kmstest.NewFake("fake:pii"), datakey.WithTenantMetrics())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	if err := cache.Warm(context.Background(), datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"fake:pii"}}); err != nil {
		fmt.Println(err)
		return
	}
	for _, k := range cache.Stats().Keys {
		fmt.Println(k.Key, k.Tenant)
	}
	// Output: pii acme
}
