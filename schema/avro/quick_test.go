package avro_test

import (
	"fmt"
	"testing"

	tw "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

type up struct{}

func (up) Visit(_ int, dst, v []byte) ([]byte, error) { return append(append(dst, "<"...), append(v, '>')...), nil }

func TestQuick(t *testing.T) {
	text := `{"type":"record","name":"C","namespace":"com.b","confluent:tags":["ROOT"],"fields":[
	{"name":"a","type":{"type":"record","name":"Addr","confluent:tags":["ADDR"],"fields":[{"name":"street","type":"string","aliases":["st"],"confluent:tags":["P"]},{"name":"n","type":"int"}]}},
	{"name":"b","aliases":["old"],"type":["null","Addr"]},
	{"name":"tree","type":{"type":"record","name":"T","fields":[{"name":"v","type":"string"},{"name":"kids","type":{"type":"array","items":"T"}}]}},
	{"name":"m","type":{"type":"map","values":["null","string","long"]}},
	{"name":"z","type":["string","null"]}]}`
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: text})
	if err != nil {
		t.Fatal(err)
	}
	var edits []schema.Edit
	for i, f := range s.Fields() {
		fmt.Printf("%+v\n", f)
		if f.Type == "string" && f.Path != "/z" && f.Path != "/m/{}" {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
		if f.Path == "/z" || f.Path == "/m/{}" && f.Type == "string" {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Nullify})
		}
	}
	p, err := s.Compile(edits)
	if err != nil {
		t.Fatal(err)
	}
	ts := tw.MustParse(text)
	type M = map[string]any
	in, err := ts.Encode(M{"a": M{"street": "s1", "n": 4}, "b": M{"street": "s2", "n": 5}, "tree": M{"v": "r", "kids": []any{M{"v": "k1", "kids": []any{M{"v": "kk", "kids": []any{}}}}, M{"v": "k2", "kids": []any{}}}}, "m": M{"x": "str", "y": int64(4)}, "z": "zz"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Rewrite([]byte("pre"), in, up{})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	rest, err := ts.Decode(out[3:], &v)
	fmt.Println(v, rest, err)
}
