package envelope

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func block() KeyBlock {
	k := KeyBlock{KEK: "aws-kms:alias/pii", Tenant: "acme", Wrapped: []byte("wrapped data key")}
	for i := range k.Commitment {
		k.Commitment[i] = byte(0xC0 + i)
	}
	return k
}

func encode(t *testing.T, k KeyBlock) []byte {
	t.Helper()
	b, err := k.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyBlocksReadBackAsTheyWereWritten(t *testing.T) {
	tests := []struct {
		name   string
		change func(*KeyBlock)
	}{
		{name: "all parts", change: func(*KeyBlock) {}},
		{name: "no tenant", change: func(k *KeyBlock) { k.Tenant = "" }},
		{name: "a KEK of one byte", change: func(k *KeyBlock) { k.KEK = "k" }},
		{name: "a wrapped key of one byte", change: func(k *KeyBlock) { k.Wrapped = []byte{0} }},
		{name: "names outside ASCII", change: func(k *KeyBlock) { k.Tenant, k.KEK = "Łódź", "vault:ž/ü" }},
		{name: "bytes of every value", change: func(k *KeyBlock) {
			k.Wrapped = nil
			for c := range 256 {
				k.Wrapped = append(k.Wrapped, byte(c))
			}
		}},
		{name: "the longest wrapped key", change: func(k *KeyBlock) { k.Wrapped = make([]byte, 16384-39-len(k.KEK)-len(k.Tenant)) }},
		{name: "the longest KEK", change: func(k *KeyBlock) { k.KEK = strings.Repeat("k", 16384-39-len(k.Tenant)-len(k.Wrapped)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // FV-30
			k := block()
			tt.change(&k)
			b := encode(t, k)
			if want := 39 + len(k.KEK) + len(k.Tenant) + len(k.Wrapped); len(b) != want {
				t.Errorf("%d bytes, want %d", len(b), want)
			}
			got, err := ParseKeyBlock(b)
			if err != nil || !reflect.DeepEqual(got, k) {
				t.Errorf("ParseKeyBlock = %+v, %v", got, err)
			}
		})
	}
}

// FV-30: a block ends with its last part, so no cut and no extension of one is
// a block.
func TestNoCutAndNoExtensionOfAKeyBlockIsOne(t *testing.T) {
	for _, k := range []KeyBlock{block(), {KEK: "k", Wrapped: []byte("w")}} {
		b := encode(t, k)
		for n := range b {
			refusedBlock(t, b[:n])
		}
		for extra := range 256 {
			refusedBlock(t, append(bytes.Clone(b), byte(extra)))
		}
		refusedBlock(t, append(bytes.Clone(b), b...))
	}
}

func refusedBlock(t *testing.T, b []byte) {
	t.Helper()
	k, err := ParseKeyBlock(b)
	if !errors.Is(err, ErrKeyBlock) || !errors.Is(err, ErrFormat) || !reflect.DeepEqual(k, KeyBlock{}) {
		t.Errorf("block of %d bytes: %+v, %v", len(b), k, err)
	}
}

func TestParseKeyBlockRefuses(t *testing.T) {
	// raw builds what Append refuses to.
	raw := func(kek, tenant, wrapped string) []byte {
		b := append([]byte{Version}, make([]byte, CommitmentSize)...)
		return appendPart(appendPart(appendPart(b, kek), tenant), wrapped)
	}
	if _, err := ParseKeyBlock(raw("k", "", "w")); err != nil {
		t.Fatalf("the raw block is none: %v", err)
	}
	version := func(v byte) []byte { b := raw("k", "t", "w"); b[0] = v; return b }
	length := func(at int, hi, lo byte) []byte { b := raw("k", "t", "w"); b[at], b[at+1] = hi, lo; return b }
	tests := []struct {
		name string
		in   []byte
	}{
		{name: "version 0", in: version(0)},
		{name: "version 2", in: version(2)},
		{name: "an empty KEK", in: raw("", "t", "w")},
		{name: "an empty wrapped key", in: raw("k", "t", "")},
		{name: "a KEK that claims more than there is", in: length(33, 0xFF, 0xFF)},
		{name: "a KEK that claims less than there is", in: length(33, 0, 0)},
		{name: "a tenant that claims more than there is", in: length(36, 0, 5)},
		{name: "a wrapped key that claims one byte more", in: length(39, 0, 2)},
		{name: "a wrapped key that claims one byte less", in: length(39, 0, 0)},
		{name: "one byte above the limit", in: raw("k", "", strings.Repeat("w", 16384-39-1+1))},
		{name: "far above the limit", in: raw("k", strings.Repeat("t", 60_000), strings.Repeat("w", 60_000))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // FV-30
			refusedBlock(t, tt.in)
		})
	}
}

// FV-30: what no reader accepts is not written either.
func TestAppendRefusesWhatParseKeyBlockWould(t *testing.T) {
	tests := []struct {
		name   string
		change func(*KeyBlock)
	}{
		{name: "no KEK", change: func(k *KeyBlock) { k.KEK = "" }},
		{name: "no wrapped key", change: func(k *KeyBlock) { k.Wrapped = nil }},
		{name: "a wrapped key of no bytes", change: func(k *KeyBlock) { k.Wrapped = []byte{} }},
		{name: "one byte above the limit", change: func(k *KeyBlock) { k.Wrapped = make([]byte, 16385-39-len(k.KEK)-len(k.Tenant)) }},
		{name: "a tenant whose length would wrap around", change: func(k *KeyBlock) { k.Tenant = strings.Repeat("t", 65_536) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := block()
			tt.change(&k)
			b, err := k.Append([]byte("kept"))
			if !errors.Is(err, ErrKeyBlock) || string(b) != "kept" {
				t.Errorf("Append = %d bytes, %v", len(b), err)
			}
		})
	}
}

func TestAParsedKeyBlockKeepsNothingOfItsInput(t *testing.T) {
	b := encode(t, block())
	k, err := ParseKeyBlock(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !reflect.DeepEqual(k, block()) {
		t.Errorf("after the input was overwritten: %+v", k)
	}
}

func TestTheKeyIDIsTheBeginningOfTheCommitment(t *testing.T) {
	k := block()
	want := k.Commitment[:12]
	if got := k.Commitment.KeyID(); !bytes.Equal(got[:], want) {
		t.Errorf("KeyID = %x, want %x", got, want)
	}
}
