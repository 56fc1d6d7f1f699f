package envelope

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	policyItem = "\x01\x08POLICYDG"
	keyItem    = "\x02\x0cKEYID-TWELVE"
)

func TestMetaReadsBackAsItWasWritten(t *testing.T) {
	with := Meta{Policy: [8]byte([]byte("POLICYDG")), HasPolicy: true}
	for want, m := range map[string]Meta{
		"\x01":              {},
		"\x01" + policyItem: with,
		"\x01" + keyItem:    {Keys: []KeyID{KeyID([]byte("KEYID-TWELVE"))}},
		"\x01" + policyItem + keyItem + "\x02\x0cKEYID-OTHER!": {
			Policy: with.Policy, HasPolicy: true,
			Keys: []KeyID{KeyID([]byte("KEYID-TWELVE")), KeyID([]byte("KEYID-OTHER!"))},
		},
		"\x01\x01\x08\x00\x00\x00\x00\x00\x00\x00\x00": {HasPolicy: true},
	} {
		b := m.Append([]byte("pre"))
		if string(b) != "pre"+want {
			t.Errorf("Append of %+v = %x", m, b)
		}
		if got, err := ParseMeta(b[3:]); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("ParseMeta(%x) = %+v, %v", b[3:], got, err)
		}
	}
}

func TestParseMeta(t *testing.T) {
	long := string(append([]byte{255, 255}, make([]byte, 255)...))
	tests := []struct {
		name, in string
		policy   bool
		err      error
	}{
		{name: "the version alone is a header without items", in: "\x01"},
		{name: "a policy digest", in: "\x01" + policyItem, policy: true},
		{name: "an unknown item of type 128 is skipped", in: "\x01\x80\x03abc" + policyItem, policy: true},
		{name: "an unknown item of type 255 is skipped", in: "\x01" + policyItem + long, policy: true},
		{name: "an empty unknown item is skipped", in: "\x01\x80\x00" + policyItem, policy: true},
		{name: "the same unknown item twice is skipped twice", in: "\x01\x80\x01a\x80\x01b"},
		{name: "nothing is refused", in: "", err: ErrMeta},
		{name: "version 0 is refused", in: "\x00" + policyItem, err: ErrMeta},
		{name: "version 2 is refused", in: "\x02" + policyItem, err: ErrMeta},
		{name: "an unknown item of type 0 is refused", in: "\x01\x00\x00", err: ErrMeta},
		{name: "a key id of eleven bytes is refused", in: "\x01\x02\x0bKEYID-TWELV", err: ErrMeta},
		{name: "a key id of thirteen bytes is refused", in: "\x01\x02\x0dKEYID-TWELVE!", err: ErrMeta},
		{name: "a key id twice is refused", in: "\x01" + keyItem + policyItem + keyItem, err: ErrMeta},
		{name: "an unknown item of type 3 is refused", in: "\x01" + policyItem + "\x03\x01x", err: ErrMeta},
		{name: "an unknown item of type 127 is refused", in: "\x01\x7f\x00", err: ErrMeta},
		{name: "a type without a length is refused", in: "\x01\x80", err: ErrMeta},
		{name: "an optional item that is cut is refused", in: "\x01\x80\x03ab", err: ErrMeta},
		{name: "an optional item without its content is refused", in: "\x01\x80\xff", err: ErrMeta},
		{name: "a policy digest of seven bytes is refused", in: "\x01\x01\x07POLICYD", err: ErrMeta},
		{name: "a policy digest of nine bytes is refused", in: "\x01\x01\x09POLICYDGX", err: ErrMeta},
		{name: "two policy digests are refused", in: "\x01" + policyItem + policyItem, err: ErrMeta},
		{name: "a zero byte behind the last item is refused", in: "\x01" + policyItem + "\x00", err: ErrMeta},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // FV-41
			got, err := ParseMeta([]byte(tt.in))
			if !errors.Is(err, tt.err) || (err != nil && !errors.Is(err, ErrFormat)) {
				t.Fatalf("err = %v, want %v", err, tt.err)
			}
			want := Meta{HasPolicy: tt.policy}
			if tt.policy {
				copy(want.Policy[:], "POLICYDG")
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("ParseMeta(%x) = %+v, want %+v", tt.in, got, want)
			}
		})
	}
}

// FV-41.
func TestEveryCutOfAMetaHeaderInsideAnItemIsRefused(t *testing.T) {
	whole := "\x01\x80\x02ab" + policyItem + "\xff\x01x"
	ends := map[int]bool{1: true, 5: true, 15: true, 18: true}
	for n := range len(whole) + 1 {
		if _, err := ParseMeta([]byte(whole[:n])); (err == nil) != ends[n] {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}

func TestEveryTypeBelow128ButThePolicyIsRefused(t *testing.T) {
	for typ := range 256 { // FV-41
		_, err := ParseMeta([]byte{Version, byte(typ), 8, 0, 0, 0, 0, 0, 0, 0, 0})
		if ok := typ == 1 || typ >= 128; ok != (err == nil) {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}

// FV-41: reading stays cheap, whatever a header holds.
func TestAMetaHeaderHasABoundedNumberOfKeys(t *testing.T) {
	var m Meta
	for i := range maxMetaKeys + 1 {
		m.Keys = append(m.Keys, KeyID(slices.Repeat([]byte{byte(i)}, KeyIDSize)))
	}
	if _, err := ParseMeta(m.Append(nil)); !errors.Is(err, ErrMeta) {
		t.Errorf("%d keys: %v", len(m.Keys), err)
	}
	m.Keys = m.Keys[1:]
	if got, err := ParseMeta(m.Append(nil)); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%d keys: %v", len(m.Keys), err)
	}
	if _, err := ParseMeta([]byte("\x01" + strings.Repeat("\x80\x00", 1000))); err != nil {
		t.Errorf("items to skip: %v", err)
	}
}
