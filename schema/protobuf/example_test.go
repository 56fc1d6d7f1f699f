package protobuf_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
)

const customer = `syntax = "proto3";
package acme;
import "confluent/meta.proto";
message Customer {
  string name = 1 [(confluent.field_meta).tags = "PII"];
  int32 born = 2 [(confluent.field_meta).tags = "PII"];
  repeated Card cards = 3;
}
message Card {
  string pan = 1 [(confluent.field_meta).tags = "PCI"];
}
`

// visitor is a Visitor made of one function.
type visitor func(edit int, dst, value []byte) ([]byte, error)

func (f visitor) Visit(edit int, dst, value []byte) ([]byte, error) { return f(edit, dst, value) }

func ExampleParse() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Name())
	for _, f := range s.Fields() {
		fmt.Println(f.Path, f.Place, f.Type, f.Tags)
	}
	// Output:
	// acme.Customer
	// /name /1 string [PII]
	// /born /2 int32 [PII]
	// /cards /3 array []
	// /cards/[] /3/[] record []
	// /cards/[]/pan /3/[]/1 string [PCI]
}

func ExampleParser() {
	var parse schema.Parser = protobuf.Parser
	_, err := parse(schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3"; message P { Q q = 1; }`})
	fmt.Println(err)
	// Output: protobuf: schema.proto:1:32: field P.q: unknown type Q
}

func ExampleSchema_Message() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	card, err := s.Message([]int{1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(card.Name())
	// Output: acme.Card
}

func ExampleSchema_Compile() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 1, Op: schema.Wrap}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte("\x0a\x03Ada\x10\x0c")
	out, err := program.Rewrite(nil, record, visitor(func(_ int, dst, value []byte) ([]byte, error) {
		return hex.AppendEncode(dst, value), nil
	}))
	fmt.Printf("%q %v\n", out, err)
	// Output: "\n\x06416461\x12\x04000c" <nil>
}

func ExampleSchema_Restore() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Restore([]schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 1, Op: schema.Wrap}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte("\n\x06416461\x12\x04000c")
	out, err := program.Rewrite(nil, record, visitor(func(_ int, dst, value []byte) ([]byte, error) {
		return hex.AppendDecode(dst, value)
	}))
	fmt.Println(bytes.Equal(out, []byte("\x0a\x03Ada\x10\x0c")), err)
	// Output: true <nil>
}

func ExampleSchema_Derive() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: "syntax = \"proto3\";\nmessage P { int32 age = 1; }"})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, changed, err := s.Derive([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.Origin{ID: 7})
	if err != nil || !changed {
		fmt.Println(changed, err)
		return
	}
	derived, err := protobuf.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	f := derived.Fields()[0]
	fmt.Println(f.Path, f.Type, f.Sealed)
	// Output: /age int32 true
}

func ExampleSchema_Origin() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: "syntax = \"proto3\";\nmessage P { int32 age = 1; }"})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _, err := s.Derive([]schema.Edit{{Field: 0, Op: schema.Wrap}}, schema.Origin{ID: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	derived, err := protobuf.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	origin, ok := derived.Origin()
	fmt.Println(origin.ID, ok)
	// Output: 7 true
}

func ExampleFitError() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = s.Compile([]schema.Edit{{Field: 1, Op: schema.Replace}}, schema.RejectUnknown)
	if fit, ok := errors.AsType[*protobuf.FitError](err); ok {
		fmt.Println(fit.Path, fit.Type, fit.Reason)
	}
	// Output: /born int32 only string and bytes can be replaced
}

// days is a Visitor that rounds seconds down to the day.
func days(_ int, dst, value []byte) ([]byte, error) {
	seconds, _, _ := bytes.Cut(value, []byte("."))
	n, err := strconv.ParseInt(string(seconds), 10, 64)
	return strconv.AppendInt(dst, n-n%86_400, 10), err
}

// A Timestamp is one number, of seconds with nine digits behind the point, and
// stays a Timestamp.
func ExampleSchema_Compile_number() {
	s, err := protobuf.Parse(schema.Text{Format: schema.Protobuf, Schema: `syntax = "proto3";
		import "google/protobuf/timestamp.proto";
		message Visit { google.protobuf.Timestamp at = 1; uint32 room = 2; }`})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Number}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	// 1700000000.5 seconds.
	record := []byte("\x0a\x0c\x08\x80\xe2\xcf\xaa\x06\x10\x80\xca\xb5\xee\x01\x10\x07")
	out, err := program.Rewrite(nil, record, visitor(days))
	fmt.Printf("% x %v\n", out, err)

	// A number that the type does not hold is refused.
	_, err = program.Rewrite(nil, record, visitor(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, "1e12"...), nil }))
	fmt.Println(errors.Is(err, schema.ErrNumber))
	// Output:
	// 0a 06 08 80 f1 ca aa 06 10 07 <nil>
	// true
}
