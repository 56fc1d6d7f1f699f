package serde

import (
	"fmt"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
)

// customer is a record of 20 fields: 626 bytes in Avro's binary encoding.
func customer() (text, value string) {
	var fields, members []string
	for i := range 16 {
		fields = append(fields, fmt.Sprintf(`{"name":"text%d","type":"string"}`, i))
		members = append(members, fmt.Sprintf(`"text%d":%q`, i, strings.Repeat("abcdefgh", 5)[:36+i%2]))
	}
	fields = append(fields, `{"name":"id","type":"long"}`, `{"name":"score","type":"double"}`,
		`{"name":"active","type":"boolean"}`, `{"name":"note","type":["null","string"]}`)
	members = append(members, `"id":1234567`, `"score":0.25`, `"active":true`, `"note":{"string":"abcdef"}`)
	return `{"type":"record","name":"Customer","fields":[` + strings.Join(fields, ",") + `]}`, "{" + strings.Join(members, ",") + "}"
}

func BenchmarkAvro(b *testing.B) {
	text, value := customer()
	src := []byte(value)
	e := encoderOf(b, Avro, text, DefaultConfig())
	out, err := e.Append(nil, src)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(out)))
		dst := make([]byte, 0, 1024)
		for b.Loop() {
			if _, err := e.Append(dst, src); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("strictness", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(out)))
		for b.Loop() {
			if _, err := strict(src); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by way of Go values", func(b *testing.B) {
		s := twmb.MustParse(text)
		b.ReportAllocs()
		b.SetBytes(int64(len(out)))
		dst := make([]byte, 0, 1024)
		for b.Loop() {
			var v any
			if err := s.DecodeJSON(src, &v, twmb.TaggedUnions()); err != nil {
				b.Fatal(err)
			}
			if _, err := s.AppendEncode(dst, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	_, value := customer()
	src, dst := []byte(value), make([]byte, 0, 2048)
	e := plain(JSON)
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := e.Append(dst, src); err != nil {
			b.Fatal(err)
		}
	}
}
