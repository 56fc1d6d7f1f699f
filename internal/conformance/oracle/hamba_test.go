package oracle

import (
	"reflect"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

type bracket struct{}

func (bracket) Visit(_ int, dst, value []byte) ([]byte, error) {
	return append(append(append(dst, '<'), value...), '>'), nil
}

type line struct {
	SKU  string `avro:"sku"`
	Note string `avro:"note"`
}

type order struct {
	ID    int64             `avro:"id"`
	Email string            `avro:"email"`
	Phone *string           `avro:"phone"`
	Lines []line            `avro:"lines"`
	Tags  map[string]string `avro:"tags"`
	Paid  bool              `avro:"paid"`
}

// A producer that still encodes with hamba/avro needs no change: the rewriter
// works on encoded bytes. Its encoder writes arrays and maps in blocks with byte
// sizes, which the rewriter must keep true.
func TestRecordsEncodedByHambaAreRewritten(t *testing.T) {
	const text = `{"type": "record", "name": "Order", "fields": [
	  {"name": "id", "type": "long"},
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]},
	  {"name": "phone", "type": ["null", "string"], "confluent:tags": ["PII"]},
	  {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
	    {"name": "sku", "type": "string"}, {"name": "note", "type": "string", "confluent:tags": ["PII"]}]}}},
	  {"name": "tags", "type": {"type": "map", "values": "string"}},
	  {"name": "paid", "type": "boolean"}]}`
	theirs := hamba.MustParse(text)
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: text})
	if err != nil {
		t.Fatal(err)
	}
	var edits []schema.Edit
	for i, f := range s.Fields() {
		if len(f.Tags) > 0 {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	program, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	phone := "+1 555 0100"
	for n := range 300 {
		in := order{ID: int64(n), Email: strings.Repeat("e", n), Tags: map[string]string{"a": "b", "c": "d"}, Paid: n%2 == 0, Lines: []line{}}
		if n%3 == 0 {
			in.Phone = &phone
		}
		for i := range n % 150 {
			in.Lines = append(in.Lines, line{"sku", strings.Repeat("n", i)})
		}
		b, err := hamba.Marshal(theirs, in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := program.Rewrite(nil, b, bracket{})
		if err != nil {
			t.Fatal(err)
		}
		var got order
		if err := hamba.Unmarshal(theirs, out, &got); err != nil {
			t.Fatal(err)
		}
		want := in
		want.Email = "<" + in.Email + ">"
		if in.Phone != nil {
			p := "<" + phone + ">"
			want.Phone = &p
		}
		want.Lines = []line{}
		for _, l := range in.Lines {
			want.Lines = append(want.Lines, line{l.SKU, "<" + l.Note + ">"})
		}
		if len(got.Lines) == 0 {
			got.Lines = []line{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("order %d came back as %+v", n, got)
		}
	}
}
