package datakey_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// A command makes a domain key once; its block goes into the configuration.
func ExampleCreateDomainBlock() {
	w := kms.Mux{localkms.Scheme: localkms.NewInMemory()}
	block, err := datakey.CreateDomainBlock(context.Background(), w, "local:dev", "acme")
	if err != nil {
		fmt.Println(err)
		return
	}
	text := base64.StdEncoding.EncodeToString(block)
	id, err := datakey.CheckBlock(block)
	fmt.Println(text != "", id == datakey.ID{}, err)
	// Output: true false <nil>
}

// Two processes with the same block seal a value to the same bytes.
func ExampleDomain() {
	ctx := context.Background()
	w := kms.Mux{localkms.Scheme: localkms.NewInMemory()}
	block, err := datakey.CreateDomainBlock(ctx, w, "local:dev", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	place := [8]byte{1} // the context id of the join domain
	process := func() (sealed, opened []byte, err error) {
		keys, err := datakey.New(w)
		if err != nil {
			return nil, nil, err
		}
		defer keys.Close()
		domain, err := keys.Domain(datakey.DomainSpec{Name: "customer", KEKs: []string{"local:dev"}, Blocks: [][]byte{block}})
		if err != nil {
			return nil, nil, err
		}
		sealer := domain.NewSealer()
		if err := sealer.Reserve(ctx, 1, 16); err != nil {
			return nil, nil, err
		}
		defer sealer.Done()
		sealed, err = sealer.AppendText(nil, []byte("jane@example.com"), sealer.Head(place))
		if err != nil {
			return nil, nil, err
		}
		opener, err := domain.Opener(ctx, sealer.KeyID())
		if err != nil {
			return nil, nil, err
		}
		opened, _, err = opener.Head(place).AppendText(nil, sealed, nil)
		return sealed, opened, err
	}
	one, opened, err := process()
	fmt.Printf("%s %v\n", opened, err)
	two, opened, err := process()
	fmt.Printf("%s %v\n", opened, err)
	fmt.Println(bytes.Equal(one, two))
	// Output:
	// jane@example.com <nil>
	// jane@example.com <nil>
	// true
}
