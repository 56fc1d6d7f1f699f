package avro_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

const customer = `{"type": "record", "name": "Customer", "namespace": "shop", "fields": [
	{"name": "id", "type": "long"},
	{"name": "email", "type": ["null", "string"], "confluent:tags": ["PII.EMAIL"]},
	{"name": "cards", "type": {"type": "array", "items": {"type": "record", "name": "Card", "fields": [
		{"name": "pan", "type": "string", "aliases": ["number"], "confluent:tags": ["PCI"]}]}}}]}`

func ExampleParse() {
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Name(), len(s.Fields()))
	// Output: shop.Customer 5
}

func ExampleParse_references() {
	s, err := avro.Parse(schema.Text{
		Format:     schema.Avro,
		Schema:     `{"type": "record", "name": "Order", "fields": [{"name": "buyer", "type": "shop.Customer"}]}`,
		References: []string{customer},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Name(), s.Fields()[2].Path, s.Fields()[2].Tags)
	// Output: Order /buyer/email [PII.EMAIL]
}

func ExampleSchema_Fields() {
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range s.Fields() {
		if f.Leaf() {
			fmt.Println(f.Path, f.Type, f.Nullable, f.Tags, f.Former)
		}
	}
	// Output:
	// /id long false [] []
	// /email string true [PII.EMAIL] []
	// /cards/[]/pan string false [PCI] [/cards/[]/number]
}

// upper is a Visitor that writes values in capitals.
type upper struct{}

func (upper) Visit(_ int, dst, value []byte) ([]byte, error) {
	return append(dst, bytes.ToUpper(value)...), nil
}

func ExampleSchema_Compile() {
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: customer})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Compile([]schema.Edit{{Field: 1, Op: schema.Replace}, {Field: 4, Op: schema.Replace}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Customer 21 with an address and no cards.
	record := []byte("\x2a\x02\x06a@b\x00")
	out, err := program.Rewrite(nil, record, upper{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", out)
	// Output: "*\x02\x06A@B\x00"
}

// whole is a Visitor that takes the digits behind the point from numbers.
type whole struct{}

func (whole) Visit(_ int, dst, value []byte) ([]byte, error) {
	before, _, _ := bytes.Cut(value, []byte("."))
	return append(dst, before...), nil
}

// A decimal is shown with as many digits behind the point as its scale, and
// written in the same type.
func ExampleSchema_Compile_number() {
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: `{"type": "record", "name": "Payment", "fields": [
		{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}]}`})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Number}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte("\x04\x04\xd2") // 1234 hundredths, or 12.34
	out, err := program.Rewrite(nil, record, whole{})
	fmt.Printf("% x %v\n", out, err)

	// A number that the type does not hold is refused.
	_, err = program.Rewrite(nil, record, visitFunc(func(dst []byte) []byte { return append(dst, "12345678901"...) }))
	fmt.Println(errors.Is(err, schema.ErrNumber))
	// Output:
	// 04 04 b0 <nil>
	// true
}

// visitFunc is a Visitor that answers without a look at the value.
type visitFunc func(dst []byte) []byte

func (f visitFunc) Visit(_ int, dst, _ []byte) ([]byte, error) { return f(dst), nil }
