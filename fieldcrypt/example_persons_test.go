package fieldcrypt_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func ExampleEngine_Forget() {
	ctx := context.Background()
	policy, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: customers
persons: {kek: "local:persons", by: /id}
topics: [{match: "*", format: json, fields: [{path: /name, action: encrypt, mode: person}]}]
`))
	if err != nil {
		panic(err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		panic(err)
	}
	defer keys.Close()
	// A deployment has them in package pgstore, and the ledger in a database of
	// its own.
	persons, err := datakey.OpenPersons(ctx, keys, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		panic(err)
	}
	engine, err := fieldcrypt.New(policy, keys, fieldcrypt.WithPersons(persons))
	if err != nil {
		panic(err)
	}

	rec, err := engine.Protect(ctx, fieldcrypt.Record{Topic: "customers", Value: []byte(`{"id":"c-17","name":"Ada Example"}`)})
	if err != nil {
		panic(err)
	}
	back, err := engine.Reveal(ctx, rec)
	fmt.Println(string(back.Value), err)

	entry, err := engine.Forget(ctx, "", "c-17", "privacy desk", "request 2026-117")
	if err != nil {
		panic(err)
	}
	id, err := engine.PersonID(ctx, "", "c-17")
	fmt.Println(entry.Seq, entry.Person == id, err)

	_, err = engine.Reveal(ctx, rec)
	e, _ := errors.AsType[*fieldcrypt.Error](err)
	fmt.Println(e.Code)
	// Output:
	// {"id":"c-17","name":"Ada Example"} <nil>
	// 1 true <nil>
	// person_forgotten
}
