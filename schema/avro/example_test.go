package avro_test

import (
	"bytes"
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
