package serde

import (
	"strings"
	"testing"
)

const allTypes = `{"type":"record","name":"All","namespace":"t","fields":[
	{"name":"v","type":%}]}`

func one(typ string) string { return strings.Replace(allTypes, "%", typ, 1) }

const (
	typeE = `{"type":"enum","name":"E","symbols":["A","B"]}`
	typeF = `{"type":"fixed","name":"F","size":2}`
	typeR = `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}`
	typeS = `{"type":"record","name":"S","fields":[{"name":"a","type":"int"},{"name":"c","type":"string"}]}`
)

func TestAvroValuesAreEncoded(t *testing.T) {
	tests := []struct {
		name, typ, value string
		want             string
	}{
		{"null", `"null"`, `null`, ""},
		{"true", `"boolean"`, `true`, "\x01"},
		{"false", `"boolean"`, `false`, "\x00"},
		{"a small int", `"int"`, `-1`, "\x01"},
		{"the largest int", `"int"`, `2147483647`, "\xfe\xff\xff\xff\x0f"},
		{"the smallest int", `"int"`, `-2147483648`, "\xff\xff\xff\xff\x0f"},
		{"the largest long", `"long"`, `9223372036854775807`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"the smallest long", `"long"`, `-9223372036854775808`, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"a long above 2^53", `"long"`, `9007199254740993`, "\x82\x80\x80\x80\x80\x80\x80\x20"},
		{"an int with a point", `"int"`, `5.0`, "\x0a"},
		{"an int with an exponent", `"int"`, `50e-1`, "\x0a"},
		{"an int with a large exponent", `"int"`, `0.0000000005e10`, "\x0a"},
		{"a zero with an endless exponent", `"int"`, `0e99999999999`, "\x00"},
		{"a minus zero", `"int"`, `-0`, "\x00"},
		{"a timestamp is a long", `{"type":"long","logicalType":"timestamp-millis"}`, `1`, "\x02"},
		{"a float", `"float"`, `1.5`, "\x00\x00\xc0\x3f"},
		{"a double", `"double"`, `-2`, "\x00\x00\x00\x00\x00\x00\x00\xc0"},
		{"a double that is no number", `"double"`, `"NaN"`, "\x00\x00\x00\x00\x00\x00\xf8\x7f"},
		{"a float that is infinite", `"float"`, `"-Infinity"`, "\x00\x00\x80\xff"},
		{"a string", `"string"`, `"aé"`, "\x06a\xc3\xa9"},
		{"a string with escapes", `"string"`, `"\u0061\n\ud83d\ude00\/"`, "\x0ea\n\xf0\x9f\x98\x80/"},
		{"an empty string", `"string"`, `""`, "\x00"},
		{"a string that ends in a backslash", `"string"`, `"\\"`, "\x02\\"},
		{"a string with a quote", `"string"`, `"\\\"x"`, "\x06\\\"x"},
		{"bytes", `"bytes"`, `"\u0000\u00ffÿA"`, "\x08\x00\xff\xffA"},
		{"a decimal is bytes", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, `"\u0001\u0000"`, "\x04\x01\x00"},
		{"a fixed", typeF, `"\u00c2\u0080"`, "\xc2\x80"},
		{"an enum", typeE, `"B"`, "\x02"},
		{"an empty array", `{"type":"array","items":"int"}`, `[ ]`, "\x00"},
		{"an array", `{"type":"array","items":"int"}`, `[1, 2 ,3]`, "\x06\x02\x04\x06\x00"},
		{"an array of arrays", `{"type":"array","items":{"type":"array","items":"null"}}`, `[[],[null,null]]`, "\x04\x00\x04\x00\x00"},
		{"a map", `{"type":"map","values":"int"}`, `{"k" : 1,"\u006c":2}`, "\x04\x02k\x02\x02l\x04\x00"},
		{"a record", typeR, `{"a":1,"b":"x"}`, "\x02\x02x"},
		{"a record in another order", typeR, ` { "b" : "x" , "a" : 1 } `, "\x02\x02x"},
		{"a record with an escaped name", typeR, `{"\u0062":"x","a":1}`, "\x02\x02x"},
		{"a null of a union", `["null","int"]`, `null`, "\x00"},
		{"a tagged int", `["null","int"]`, `{"int":1}`, "\x02\x02"},
		{"a bare int", `["null","int"]`, `1`, "\x02\x02"},
		{"a tagged record", `["null",` + typeR + `]`, `{"t.R":{"b":"x","a":1}}`, "\x02\x02\x02x"},
		{"a bare record", `["null",` + typeR + `]`, `{"b":"x","a":1}`, "\x02\x02\x02x"},
		{"the record that has the names", `[` + typeR + `,` + typeS + `]`, `{"c":"x","a":1}`, "\x02\x02\x02x"},
		{"a tagged map", `["null",{"type":"map","values":"int"}]`, `{"map":{"map":1}}`, "\x02\x02\x06map\x02\x00"},
		{"a bare map", `["null",{"type":"map","values":"int"}]`, `{"map":1,"x":2}`, "\x02\x04\x06map\x02\x02x\x04\x00"},
		{"a bare array", `["null",{"type":"array","items":"int"}]`, `[1]`, "\x02\x02\x02\x00"},
		{"the long that is no int", `["int","long"]`, `4294967296`, "\x02\x80\x80\x80\x80\x20"},
		{"the double that is no long", `["long","double"]`, `0.5`, "\x02\x00\x00\x00\x00\x00\x00\xe0\x3f"},
		{"the string that is no symbol", `[` + typeE + `,"null"]`, `"A"`, "\x00\x00"},
		{"a tagged enum beside a string", `[` + typeE + `,"string"]`, `{"t.E":"A"}`, "\x00\x00"},
		{"a string that is no symbol and no number", `[` + typeE + `,"string"]`, `"C"`, "\x02\x02C"},
		{"a tagged bytes beside a string", `["string","bytes"]`, `{"bytes":"a"}`, "\x02\x02a"},
		{"a string that is no bytes", `["string","bytes"]`, `"€"`, "\x00\x06€"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := encoderOf(t, Avro, one(tt.typ), DefaultConfig())
			for _, value := range []string{`{"v":` + tt.value + `}`, "\n{ \"v\" :\t" + tt.value + " }\r\n"} {
				got, err := e.Append([]byte("pre"), []byte(value))
				if want := "pre" + framed(tt.want); err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v, want %q", value, got, err, want)
				}
			}
		})
	}
}

func TestAvroValuesThatDoNotFitAreRefused(t *testing.T) {
	tests := []struct {
		name, typ, value string
		code, path       string
	}{
		{"a string for an int", `"int"`, `"1"`, CodeUnfit, "/v"},
		{"an int that is too large", `"int"`, `2147483648`, CodeUnfit, "/v"},
		{"an int that is too small", `"int"`, `-2147483649`, CodeUnfit, "/v"},
		{"a long that is too large", `"long"`, `9223372036854775808`, CodeUnfit, "/v"},
		{"a long of many digits", `"long"`, `99999999999999999999999999999`, CodeUnfit, "/v"},
		{"a long with an endless exponent", `"long"`, `1e999999999999`, CodeUnfit, "/v"},
		{"a long with a large exponent", `"long"`, `1e19`, CodeUnfit, "/v"},
		{"a fraction for an int", `"int"`, `1.5`, CodeUnfit, "/v"},
		{"a fraction by its exponent", `"int"`, `1e-1`, CodeUnfit, "/v"},
		{"a double beyond its range", `"double"`, `1e400`, CodeUnfit, "/v"},
		{"a float beyond its range", `"float"`, `1e39`, CodeUnfit, "/v"},
		{"words for a double", `"double"`, `"many"`, CodeUnfit, "/v"},
		{"a number for a string", `"string"`, `1`, CodeUnfit, "/v"},
		{"null for a string", `"string"`, `null`, CodeUnfit, "/v"},
		{"a number for a boolean", `"boolean"`, `1`, CodeUnfit, "/v"},
		{"false for null", `"null"`, `false`, CodeUnfit, "/v"},
		{"a character that is no byte", `"bytes"`, `"Ā"`, CodeUnfit, "/v"},
		{"a fixed that is too long", typeF, `"abc"`, CodeUnfit, "/v"},
		{"a fixed that is too short in characters", typeF, `"é"`, CodeUnfit, "/v"},
		{"no symbol", typeE, `"C"`, CodeUnfit, "/v"},
		{"an object for an array", `{"type":"array","items":"int"}`, `{}`, CodeUnfit, "/v"},
		{"a bad item", `{"type":"array","items":"int"}`, `[1,null]`, CodeUnfit, "/v/[]"},
		{"a bad value of a map", `{"type":"map","values":"int"}`, `{"secret":"x"}`, CodeUnfit, "/v/{}"},
		{"an array for a map", `{"type":"map","values":"int"}`, `[]`, CodeUnfit, "/v"},
		{"a bad field", typeR, `{"a":1,"b":2}`, CodeUnfit, "/v/b"},
		{"a bad field out of order", typeR, `{"b":2,"a":1}`, CodeUnfit, "/v/b"},
		{"a missing field at the end", typeR, `{"a":1}`, CodeUnfit, "/v/b"},
		{"a missing field at the start", typeR, `{"b":"x"}`, CodeUnfit, "/v/a"},
		{"a member too many at the end", typeR, `{"a":1,"b":"x","secret":1}`, CodeUnfit, "/v/{}"},
		{"a member too many at the start", typeR, `{"secret":[{"x":"}"}],"a":1,"b":"x"}`, CodeUnfit, "/v/{}"},
		{"a name in other case", typeR, `{"A":1,"b":"x"}`, CodeUnfit, "/v/{}"},
		{"null where no branch is null", `["int","string"]`, `null`, CodeUnfit, "/v"},
		{"an int of several branches", `["int","long"]`, `1`, CodeAmbiguous, "/v"},
		{"a number of several branches", `["long","double"]`, `1`, CodeAmbiguous, "/v"},
		{"a symbol beside a string", `[` + typeE + `,"string"]`, `"A"`, CodeAmbiguous, "/v"},
		{"a string beside bytes", `["string","bytes"]`, `"a"`, CodeAmbiguous, "/v"},
		{"a value of no branch", `["null","int"]`, `"a"`, CodeUnfit, "/v"},
		{"a tag that is a short name", `["null",` + typeR + `]`, `{"R":{"a":1,"b":"x"}}`, CodeUnfit, "/v"},
		{"a tag with a bad value", `["null","int"]`, `{"int":"x"}`, CodeUnfit, "/v"},
		{"a tag and a member more", `["null","int"]`, `{"int":1,"long":2}`, CodeUnfit, "/v"},
		{"a tag of null", `["null","int"]`, `{"null":null}`, CodeUnfit, "/v"},
		{"an empty object for a union", `["null","int"]`, `{}`, CodeUnfit, "/v"},
		{"a record of several branches", `[` + typeR + `,{"type":"map","values":"int"}]`, `{"a":1,"b":"x"}`, CodeAmbiguous, "/v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := encoderOf(t, Avro, one(tt.typ), DefaultConfig())
			got, err := e.Append([]byte("pre"), []byte(`{"v":`+tt.value+`}`))
			code, path := fault(t, err)
			if code != tt.code || path != tt.path {
				t.Errorf("got %s at %s, want %s at %s", code, path, tt.code, tt.path)
			}
			if string(got) != "pre" {
				t.Errorf("dst is %q after an error", got)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a name that the schema does not have: %v", err)
			}
		})
	}
}

func TestStrictUnionsTakeTheTaggedFormOnly(t *testing.T) {
	cfg := DefaultConfig()
	cfg.StrictUnions = true
	e := encoderOf(t, Avro, one(`["null","int"]`), cfg)
	if got, err := e.Append(nil, []byte(`{"v":{"int":1}}`)); err != nil || string(got) != framed("\x02\x02") {
		t.Errorf("tagged: got %q, %v", got, err)
	}
	if got, err := e.Append(nil, []byte(`{"v":null}`)); err != nil || string(got) != framed("\x00") {
		t.Errorf("null: got %q, %v", got, err)
	}
	_, err := e.Append(nil, []byte(`{"v":1}`))
	if code, path := fault(t, err); code != CodeAmbiguous || path != "/v" {
		t.Errorf("bare: got %v", err)
	}
}

func TestDefaultsAreFilledInOnlyWhereTheConfigurationSaysSo(t *testing.T) {
	const text = `{"type":"record","name":"D","fields":[
		{"name":"a","type":"int","default":3},
		{"name":"b","type":["null","string"],"default":null},
		{"name":"c","type":"string"},
		{"name":"d","type":{"type":"record","name":"I","fields":[{"name":"x","type":"bytes","default":"\u00ff"}]},"default":{"x":"A"}}]}`
	strict := encoderOf(t, Avro, text, DefaultConfig())
	_, err := strict.Append(nil, []byte(`{"c":"x"}`))
	if code, path := fault(t, err); code != CodeUnfit || path != "/a" {
		t.Errorf("strict: got %v", err)
	}
	cfg := DefaultConfig()
	cfg.FillDefaults = true
	lenient := encoderOf(t, Avro, text, cfg)
	for value, want := range map[string]string{
		`{"c":"x"}`:                   "\x06\x00\x02x\x02A",
		`{"d":{},"c":"x","a":0}`:      "\x00\x00\x02x\x02\xff",
		`{"a":0,"b":"y","c":"x"}`:     "\x00\x02\x02y\x02x\x02A",
		`{"c":"x","b":{"string":""}}`: "\x06\x02\x00\x02x\x02A",
	} {
		if got, err := lenient.Append(nil, []byte(value)); err != nil || string(got) != framed(want) {
			t.Errorf("%s: got %q, %v, want %q", value, got, err, framed(want))
		}
	}
	_, err = lenient.Append(nil, []byte(`{"a":1}`))
	if code, path := fault(t, err); code != CodeUnfit || path != "/c" {
		t.Errorf("without default: got %v", err)
	}
}

func TestTypesOfReferencesAreKnown(t *testing.T) {
	ref := `{"type":"record","name":"com.acme.Address","fields":[{"name":"zip","type":{"type":"enum","name":"Zip","symbols":["X"]}}]}`
	e := encoderOf(t, Avro, `{"type":"record","name":"Person","namespace":"com.acme","fields":[
		{"name":"home","type":"Address"},{"name":"work","type":["null","com.acme.Address"]},{"name":"z","type":"Zip"}]}`, DefaultConfig(), ref)
	got, err := e.Append(nil, []byte(`{"home":{"zip":"X"},"work":{"com.acme.Address":{"zip":"X"}},"z":"X"}`))
	if want := framed("\x00\x02\x00\x00"); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestRecursiveTypesAreFollowedAsDeepAsJSONMayNest(t *testing.T) {
	e := encoderOf(t, Avro, `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}`, DefaultConfig())
	list := func(n int) []byte {
		return []byte(strings.Repeat(`{"next":{"L":`, n) + `{"next":null}` + strings.Repeat(`}}`, n))
	}
	got, err := e.Append(nil, list(100))
	if want := framed(strings.Repeat("\x02", 100) + "\x00"); err != nil || string(got) != want {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	_, err = e.Append(nil, list(200))
	if code, _ := fault(t, err); code != CodeJSON {
		t.Errorf("too deep: got %v", err)
	}
}
