package datakey_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A person's values are sealed under his key and nobody else's, until he is
// forgotten. Programs that protect records use this through package fieldcrypt.
func ExampleOpenPersons() {
	ctx := context.Background()
	cache, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	persons, err := datakey.OpenPersons(ctx, cache, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		panic(err)
	}
	acme, err := persons.Scope(datakey.PersonSpec{Tenant: "acme", KEKs: []string{"local:acme"}})
	if err != nil {
		panic(err)
	}

	w := acme.NewSealer()
	if err := w.Load(ctx, []byte("customer-17")); err != nil {
		panic(err)
	}
	place := [8]byte{1}
	env, err := w.Append(nil, []byte("Ada Example"), place)
	if err != nil {
		panic(err)
	}
	w.Done()

	v, err := datakey.ParseValue(env)
	if err != nil {
		panic(err)
	}
	o, err := acme.Opener(ctx, v.KeyID())
	if err != nil {
		panic(err)
	}
	plain, err := o.Append(nil, &v)
	fmt.Printf("%s, %v\n", plain, err)

	if _, err := acme.Forget(ctx, []byte("customer-17"), "privacy desk", "request 2026-117"); err != nil {
		panic(err)
	}
	_, err = acme.Opener(ctx, v.KeyID())
	fmt.Println(errors.Is(err, shred.ErrForgotten))
	// Output:
	// Ada Example, <nil>
	// true
}
