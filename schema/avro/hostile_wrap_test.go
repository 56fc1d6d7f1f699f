package avro

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/fieldveil/fieldveil/schema"
)

// wrapEach wraps as much of a schema as fits: the leaves, or the containers that
// do not lie in others.
func wrapEach(s *Schema, containers bool) (edits []schema.Edit) {
	fields := s.Fields()
	for i := 0; i < len(fields); i++ {
		f := &fields[i]
		op := schema.Wrap
		switch {
		case f.End > 0 && !containers:
			continue
		case f.Wrapped == "":
			op = schema.Replace
		}
		// A union may be able to hold one wrapped branch and not two.
		if _, err := s.Compile(append(edits, schema.Edit{Field: i, Op: op}), schema.RejectUnknown); err != nil {
			continue
		}
		edits = append(edits, schema.Edit{Field: i, Op: op})
		if f.End > 0 {
			i = f.End - 1
		}
	}
	return edits
}

func TestWrappingChecksWhatItWraps(t *testing.T) {
	const (
		ints  = `{"type":"array","items":"int"}`
		nulls = `{"type":"array","items":"null"}`
	)
	tests := []struct{ name, typ, in, reason string }{
		{"an int of 2^31", `"int"`, zigzag(math.MaxInt32 + 1), reasonRange},
		{"an int of 11 bytes", `"int"`, strings.Repeat("\xff", 10) + "\x01", reasonLong},
		{"no int", `"int"`, "", reasonTruncated},
		{"a boolean of 2", `"boolean"`, "\x02", "boolean is neither 0 nor 1"},
		{"half a double", `"double"`, "1234", reasonTruncated},
		{"half a fixed", `{"type":"fixed","name":"F","size":4}`, "12", reasonTruncated},
		{"an enum index behind the last", `{"type":"enum","name":"E","symbols":["A"]}`, "\x02", "enum index out of range"},
		{"a union index behind the last", `["null","int","string"]`, "\x06", reasonUnion},
		{"a union index of -1", `["null","int","string"]`, "\x01", reasonUnion},
		{"a union index of 2^40", `["null","int","string"]`, zigzag(1 << 40), reasonUnion},
		{"a null of a union in two bytes", `["null","int","string"]`, "\x80\x00", reasonMinimal},
		{"2^62 items", ints, zigzag(1<<62) + "\x00", reasonCount},
		{"a lying size", ints, zigzag(-1, 2) + "\x02\x00", reasonSize},
		{"a size of nothing", ints, zigzag(-1, 0) + "\x02\x00", reasonSize},
		{"no end of the blocks", ints, "\x02\x02", reasonTruncated},
		{"2^40 nulls", nulls, zigzag(1<<40) + "\x00", reasonNoBytes},
		{"a record that ends early", `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"double"}]}`, "\x02123", reasonTruncated},
		{"65 levels", strings.Replace(listText, `"string"`, `"int"`, 1), strings.Repeat("\x00\x02", 64) + "\x00\x00", "nested too deeply"},
		{"100,000 levels", strings.Replace(listText, `"string"`, `"int"`, 1), strings.Repeat("\x00\x02", 100_000), "nested too deeply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"v","type":`+tt.typ+`}`))
			edits := []schema.Edit{{Field: 0, Op: schema.Wrap}}
			visits := 0
			wantMalformed(t, forth(t, s, edits...), []byte(tt.in), tt.reason, func(_ int, dst, value []byte) ([]byte, error) {
				visits++
				return append(dst, value...), nil
			})
			if visits > 0 {
				t.Error("a malformed value was shown to the visitor")
			}
			// The same as what somebody sealed.
			protected := append([]byte(zigzag(int64(len(tt.in)))), tt.in...)
			if strings.HasPrefix(tt.typ, `["null"`) {
				protected = append([]byte{2}, protected...)
			}
			for _, from := range []*Schema{s, parse(t, derive(t, s, edits).Schema)} {
				wantMalformed(t, restore(t, from, edits...), protected, reasonRestored, identity)
			}
		})
	}
}

func TestHostileProtectedRecords(t *testing.T) {
	tests := []struct{ name, typ, in, reason string }{
		{"nothing", `"int"`, "", reasonTruncated},
		{"a length beyond the end", `"int"`, "\x04x", reasonLength},
		{"a negative length", `"int"`, "\x01", reasonLength},
		{"the greatest length there is", `"int"`, zigzag(math.MaxInt64), reasonLength},
		{"the least length there is", `"int"`, zigzag(math.MinInt64), reasonLength},
		{"a length of 11 bytes", `"int"`, strings.Repeat("\xff", 10) + "\x01", reasonLong},
		{"a length in too many bytes", `"int"`, "\x82\x00\x02", reasonMinimal},
		{"something behind", `"int"`, "\x02\x02\x00", "trailing bytes"},
		{"a union index of 2", `["null","int","string"]`, "\x04\x02\x02", reasonUnion},
		{"a union index in too many bytes", `["null","int","string"]`, "\x82\x00\x04\x02\x02", reasonMinimal},
		{"a null in too many bytes", `["null","int","string"]`, "\x80\x00", reasonMinimal},
		{"2^62 items", `{"type":"array","items":"int"}`, zigzag(1<<62) + "\x00", reasonCount},
		{"2^62 items that had no bytes", `{"type":"array","items":{"type":"fixed","name":"F","size":0}}`, zigzag(1<<62) + "\x00", reasonCount},
		{"a lying size", `{"type":"array","items":"int"}`, zigzag(-1, 3) + "\x02\x02\x00", reasonSize},
		{"a size in too many bytes", `{"type":"array","items":"int"}`, "\x01\x84\x00\x02\x02\x00", reasonMinimal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"v","type":`+tt.typ+`}`))
			path := "/v"
			if strings.Contains(tt.typ, "array") {
				path = "/v/[]"
			}
			edits := wrapAt(t, s, path)
			for _, from := range []*Schema{s, parse(t, derive(t, s, edits).Schema)} {
				visits := 0
				wantMalformed(t, restore(t, from, edits...), []byte(tt.in), tt.reason, func(_ int, dst, value []byte) ([]byte, error) {
					visits++
					return append(dst, value...), nil
				})
				if visits > len(tt.in) {
					t.Errorf("%d visits for %d bytes", visits, len(tt.in))
				}
			}
		})
	}
}

func TestTruncationOfProtectedRecords(t *testing.T) {
	s := parse(t, richText)
	for _, containers := range []bool{false, true} {
		edits := wrapEach(s, containers)
		protected := rewrite(t, forth(t, s, edits...), rich(), bracketed)
		for _, from := range []*Schema{s, parse(t, derive(t, s, edits).Schema)} {
			p := restore(t, from, edits...)
			if got := rewrite(t, p, protected, unbracketed); !bytes.Equal(got, rich()) {
				t.Fatalf("restored\n%q, want\n%q", got, rich())
			}
			for n := range protected {
				wantMalformed(t, p, bytes.Clone(protected[:n]), "", unbracketed)
			}
			wantMalformed(t, p, append(bytes.Clone(protected), 0), "trailing bytes", unbracketed)
		}
	}
}

// A value that is no protected one stays, where its type allows that, and the
// record with it.
func TestValuesThatAreKept(t *testing.T) {
	keep := func(_ int, dst, value []byte) ([]byte, error) {
		if len(value) > 0 && value[0] == '<' {
			return append(dst, value[1:len(value)-1]...), nil
		}
		return append(dst, "dropped"...), schema.ErrKeep
	}
	for _, tt := range []struct{ name, typ, in, want string }{
		{"a string", `"string"`, "\x02x", "\x02x"},
		{"a string whose length is in two bytes", `"string"`, "\x82\x00x", "\x82\x00x"},
		{"one of two items", `{"type":"array","items":"string"}`, "\x04\x02x\x06<y>\x00", "\x04\x02x\x02y\x00"},
		{"one of two items in a block with its size", `{"type":"array","items":"string"}`, "\x03\x0c\x02x\x06<y>\x00", "\x03\x08\x02x\x02y\x00"},
		{"all items in a block with its size in two bytes", `{"type":"array","items":"string"}`, "\x03\x88\x00\x02x\x02y\x00", "\x03\x88\x00\x02x\x02y\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, record(`{"name":"v","type":`+tt.typ+`},{"name":"z","type":"string"}`))
			p := restore(t, s, editsOf(t, s, "replace string "+map[bool]string{true: "/v/[]", false: "/v"}[strings.HasPrefix(tt.typ, "{")])...)
			if got := rewrite(t, p, []byte(tt.in+"\x02z"), keep); string(got) != tt.want+"\x02z" {
				t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	s := parse(t, record(`{"name":"v","type":"int"}`))
	wantMalformed(t, restore(t, s, wrapAt(t, s, "/v")...), []byte("\x02x"), "", keep)
}

// spliced is what a protected record must be, from the values that were visited
// and what became of them: all other bytes of src as they are. It knows records
// without block sizes.
func spliced(src []byte, visits []visited) (out []byte) {
	at := 0
	for _, v := range visits {
		start := v.start
		if v.op == schema.Replace {
			start -= len(zigzag(int64(v.end - v.start)))
		}
		out = append(out, src[at:start]...)
		if v.branch != "" {
			out = append(out, v.branch...)
		}
		out = append(append(out, zigzag(int64(len(v.became)))...), v.became...)
		at = v.end
	}
	return append(out, src[at:]...)
}

type visited struct {
	op         schema.Op
	start, end int
	branch     string // of a union with null that was wrapped as a whole
	became     []byte
}

// recorded is a Visitor that keeps where the values stood in src.
func recorded(s *Schema, edits []schema.Edit, src []byte, into *[]visited) visit {
	return func(edit int, dst, value []byte) ([]byte, error) {
		v := visited{op: edits[edit].Op}
		// An empty slice tells nothing of where it is.
		v.start = int(uintptr(unsafe.Pointer(unsafe.SliceData(value))) - uintptr(unsafe.Pointer(unsafe.SliceData(src))))
		v.end = v.start + len(value)
		if len(value) == 0 {
			v.start, v.end = 0, 0
		}
		if n := s.places[edits[edit].Field].node; v.op == schema.Wrap && nullBranch(n) >= 0 {
			v.branch = "\x02"
			if nullLast(n) {
				v.branch = "\x00"
			}
		}
		before := len(dst)
		if v.op == schema.Number {
			// It is not part of src.
			*into = append(*into, visited{op: v.op})
			return negated(edit, dst, value)
		}
		out, err := sealed(edit, dst, value)
		if err == nil {
			v.became = bytes.Clone(out[before:])
		}
		*into = append(*into, v)
		return out, err
	}
}
