package fieldcrypt_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// clone is a copy of a record that shares nothing with it.
func clone(r fieldcrypt.Record) fieldcrypt.Record {
	r.Key, r.Value, r.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}

// Records of all sizes and kinds follow each other in one out, in an order that
// makes it grow, shrink, lose its memory and get it back.
func TestProtectIntoDoesWhatProtectDoesWhateverWasThereBefore(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "email", "type": "string", "confluent:tags": ["PII"]}`))
	e := w.engine(strings.Replace(headerPolicy, "- {name: x-ip, action: drop}", "- {name: x-ip, action: drop}\n  - {match: bare}", 1))
	header := func(name, value string) fieldcrypt.Header {
		return fieldcrypt.Header{Key: name, Value: []byte(value)}
	}
	value := func(n int) []byte {
		return w.framed(1, map[string]any{"email": strings.Repeat("a", n) + "@example.com"})
	}
	records := []fieldcrypt.Record{
		{Topic: "t", Key: []byte("1"), Value: value(10), Headers: []fieldcrypt.Header{header("trace", "t-1"), header("x-email", "ada@example.com")}},
		{Topic: "t", Key: []byte("2"), Headers: []fieldcrypt.Header{header("trace", "t-2")}},
		{Topic: "bare", Headers: []fieldcrypt.Header{header("trace", "t-3")}},
		{Topic: "bare", Key: []byte("4"), Value: value(3000)},
		{Topic: "t", Value: value(1), Headers: []fieldcrypt.Header{
			header("a", "1"), header("b", "2"), header("c", "3"), header("d", "4"), header("x-email", "eve@example.com"), header("x-phone", "+420 555 0123"),
		}},
		{Topic: "bare"},
	}
	var out fieldcrypt.Record
	for i := range 40 {
		in := records[i*i*7%len(records)]
		if i%5 == 4 { // one that is refused
			bad := in
			bad.Value = []byte("no framing")
			if err := e.ProtectInto(t.Context(), &out, &bad); err == nil || len(out.Value) != 0 || len(out.Headers) != 0 || out.Key != nil || out.Topic != "" {
				t.Fatalf("record %d: %+v, %v", i, out, err)
			}
		}
		before := clone(in)
		if err := e.ProtectInto(t.Context(), &out, &in); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(in, before) {
			t.Fatalf("record %d has changed", i)
		}
		want, err := e.Protect(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if out.Topic != want.Topic || !bytes.Equal(out.Key, want.Key) || (out.Value == nil) != (want.Value == nil) || len(out.Value) != len(want.Value) || len(out.Headers) != len(want.Headers) {
			t.Fatalf("record %d: %d bytes and %d headers, want %d and %d", i, len(out.Value), len(out.Headers), len(want.Value), len(want.Headers))
		}
		got, err := e.Reveal(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		back, err := e.Reveal(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Value, in.Value) || len(got.Headers) != len(back.Headers) {
			t.Fatalf("record %d does not come back", i)
		}
		for j := range got.Headers {
			if got.Headers[j].Key != back.Headers[j].Key || !bytes.Equal(got.Headers[j].Value, back.Headers[j].Value) {
				t.Fatalf("record %d, header %d: %q, want %q", i, j, got.Headers[j].Value, back.Headers[j].Value)
			}
		}
		// Whoever writes to what he got must not reach what he gave.
		for j := range out.Headers {
			out.Headers[j].Key = "overwritten"
		}
		clear(out.Value)
		if !reflect.DeepEqual(in, before) {
			t.Fatalf("record %d shares memory with its result", i)
		}
	}
}

// What stands behind an appended value belongs to the caller.
func TestAppendProtectedEndsWhereItsValueEnds(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "email", "type": "string", "confluent:tags": ["PII"]}`))
	e := w.engine(headerPolicy)
	dst := make([]byte, 3, 4096)
	out, err := e.AppendProtected(t.Context(), dst, fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"email": "ada@example.com"})})
	if err != nil || cap(out.Value) != len(out.Value) || &out.Value[0] != &dst[:4][3] {
		t.Errorf("%d bytes of %d, %v", len(out.Value), cap(out.Value), err)
	}
}

func TestProtectIntoAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	e := w.engine(customerPolicy)
	in := fieldcrypt.Record{Topic: "customers", Key: []byte("k"), Value: w.framed(3, customer(customer(nil))), Headers: []fieldcrypt.Header{{Key: "trace", Value: []byte("t")}}}
	var out fieldcrypt.Record
	if n := testing.AllocsPerRun(500, func() {
		if err := e.ProtectInto(t.Context(), &out, &in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
