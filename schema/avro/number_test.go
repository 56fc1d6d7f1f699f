package avro

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// Types that the tests of numbers use.
const (
	money   = `{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`
	units   = `{"type":"bytes","logicalType":"decimal","precision":3}`
	shares  = `{"type":"bytes","logicalType":"decimal","precision":4,"scale":4}`
	account = `{"type":"fixed","name":"F","size":16,"logicalType":"decimal","precision":38,"scale":10}`
	large   = `{"type":"bytes","logicalType":"decimal","precision":64}`
	tiny    = `{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":2,"scale":1}`
)

// numberProgram compiles the edit of a root that is a number.
func numberProgram(t testing.TB, typ string) schema.Program {
	t.Helper()
	return compile(t, parse(t, typ), schema.Edit{Field: 0, Op: schema.Number})
}

// answering gives one answer to everything, and keeps what it was shown.
func answering(answer string, shown *string) visit {
	return func(_ int, dst, value []byte) ([]byte, error) {
		*shown = string(value)
		return append(dst, answer...), nil
	}
}

func float32le(v float32) string {
	return string(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
}

func float64le(v float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
}

// lengthed puts a length before bytes.
func lengthed(b string) string { return zigzag(int64(len(b))) + b }

func TestNumbersAreShownAsText(t *testing.T) {
	tests := []struct{ name, typ, in, want string }{
		{"an int of zero", `"int"`, "\x00", "0"},
		{"the least int", `"int"`, zigzag(math.MinInt32), "-2147483648"},
		{"the greatest long", `"long"`, zigzag(math.MaxInt64), "9223372036854775807"},
		{"the least long", `"long"`, zigzag(math.MinInt64), "-9223372036854775808"},
		{"a date is its number of days", `{"type":"int","logicalType":"date"}`, zigzag(19_000), "19000"},
		{"a time is its number of milliseconds", `{"type":"int","logicalType":"time-millis"}`, zigzag(86_399_999), "86399999"},
		{"a timestamp is its number of microseconds", `{"type":"long","logicalType":"timestamp-micros"}`, zigzag(-1), "-1"},
		{"a local timestamp is its number of nanoseconds", `{"type":"long","logicalType":"local-timestamp-nanos"}`, zigzag(1 << 60), "1152921504606846976"},
		{"a float has the shortest text of 32 bits", `"float"`, float32le(0.1), "0.1"},
		{"a double has the shortest text of 64 bits", `"double"`, float64le(float64(float32(0.1))), "0.10000000149011612"},
		{"a whole double has no point", `"double"`, float64le(1e20), "100000000000000000000"},
		{"a great double has an exponent", `"double"`, float64le(1e21), "1e+21"},
		{"a small double has an exponent without a zero before it", `"double"`, float64le(-1e-7), "-1e-7"},
		{"a small float that is none of 64 bits", `"float"`, float32le(1e-6), "0.000001"},
		{"the least float there is", `"float"`, float32le(math.SmallestNonzeroFloat32), "1e-45"},
		{"a negative zero", `"float"`, float32le(float32(math.Copysign(0, -1))), "-0"},
		{"what is no number", `"float"`, "\x01\x00\xc0\x7f", "NaN"},
		{"infinity", `"double"`, float64le(math.Inf(1)), "Infinity"},
		{"negative infinity", `"float"`, float32le(float32(math.Inf(-1))), "-Infinity"},
		{"a decimal of zero has all digits behind the point", money, "\x02\x00", "0.00"},
		{"a decimal below one", money, "\x02\x07", "0.07"},
		{"a negative decimal below one", money, "\x02\xff", "-0.01"},
		{"a decimal", money, "\x04\x04\xd2", "12.34"},
		{"a decimal without scale", units, "\x04\xfc\x19", "-999"},
		{"a decimal that is only a fraction", shares, "\x04\x27\x0f", "0.9999"},
		{"a decimal in more bytes than it needs", money, "\x0a\x00\x00\x00\x04\xd2", "12.34"},
		{"a negative decimal in more bytes than it needs", money, "\x0a\xff\xff\xff\xff\x80", "-1.28"},
		{"a decimal in more bytes than its precision needs", money, lengthed(strings.Repeat("\xff", 100)), "-0.01"},
		{"minus two to the 64", large, lengthed("\xff" + strings.Repeat("\x00", 8)), "-18446744073709551616"},
		{"minus two to the 128", large, lengthed("\xff" + strings.Repeat("\x00", 16)), "-340282366920938463463374607431768211456"},
		{"two to the 63", large, lengthed("\x00\x80" + strings.Repeat("\x00", 7)), "9223372036854775808"},
		{"minus two to the 63", large, lengthed("\x80" + strings.Repeat("\x00", 7)), "-9223372036854775808"},
		{"a decimal in a fixed", account, strings.Repeat("\xff", 15) + "\xfe", "-0.0000000002"},
		{"the greatest decimal of 38 digits", account, "\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x3f\xff\xff\xff\xff", strings.Repeat("9", 28) + "." + strings.Repeat("9", 10)},
		{"a decimal in a fixed of one byte", tiny, "\x9d", "-9.9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var shown string
			rewrite(t, numberProgram(t, tt.typ), []byte(tt.in), answering("0", &shown))
			if shown != tt.want {
				t.Errorf("% x was shown as %q, want %q", tt.in, shown, tt.want)
			}
		})
	}
}

// Without a want the answer is refused.
func TestAnswersAreWrittenInTheTypeOrRefused(t *testing.T) {
	tests := []struct{ name, typ, answer, want string }{
		{"an int", `"int"`, "-70", zigzag(-70)},
		{"the least int", `"int"`, "-2147483648", zigzag(math.MinInt32)},
		{"the greatest int", `"int"`, "2147483647", zigzag(math.MaxInt32)},
		{"one below the least int", `"int"`, "-2147483649", ""},
		{"one above the greatest int", `"int"`, "2147483648", ""},
		{"the least long", `"long"`, "-9223372036854775808", zigzag(math.MinInt64)},
		{"the greatest long", `"long"`, "9223372036854775807", zigzag(math.MaxInt64)},
		{"one below the least long", `"long"`, "-9223372036854775809", ""},
		{"one above the greatest long", `"long"`, "9223372036854775808", ""},
		{"a long of 20 digits", `"long"`, "10000000000000000000", ""},
		{"a long that would wrap around", `"long"`, "18446744073709551617", ""},
		{"an int with zeros behind the point", `"int"`, "5.000", zigzag(5)},
		{"an int with an exponent", `"int"`, "5e2", zigzag(500)},
		{"an int whose exponent moves the point behind the last digit", `"int"`, "1.25E+2", zigzag(125)},
		{"an int with a negative exponent", `"int"`, "500e-2", zigzag(5)},
		{"an int that is a fraction", `"int"`, "5.5", ""},
		{"an int that an exponent makes a fraction", `"int"`, "5e-1", ""},
		{"an int with an exponent out of all bounds", `"int"`, "1e99999999999999999999", ""},
		{"a zero with an exponent out of all bounds", `"int"`, "0e99999999999999999999", zigzag(0)},
		{"a fraction that is nearly nothing", `"long"`, "1e-99999999999999999999", ""},
		{"a negative zero", `"int"`, "-0", zigzag(0)},
		{"nothing", `"int"`, "", ""},
		{"a sign", `"int"`, "-", ""},
		{"two signs", `"int"`, "--1", ""},
		{"a plus", `"int"`, "+1", ""},
		{"a zero before other digits", `"int"`, "01", ""},
		{"no digit before the point", `"double"`, ".5", ""},
		{"no digit behind the point", `"double"`, "5.", ""},
		{"no exponent behind its letter", `"double"`, "5e", ""},
		{"an exponent of only a sign", `"double"`, "5e-", ""},
		{"no exponent of an int", `"int"`, "5e", ""},
		{"something behind the exponent", `"int"`, "5e0x", ""},
		{"two exponents", `"int"`, "5e0e0", ""},
		{"a fraction of an exponent", `"int"`, "5e0.0", ""},
		{"a space before", `"int"`, " 1", ""},
		{"a space behind", `"int"`, "1 ", ""},
		{"a letter", `"int"`, "a", ""},
		{"a hexadecimal number", `"double"`, "0x1p4", ""},
		{"underscores", `"int"`, "1_000", ""},
		{"digits of another script", `"int"`, "\u0661", ""},
		{"a byte below the digits", `"int"`, "1/", ""},
		{"a byte above the digits", `"int"`, "1:", ""},
		{"no number for an int", `"int"`, "NaN", ""},
		{"infinity for a long", `"long"`, "Infinity", ""},
		{"a float", `"float"`, "-1.5", float32le(-1.5)},
		{"a float is rounded", `"float"`, "16777217", float32le(16777216)},
		{"a float is rounded once, not twice", `"float"`, "1.00000005960464484", float32le(math.Float32frombits(0x3f800001))},
		{"a float from a long text", `"float"`, "0." + strings.Repeat("3", 100), float32le(1.0 / 3)},
		{"a double that a float could not hold", `"double"`, "16777217", float64le(16777217)},
		{"a double too small to be told from zero", `"double"`, "-1e-400", float64le(math.Copysign(0, -1))},
		{"a double that is too large", `"double"`, "1e309", ""},
		{"a float that is too large", `"float"`, "-1e39", ""},
		{"the greatest float", `"float"`, "3.4028235e38", float32le(math.MaxFloat32)},
		{"no number for a float", `"float"`, "NaN", "\x00\x00\xc0\x7f"},
		{"no number for a double", `"double"`, "NaN", "\x00\x00\x00\x00\x00\x00\xf8\x7f"},
		{"infinity for a double", `"double"`, "Infinity", float64le(math.Inf(1))},
		{"negative infinity for a float", `"float"`, "-Infinity", float32le(float32(math.Inf(-1)))},
		{"another word for infinity", `"double"`, "inf", ""},
		{"a word in other letters", `"double"`, "nan", ""},
		{"a decimal", money, "12.34", "\x04\x04\xd2"},
		{"a decimal with fewer digits than its scale", money, "-3", "\x04\xfe\xd4"},
		{"a decimal with zeros behind its scale", money, "0.0700", "\x02\x07"},
		{"a decimal with another digit behind its scale", money, "0.071", ""},
		{"a decimal with an exponent", money, "7e-2", "\x02\x07"},
		{"a negative zero decimal", money, "-0.00", "\x02\x00"},
		{"a decimal that needs no byte for its sign", money, "-1.28", "\x02\x80"},
		{"a decimal that needs a byte for its sign", money, "1.28", "\x04\x00\x80"},
		{"a decimal of two bytes that needs no byte for its sign", money, "-327.68", "\x04\x80\x00"},
		{"the greatest decimal", money, "9999999.99", lengthed("\x3b\x9a\xc9\xff")},
		{"a decimal of more digits than its precision", money, "10000000.00", ""},
		{"a negative decimal of more digits than its precision", money, "-10000000", ""},
		{"a decimal that an exponent makes too large", money, "1e7", ""},
		{"infinity for a decimal", money, "Infinity", ""},
		{"no number for a decimal", units, "NaN", ""},
		{"minus two to the 64", large, "-18446744073709551616", lengthed("\xff" + strings.Repeat("\x00", 8))},
		{"minus two to the 128", large, "-340282366920938463463374607431768211456", lengthed("\xff" + strings.Repeat("\x00", 16))},
		{"minus two to the 127", large, "-170141183460469231731687303715884105728", lengthed("\x80" + strings.Repeat("\x00", 15))},
		{"one less than minus two to the 127", large, "-170141183460469231731687303715884105729", lengthed("\xff\x7f" + strings.Repeat("\xff", 15))},
		{"two to the 127 and two to the 64", large, "170141183460469231750134047789593657344", lengthed("\x00\x80" + strings.Repeat("\x00", 6) + "\x01" + strings.Repeat("\x00", 8))},
		{"minus that", large, "-170141183460469231750134047789593657344", lengthed("\xff\x7f" + strings.Repeat("\xff", 7) + strings.Repeat("\x00", 8))},
		{"a decimal in a fixed", account, "-0.0000000002", strings.Repeat("\xff", 15) + "\xfe"},
		{"the least decimal of 38 digits", account, "-" + strings.Repeat("9", 28) + "." + strings.Repeat("9", 10), "\xb4\xc4\xb3\x57\xa5\x79\x3b\x85\xf6\x75\xdd\xc0\x00\x00\x00\x01"},
		{"one more digit than 38", account, strings.Repeat("9", 29), ""},
		{"a decimal in a fixed of one byte", tiny, "-9.9", "\x9d"},
		{"a decimal that its fixed could hold and its precision does not", tiny, "10", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			zero := map[string]string{`"int"`: "\x00", `"long"`: "\x00", `"float"`: "1234", `"double"`: "12345678", account: strings.Repeat("\x00", 16), tiny: "\x00"}[tt.typ]
			if zero == "" {
				zero = "\x02\x00"
			}
			var shown string
			out, err := numberProgram(t, tt.typ).Rewrite([]byte("before"), []byte(zero), answering(tt.answer, &shown))
			if tt.want == "" {
				if !errors.Is(err, schema.ErrNumber) || string(out) != "before" {
					t.Errorf("%q gave % x and error %v, want ErrNumber", tt.answer, out, err)
				}
				return
			}
			if err != nil || string(out) != "before"+tt.want {
				t.Errorf("%q was written as % x with error %v, want % x", tt.answer, out, err, tt.want)
			}
		})
	}
}

func TestFieldsThatAreNumbers(t *testing.T) {
	decimal := func(typ, more string) string {
		return `{"type":` + typ + `,"logicalType":"decimal"` + more + `}`
	}
	tests := []struct {
		name, typ string
		want      bool
	}{
		{"int", `"int"`, true},
		{"long", `"long"`, true},
		{"float", `"float"`, true},
		{"double", `"double"`, true},
		{"date", `{"type":"int","logicalType":"date"}`, true},
		{"time-micros", `{"type":"long","logicalType":"time-micros"}`, true},
		{"a long with a logical type of another kind", `{"type":"long","logicalType":"uuid"}`, true},
		{"decimal in bytes", money, true},
		{"decimal in a fixed", account, true},
		{"a decimal of the greatest precision", decimal(`"bytes"`, `,"precision":1024,"scale":1024`), true},
		{"a decimal above the greatest precision", decimal(`"bytes"`, `,"precision":1025`), false},
		{"null", `"null"`, false},
		{"boolean", `"boolean"`, false},
		{"string", `"string"`, false},
		{"a string that says decimal", decimal(`"string"`, `,"precision":4`), false},
		{"bytes", `"bytes"`, false},
		{"big-decimal", `{"type":"bytes","logicalType":"big-decimal"}`, false},
		{"enum", `{"type":"enum","name":"E","symbols":["A"]}`, false},
		{"fixed", `{"type":"fixed","name":"F","size":4}`, false},
		{"duration", `{"type":"fixed","name":"F","size":12,"logicalType":"duration"}`, false},
		{"uuid in a fixed", `{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, false},
		{"array", `{"type":"array","items":"boolean"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"v","type":`+tt.typ+`}`))
			for i, f := range s.Fields() {
				if f.Numeric != tt.want {
					t.Errorf("%s %s: Numeric is %v, want %v", f.Path, f.Type, f.Numeric, tt.want)
				}
				for _, compile := range []func([]schema.Edit, schema.Unknown) (schema.Program, error){s.Compile, s.Restore} {
					_, err := compile([]schema.Edit{{Field: i, Op: schema.Number}}, schema.RejectUnknown)
					fit, ok := errors.AsType[*FitError](err)
					if (err == nil) != tt.want || !tt.want && (!ok || fit.Path != f.Path || fit.Reason != "is not a number") {
						t.Errorf("error is %v", err)
					}
				}
			}
		})
	}
}

func TestAnInvalidDecimalIsNoNumber(t *testing.T) {
	// The parser refuses these; a change there must not make numbers of them.
	for name, n := range map[string]node{
		"no precision":                      {kind: "bytes", logical: "decimal"},
		"a negative precision":              {kind: "bytes", logical: "decimal", precision: -1},
		"a negative scale":                  {kind: "bytes", logical: "decimal", precision: 4, scale: -1},
		"a scale above the precision":       {kind: "bytes", logical: "decimal", precision: 4, scale: 5},
		"a precision that its fixed has no": {kind: "fixed", logical: "decimal", precision: 3, size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, ok := numberOf(&n); ok {
				t.Error("is a number")
			}
		})
	}
}

func TestNumbersThatAreMalformed(t *testing.T) {
	ten := strings.Repeat("\xff", 10)
	tests := []struct{ name, typ, in, reason string }{
		{"no int", `"int"`, "", reasonTruncated},
		{"half an int", `"int"`, "\x80", reasonTruncated},
		{"an int of 2^31", `"int"`, zigzag(math.MaxInt32 + 1), reasonRange},
		{"an int of 11 bytes", `"int"`, ten + "\x01", reasonLong},
		{"an int in more bytes than it needs", `"int"`, "\x82\x00", reasonMinimal},
		{"a long of 11 bytes", `"long"`, ten + "\x01", reasonLong},
		{"a zero long in ten bytes", `"long"`, strings.Repeat("\x80", 9) + "\x00", reasonMinimal},
		{"half a float", `"float"`, "12", reasonTruncated},
		{"half a double", `"double"`, "1234567", reasonTruncated},
		{"no decimal", money, "", reasonTruncated},
		{"a decimal of no bytes", money, "\x00", reasonPrecision},
		{"a decimal that ends early", money, "\x04\x01", reasonLength},
		{"a decimal of negative length", money, "\x01", reasonLength},
		{"a decimal whose length is in more bytes than it needs", money, "\x82\x00\x01", reasonMinimal},
		{"a decimal of one digit more than its precision", money, lengthed("\x3b\x9a\xca\x00"), reasonPrecision},
		{"a negative decimal of one digit more than its precision", money, lengthed("\xc4\x65\x36\x00"), reasonPrecision},
		{"a decimal of a byte more than its precision", money, lengthed("\x01\x00\x00\x00\x00"), reasonPrecision},
		{"a decimal of 10 MB", money, lengthed(strings.Repeat("\x7f", 10<<20)), reasonPrecision},
		{"half a decimal in a fixed", account, "12345678", reasonTruncated},
		{"a decimal in a fixed of more digits than its precision", account, "\x7f" + strings.Repeat("\xff", 15), reasonPrecision},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.typ)
			edit := schema.Edit{Field: 0, Op: schema.Number}
			for _, p := range []schema.Program{compile(t, s, edit), restore(t, s, edit)} {
				wantMalformed(t, p, []byte(tt.in), tt.reason, func(_ int, dst, _ []byte) ([]byte, error) {
					t.Error("a malformed value was shown to the visitor")
					return dst, nil
				})
			}
		})
	}
}

// Neither the length of a record nor that of an answer is a way to much work.
func TestGreatNumbersEnd(t *testing.T) {
	var shown string
	padded := append([]byte(lengthed(strings.Repeat("\x00", 10<<20))[:4]), make([]byte, 10<<20)...)
	rewrite(t, numberProgram(t, money), padded, answering("1", &shown))
	if shown != "0.00" {
		t.Errorf("10 MB of zeros are %q", shown)
	}
	nines := strings.Repeat("9", 10<<20)
	for _, typ := range []string{`"long"`, money} {
		p := numberProgram(t, typ)
		in := []byte("\x02\x07")[map[string]int{`"long"`: 1, money: 0}[typ]:]
		for name, answer := range map[string]string{"digits": nines, "a fraction": "0." + nines, "an exponent": "1e" + nines, "a small exponent": "1e-" + nines} {
			if _, err := p.Rewrite(nil, in, answering(answer, &shown)); !errors.Is(err, schema.ErrNumber) {
				t.Errorf("%s as %s: error is %v", name, typ, err)
			}
		}
		// It is 5, however it is written.
		long := "5" + strings.Repeat("0", 1<<20) + "e-1048576"
		out, err := p.Rewrite(nil, in, answering(long, &shown))
		want, _ := p.Rewrite(nil, in, answering("5", &shown))
		if err != nil || !bytes.Equal(out, want) {
			t.Errorf("five as %s: % x, error %v", typ, out, err)
		}
	}
}

func TestTheErrorOfTheVisitorIsReturned(t *testing.T) {
	s := parse(t, record(`{"name":"a","type":"int"},{"name":"b","type":"int"}`))
	edits := []schema.Edit{{Field: 0, Op: schema.Number}, {Field: 1, Op: schema.Number}}
	for _, want := range []error{errBrackets, schema.ErrKeep} {
		second := func(edit int, dst, value []byte) ([]byte, error) {
			if edit == 1 {
				return append(dst, "junk"...), want
			}
			return append(dst, value...), nil
		}
		out, err := compile(t, s, edits...).Rewrite([]byte("before"), []byte("\x02\x04"), visit(second))
		if err != want || string(out) != "before" { //nolint:errorlint // as it is
			t.Errorf("error is %v and dst %q, want %v", err, out, want)
		}
	}
}

// On the way back a value may stay, in the bytes that it has.
func TestNumbersThatAreKept(t *testing.T) {
	keep := func(_ int, dst, value []byte) ([]byte, error) {
		if value[0] == '-' {
			return append(dst, "7"...), nil
		}
		return append(dst, "dropped"...), schema.ErrKeep
	}
	for _, tt := range []struct{ name, typ, in, want string }{
		{"an int", `"int"`, "\x04", "\x04"},
		{"one of two items in a block with its size", `{"type":"array","items":"int"}`, "\x03\x06\x80\x02\x01\x00", "\x03\x06\x80\x02\x0e\x00"},
		{"a decimal in more bytes than it needs", money, "\x06\x00\x00\x01", "\x06\x00\x00\x01"},
		{"what is no number, with its payload", `"float"`, "\x01\x00\xc0\x7f", "\x01\x00\xc0\x7f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"v","type":`+tt.typ+`}`))
			p := restore(t, s, editsOf(t, s, "number "+map[bool]string{true: "/v/[]", false: "/v"}[strings.Contains(tt.typ, "array")])...)
			if got := rewrite(t, p, []byte(tt.in), keep); string(got) != tt.want {
				t.Errorf("% x became % x, want % x", tt.in, got, tt.want)
			}
		})
	}
}

// The text that a visitor is shown is no part of dst, however much it appends,
// and is gone when it returns.
func TestTheTextOfANumberSharesNothing(t *testing.T) {
	s := parse(t, record(`{"name":"a","type":"long"},{"name":"b","type":`+account+`}`))
	p := compile(t, s, schema.Edit{Field: 0, Op: schema.Number}, schema.Edit{Field: 1, Op: schema.Number})
	src := []byte(zigzag(1234567) + strings.Repeat("\x00", 15) + "\x09")
	before := bytes.Clone(src)
	var kept [][]byte
	var inner []byte
	out, err := p.Rewrite(make([]byte, 0, 4096), src, visit(func(edit int, dst, value []byte) ([]byte, error) {
		text := string(value)
		all := dst[:cap(dst)]
		for i := len(dst); i < len(all); i++ {
			all[i] = 'x'
		}
		// The same program inside itself.
		var err error
		if inner, err = p.Rewrite(nil, src, visit(negated)); err != nil {
			return dst, err
		}
		if string(value) != text {
			t.Errorf("%q became %q", text, value)
		}
		if cap(value) != len(value) {
			t.Errorf("there is room behind the value: %d of %d bytes", len(value), cap(value))
		}
		kept = append(kept, value)
		return append(dst, text...), nil
	}))
	if err != nil || !bytes.Equal(out, src) || !bytes.Equal(src, before) {
		t.Fatalf("% x became % x, error %v", before, out, err)
	}
	if want := zigzag(-1234567) + strings.Repeat("\xff", 15) + "\xf7"; string(inner) != want {
		t.Errorf("the inner run gave % x, want % x", inner, want)
	}
	for _, value := range kept {
		if len(bytes.Trim(value, "\x00")) > 0 {
			t.Errorf("%q is still there", value)
		}
	}
}

func TestAProgramOfNumbersRunsConcurrently(t *testing.T) {
	p := numberProgram(t, `{"type":"array","items":`+account+`}`)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			var src, want []byte
			src, want = append(src, zigzag(100)...), append(want, zigzag(100)...)
			for i := range 100 {
				src = append(src, strings.Repeat("\x00", 15)+string([]byte{byte(worker + i%16 + 1)})...)
				want = append(want, strings.Repeat("\xff", 15)+string([]byte{-byte(worker + i%16 + 1)})...)
			}
			for range 20 {
				if got, err := p.Rewrite(nil, append(src, 0), visit(negated)); err != nil || !bytes.Equal(got, append(want, 0)) {
					t.Errorf("worker %d: error %v", worker, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNumbersInADerivedSchema(t *testing.T) {
	s := parse(t, record(`{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"s","type":"string"},{"name":"n","type":"int"}]}},{"name":"w","type":"int"},{"name":"z","type":"int"}`))
	edits := editsOf(t, s, "wrap /p", "wrap /w", "number /z")
	d := parse(t, derive(t, s, edits).Schema)
	for i, want := range []bool{false, false, true, true, true} {
		if d.Fields()[i].Numeric != want {
			t.Errorf("%s: Numeric is %v", d.Fields()[i].Path, !want)
		}
	}
	for _, tt := range []struct{ name, edit, want string }{
		{"a number that is wrapped", "number /w", "avro: /w: int: " + reasonProtected},
		{"a number inside what is wrapped", "number /p/n", "avro: /p/n: int: " + reasonProtected},
		{"a text inside what is wrapped", "replace /p/s", "avro: /p/s: string: " + reasonProtected},
		{"a number that is not wrapped", "number /z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.Compile(editsOf(t, d, tt.edit), schema.RejectUnknown)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if _, changed, err := s.Derive(editsOf(t, s, "number /z", "number /w"), schema.Origin{}); changed || err != nil {
		t.Errorf("numbers alone: changed %v, error %v", changed, err)
	}
	src := []byte("\x02x\x02\x04\x06")
	protected := rewrite(t, forth(t, s, edits...), src, numbersBy(edits, negated, bracketed))
	for _, from := range []*Schema{s, d} {
		if got := rewrite(t, restore(t, from, edits...), protected, numbersBy(edits, negated, unbracketed)); !bytes.Equal(got, src) {
			t.Errorf("% x was restored to % x", src, got)
		}
	}
}
