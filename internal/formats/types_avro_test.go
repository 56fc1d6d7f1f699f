package formats_test

import (
	"math/big"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// avroTypes returns the types of Avro. Each record has the field x of the type
// between three that nobody tags.
func avroTypes(t *testing.T) []typeCase {
	t.Helper()
	var out []typeCase
	add := func(row, typ string, value func(s sample) any, unit string, scalars ...any) {
		text := schema.Text{Format: schema.Avro, Schema: `{"type": "record", "name": "com.example.R", "fields": [
				{"name": "before", "type": "string"}, {"name": "x", "type": ` + typ + `, "confluent:tags": ["T"]},
				{"name": "person", "type": "string"}, {"name": "after", "type": "string"}]}`}
		encoder := avroSchema(t, text)
		out = append(out, typeCase{
			name: "Avro " + typ, row: row, unit: unit, scalars: scalars, text: text, decode: decodeAvro,
			record: func(t *testing.T, s sample, person string) []byte {
				t.Helper()
				b, err := encoder.AppendEncode(frame(1), map[string]any{"before": "left", "x": value(s), "person": person, "after": "right"})
				if err != nil {
					t.Fatalf("%s: %v", typ, err)
				}
				return b
			},
		})
	}
	null := func(typ string) string { return `["null", ` + typ + `]` }
	nothing := func(sample) any { return nil }
	// both adds a type, the same that may be null, and a null of it.
	both := func(row, typ string, value func(s sample) any, unit string, scalars ...any) {
		add(row, typ, value, unit, scalars...)
		add(row+"?", null(typ), value, unit, scalars...)
		add(row+"?", null(typ), nothing, "null")
	}
	is := func(v any) func(sample) any { return func(sample) any { return v } }
	inText := func(s sample) any { return s.text }
	logical := func(typ, word string) string { return `{"type": "` + typ + `", "logicalType": "` + word + `"}` }

	both("string", `"string"`, inText, "")
	add("string?", `["string", "null"]`, inText, "")
	both("bytes", `"bytes"`, func(s sample) any { return []byte(s.text) }, "")
	both("number", `"int"`, is(int32(number)), "", int64(number))
	both("number", `"long"`, is(int64(number)), "", int64(number))
	both("number", `"float"`, is(float32(numberFloat)), "float", float32(numberFloat))
	both("number", `"double"`, is(float64(number)), "", float64(number))
	both("few", `"boolean"`, is(true), "")
	both("few", `{"type": "enum", "name": "E", "symbols": ["A", "B"]}`, is("B"), "")
	both("other", `{"type": "fixed", "name": "F", "size": 8}`, is([8]byte([]byte("Canary Z"))), "", "Canary Z")
	scaled := new(big.Int).Mul(big.NewInt(number), big.NewInt(100))
	both("decimal", `{"type": "bytes", "logicalType": "decimal", "precision": 15, "scale": 2}`, is(scaled.Bytes()), "decimal", scaled)
	both("decimal", `{"type": "fixed", "name": "D", "size": 7, "logicalType": "decimal", "precision": 15, "scale": 2}`,
		is([7]byte(scaled.FillBytes(make([]byte, 7)))), "decimal", scaled)
	both("uuid", logical("string", "uuid"), is(theUUID), "", theUUID)
	add("other", `{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}`, is([16]byte([]byte("Canary Zebra 123"))), "", "Canary Zebra 123")
	add("other", `{"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"}`, is([12]byte([]byte("Canary Zebra"))), "", "Canary Zebra")
	both("date", logical("int", "date"), is(int32(theDay)), "days", int64(theDay))
	both("other", logical("int", "time-millis"), is(int32(84055123)), "", int64(84055123))
	both("other", logical("long", "time-micros"), is(int64(84055123456)), "", int64(84055123456))
	for _, local := range []string{"", "local-"} {
		for _, unit := range []struct {
			word string
			n    int64
		}{{"millis", 1e3}, {"micros", 1e6}, {"nanos", 1e9}} {
			both("timestamp", logical("long", local+"timestamp-"+unit.word), is(number*unit.n), unit.word, number*unit.n)
		}
	}
	// Nobody knows what may stand in a field of a type that nobody knows.
	add("other", logical("int", "no-such-type"), is(int32(number)), "", int64(number))
	add("other", `{"type": "bytes", "logicalType": "big-decimal"}`, func(s sample) any { return []byte(s.text) }, "")

	rec := `{"type": "record", "name": "I", "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": "int"}]}`
	inRecord := func(s sample) any { return map[string]any{"y": s.text, "z": int32(number)} }
	both("record", rec, inRecord, "", int64(number))
	add("record of string", `{"type": "record", "name": "I", "fields": [{"name": "y", "type": "string"}]}`,
		func(s sample) any { return map[string]any{"y": s.text} }, "")
	add("record of string", `{"type": "record", "name": "L", "fields": [{"name": "v", "type": "string"}, {"name": "next", "type": ["null", "L"]}]}`,
		func(s sample) any {
			return map[string]any{"v": s.text, "next": map[string]any{"v": s.text, "next": nil}}
		}, "")
	for _, of := range []struct {
		row, typ string
		value    func(s sample) any
		unit     string
		scalar   any
	}{
		{"string", `"string"`, inText, "", nil},
		{"string?", null(`"string"`), inText, "", nil},
		{"bytes", `"bytes"`, func(s sample) any { return []byte(s.text) }, "", nil},
		{"number", `"int"`, is(int32(number)), "", int64(number)},
		{"number?", null(`"int"`), is(int32(number)), "", int64(number)},
		{"number", `"double"`, is(float64(number)), "", float64(number)},
		{"date", logical("int", "date"), is(int32(theDay)), "days", int64(theDay)},
		{"uuid", logical("string", "uuid"), is(theUUID), "", theUUID},
		{"few", `"boolean"`, is(true), "", nil},
		{"record", rec, inRecord, "", int64(number)},
	} {
		var scalars []any
		if of.scalar != nil {
			scalars = append(scalars, of.scalar)
		}
		add("array of "+of.row, `{"type": "array", "items": `+of.typ+`}`, func(s sample) any { return []any{of.value(s), of.value(s)} }, of.unit, scalars...)
		add("map of "+of.row, `{"type": "map", "values": `+of.typ+`}`, func(s sample) any { return map[string]any{"k": of.value(s)} }, of.unit, scalars...)
	}
	add("array of string?", null(`{"type": "array", "items": "string"}`), func(s sample) any { return []any{s.text} }, "")
	add("array of string?", null(`{"type": "array", "items": "string"}`), nothing, "null")
	add("map of number?", null(`{"type": "map", "values": "double"}`), func(sample) any { return map[string]any{"k": float64(number)} }, "", float64(number))

	add("union of string", `["null", "string", "int"]`, inText, "")
	add("union of int", `["null", "string", "int"]`, is(int32(number)), "", int64(number))
	add("union of null", `["null", "string", "int"]`, nothing, "null")
	add("union of string", `["string", "bytes"]`, inText, "")
	add("union of string", `["null", "string", "bytes"]`, inText, "")
	add("union of string", `["string", "int", "boolean"]`, inText, "")
	add("union of int", `["null", "int", "long"]`, is(int32(number)), "", int64(number))
	return out
}
