package datakey_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// With a store, a value opens even though its record lost the header.
func ExampleMemStore() {
	store, ctx := new(datakey.MemStore), context.Background()
	fake := kmstest.NewFake("fake:pii")
	writer, end, err := process(fake, datakey.WithStore(store))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer end()
	env, _, err := seal(ctx, writer, "jane@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}

	reader, end, err := process(fake, datakey.WithStore(store))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer end()
	v, err := datakey.ParseValue(env)
	if err != nil {
		fmt.Println(err)
		return
	}
	opener, err := reader.Opener(ctx, v.KeyID(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := opener.Append(nil, &v)
	fmt.Println(string(plain), err, store.Len())
	// Output: jane@example.com <nil> 1
}

func ExampleMemStore_Get() {
	var store datakey.MemStore
	ctx, id := context.Background(), datakey.ID{0xfe}
	_, err := store.Get(ctx, id)
	fmt.Println(errors.Is(err, datakey.ErrUnknownKey))

	if err := store.Put(ctx, id, []byte("block")); err != nil {
		fmt.Println(err)
		return
	}
	block, err := store.Get(ctx, id)
	fmt.Println(string(block), err, store.Len())
	// Output:
	// true
	// block <nil> 1
}

func ExampleCheckBlock() {
	_, err := datakey.CheckBlock([]byte("not a block"))
	fmt.Println(err)
	// Output: value is not a key block: not in the fieldveil format
}

func ExampleID_String() {
	fmt.Println(datakey.ID{0x3f, 0xb5, 0xf0, 0x4e})
	// Output: 3fb5f04e0000000000000000
}
