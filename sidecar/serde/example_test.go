package serde_test

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/sidecar/serde"
)

func Example() {
	server, err := registrytest.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client, err := registry.New([]string{server.URL()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	s, err := serde.New(client, serde.DefaultConfig())
	if err != nil {
		panic(err)
	}

	enc, err := s.Encoder(context.Background(), serde.Ask{
		Topic:      "customers",
		Format:     serde.Avro,
		SchemaText: `{"type":"record","name":"Customer","fields":[{"name":"id","type":"long"},{"name":"email","type":["null","string"]}]}`,
	})
	if err != nil {
		panic(err)
	}
	for _, value := range []string{`{"id":7,"email":{"string":"a@b"}}`, `{"id":8,"email":null}`, `{"id":"nine","email":null}`} {
		record, err := enc.Append(nil, []byte(value))
		fmt.Printf("%x %v\n", record, err)
	}
	// Output:
	// 00000000010e0206614062 <nil>
	// 00000000011000 <nil>
	//  value_unfit at /id: want a long
}
