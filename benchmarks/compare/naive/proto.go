package main

import (
	"context"
	"fmt"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// meta is as much of confluent/meta.proto as the schema of the order needs.
const meta = `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { repeated string tags = 3; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
`

func protoHeat() (heat, error) {
	c := workload.Proto20()
	us, err := product.Lane(c)
	if err != nil {
		return heat{}, err
	}
	us.Name = "fieldveil on Protobuf, 680 B"
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"order.proto": c.Schema, "confluent/meta.proto": meta}),
	})}
	files, err := compiler.Compile(context.Background(), "order.proto")
	if err != nil {
		return heat{}, err
	}
	order := files[0].Messages().ByName("Order")
	if order == nil {
		return heat{}, fmt.Errorf("the schema has no Order")
	}
	var tagged []protoreflect.FieldDescriptor
	for _, name := range avroTagged() {
		tagged = append(tagged, order.Fields().ByName(protoreflect.Name(name)))
	}
	return heat{c, []*row.Lane{us}, []contender{
		{"protobuf-go, a dynamic message", func(record []byte, f transform) ([]byte, error) {
			m := dynamicpb.NewMessage(order)
			if err := proto.Unmarshal(record, m); err != nil {
				return nil, err
			}
			for _, field := range tagged {
				v, err := f(m.Get(field).String())
				if err != nil {
					return nil, err
				}
				m.Set(field, protoreflect.ValueOfString(v))
			}
			return proto.Marshal(m)
		}},
	}, func(a, b []byte) (bool, error) {
		x, y := dynamicpb.NewMessage(order), dynamicpb.NewMessage(order)
		if err := proto.Unmarshal(a, x); err != nil {
			return false, err
		}
		err := proto.Unmarshal(b, y)
		return proto.Equal(x, y), err
	}}, nil
}
