package kms_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func canonical(t *testing.T, ec kms.EncryptionContext) []byte {
	t.Helper()
	b, err := ec.AppendCanonical(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendCanonicalWritesTheBytesOfTheSpecification(t *testing.T) {
	tests := []struct {
		name string
		ec   kms.EncryptionContext
		want string
	}{
		{name: "nil is the version byte alone", ec: nil, want: "\x01"},
		{name: "an empty context is the version byte alone", ec: kms.EncryptionContext{}, want: "\x01"},
		{name: "one pair has both lengths", ec: kms.EncryptionContext{"a": "bc"}, want: "\x01\x00\x01a\x00\x02bc"},
		{name: "an empty value keeps its length", ec: kms.EncryptionContext{"a": ""}, want: "\x01\x00\x01a\x00\x00"},
		{name: "an empty name keeps its length", ec: kms.EncryptionContext{"": "a"}, want: "\x01\x00\x00\x00\x01a"},
		{
			name: "pairs stand in the byte order of their names",
			ec:   kms.EncryptionContext{"b": "1", "B": "2", "ab": "3", "a": "4"},
			want: "\x01\x00\x01B\x00\x012\x00\x01a\x00\x014\x00\x02ab\x00\x013\x00\x01b\x00\x011",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canonical(t, tt.ec); string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAppendCanonicalAppends(t *testing.T) {
	got, err := kms.EncryptionContext{"a": "b"}.AppendCanonical([]byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "label\x01\x00\x01a\x00\x01b"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Contexts that a separator instead of lengths, or values in place of names,
// would confuse.
func TestAppendCanonicalKeepsLookalikesApart(t *testing.T) {
	contexts := []kms.EncryptionContext{
		nil,
		{"": ""},
		{"a": ""},
		{"": "a"},
		{"ab": "c"},
		{"a": "bc"},
		{"abc": ""},
		{"a": "b"},
		{"b": "a"},
		{"a": "b", "c": "d"},
		{"a": "b\x00\x01c\x00\x01d"},
		{"a": "d", "c": "b"},
		{"a\x00\x01b\x00\x01c": "d"},
		{"a": "b", "": ""},
		{"a": "b\x00\x00"},
		{"a,b": "c"},
		{"a": "b,c"},
		{"a=b": "c"},
	}
	seen := map[string]kms.EncryptionContext{}
	for _, ec := range contexts {
		enc := string(canonical(t, ec))
		if other, ok := seen[enc]; ok {
			t.Errorf("%q and %q have the same encoding %q", ec, other, enc)
		}
		seen[enc] = ec
	}
}

func TestAppendCanonicalIsBoundedTo4096Bytes(t *testing.T) {
	const overhead = 1 + 2 + 2 // version and the lengths of one pair
	many := kms.EncryptionContext{}
	for i := range 1000 {
		many[fmt.Sprint(i)] = "value"
	}
	tests := []struct {
		name string
		ec   kms.EncryptionContext
		ok   bool
	}{
		{name: "4096 bytes in one pair are accepted", ec: kms.EncryptionContext{"k": strings.Repeat("v", 4096-overhead-1)}, ok: true},
		{name: "4097 bytes in one pair are refused", ec: kms.EncryptionContext{"k": strings.Repeat("v", 4096-overhead)}},
		{name: "a value of 65536 bytes is refused and not cut to its length field", ec: kms.EncryptionContext{"k": strings.Repeat("v", 65536)}},
		{name: "a name of 65536 bytes is refused and not cut to its length field", ec: kms.EncryptionContext{strings.Repeat("k", 65536): "v"}},
		{name: "many short pairs are refused", ec: many},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := []byte("before")
			got, err := tt.ec.AppendCanonical(dst)
			if tt.ok {
				if err != nil || len(got) != len(dst)+4096 {
					t.Fatalf("%d bytes, err = %v", len(got), err)
				}
				return
			}
			if !errors.Is(err, kms.ErrInvalid) || kms.Retryable(err) {
				t.Errorf("err = %v, want the definitive ErrInvalid", err)
			}
			if !bytes.Equal(got, dst) {
				t.Errorf("dst came back with %d bytes", len(got))
			}
		})
	}
}

// decode reads a canonical encoding back; that it can proves injectivity.
func decode(b []byte) (kms.EncryptionContext, bool) {
	if len(b) == 0 || b[0] != 1 {
		return nil, false
	}
	ec, rest := kms.EncryptionContext{}, b[1:]
	part := func() (string, bool) {
		if len(rest) < 2 {
			return "", false
		}
		n := int(binary.BigEndian.Uint16(rest))
		if len(rest)-2 < n {
			return "", false
		}
		s := string(rest[2 : 2+n])
		rest = rest[2+n:]
		return s, true
	}
	for len(rest) > 0 {
		k, ok := part()
		v, ok2 := part()
		if !ok || !ok2 {
			return nil, false
		}
		ec[k] = v
	}
	return ec, true
}

func FuzzAppendCanonicalReadsBackToTheSameContext(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("", "", "", "x")
	f.Add("fieldveil:purpose", "data-key", "fieldveil:tenant", "acme")
	f.Add("a\x00", "\x01", "a", "\x00\x01")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		ec := kms.EncryptionContext{k1: v1, k2: v2}
		enc, err := ec.AppendCanonical(nil)
		if err != nil {
			if len(k1)+len(v1)+len(k2)+len(v2) < 4000 {
				t.Fatalf("refused a short context: %v", err)
			}
			return
		}
		back, ok := decode(enc)
		if !ok || !maps.Equal(back, ec) {
			t.Fatalf("%q reads back as %q", ec, back)
		}
	})
}

func ExampleEncryptionContext_AppendCanonical() {
	ec := kms.EncryptionContext{"fieldveil:tenant": "acme", "fieldveil:purpose": "data-key"}
	aad, err := ec.AppendCanonical(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", aad)
	// Output: "\x01\x00\x11fieldveil:purpose\x00\bdata-key\x00\x10fieldveil:tenant\x00\x04acme"
}
