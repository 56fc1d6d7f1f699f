package keyops_test

import (
	"context"
	"fmt"
	"log"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// Move all keys of a catalog to another KEK, and see that the first one can go.
func Example() {
	ctx := context.Background()
	service, catalog := localkms.NewInMemory(), new(datakey.MemStore)
	block, err := datakey.CreateDomainBlock(ctx, service, "local:2025", "")
	if err != nil {
		log.Fatal(err)
	}
	info, err := datakey.DescribeBlock(block)
	if err != nil {
		log.Fatal(err)
	}
	if err := catalog.Put(ctx, info.ID, block); err != nil {
		log.Fatal(err)
	}

	moved, err := keyops.Rewrap(ctx, catalog, service, "local:2025", "local:2026", keyops.RewrapOptions{Prove: service})
	if err != nil {
		log.Fatal(err)
	}
	// A census of Kafka topics comes from kgocrypt.TakeCensus.
	census := &keyops.Census{Version: keyops.CensusVersion, Complete: true}
	evidence, err := keyops.Retire(ctx, keyops.Retirement{KEK: "local:2025", Census: census, Catalog: catalog})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(moved.Moved, "moved;", evidence.KEK, "can go:", evidence.Check() == nil)
	// Output: 1 moved; local:2025 can go: true
}

// A version of a domain key stands in a policy file, and moves by itself.
func ExampleRewrapBlock() {
	ctx := context.Background()
	service := localkms.NewInMemory()
	block, err := datakey.CreateDomainBlock(ctx, service, "local:2025", "")
	if err != nil {
		log.Fatal(err)
	}
	next, err := keyops.RewrapBlock(ctx, block, service, "local:2025", "local:2026", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(datakey.SameKey(block, next))
	// Output: true
}
