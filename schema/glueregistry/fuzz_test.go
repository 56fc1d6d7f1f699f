package glueregistry

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// FuzzParseFrame checks that what is accepted is what would be written, that
// errors are of the documented types and that the limits hold.
func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendFrame(nil, testGUID, []byte("record")))
	f.Add(packed(f, []byte("record")))
	f.Add(packed(f, make([]byte, 1<<16)))
	f.Fuzz(func(t *testing.T, src []byte) {
		c := Codec{MaxRecord: 1 << 16}
		frame, err := ParseFrame(src)
		if err != nil {
			bad, ok := errors.AsType[*schema.MalformedError](err)
			if !ok || bad.Offset > len(src) {
				t.Fatalf("error of another kind: %#v", err)
			}
			return
		}
		if !frame.Compressed && !bytes.Equal(AppendFrame(nil, frame.GUID, frame.Payload), src) {
			t.Fatal("the frame is written in another way than it was read")
		}
		out, err := c.AppendPayload([]byte("dst"), frame)
		if err != nil {
			_, malformed := errors.AsType[*schema.MalformedError](err)
			_, large := errors.AsType[*TooLargeError](err)
			if !malformed && !large || string(out) != "dst" {
				t.Fatalf("%d bytes and error of another kind: %#v", len(out), err)
			}
			return
		}
		payload, ok := bytes.CutPrefix(out, []byte("dst"))
		if !ok || len(payload) > c.MaxRecord {
			t.Fatalf("%d bytes come out", len(payload))
		}
		again, err := c.AppendCompressed(nil, frame.GUID, payload)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseFrame(again)
		if err != nil {
			t.Fatal(err)
		}
		if out, err = c.AppendPayload(nil, back); err != nil || !bytes.Equal(out, payload) {
			t.Fatalf("the record does not come back: %v", err)
		}
	})
}

// FuzzParseTagRules checks that each list of rules has one spelling.
func FuzzParseTagRules(f *testing.F) {
	f.Add("com.acme.Customer.email@PII")
	f.Add("/cards/=5B=5D/pan@PCI+PII.PAN@@/x@Y")
	f.Add("=24.a=2A@A@@b")
	f.Fuzz(func(t *testing.T, value string) {
		rules, err := ParseTagRules(value)
		if err != nil {
			return
		}
		b, err := AppendTagRules(nil, rules...)
		if err != nil || string(b) != value {
			t.Fatalf("%q reads as %q and writes as %q, %v", value, rules, b, err)
		}
	})
}
