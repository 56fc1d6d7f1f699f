package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

var _ kms.ReEncrypter = kms.Mux{}

// recorder remembers what it was called with, and answers with its name.
type recorder struct {
	name string
	kek  string
	ec   kms.EncryptionContext
	err  error
}

func (r *recorder) Generate(_ context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	r.kek, r.ec = kek, ec
	if r.err != nil {
		return nil, nil, r.err
	}
	return []byte(r.name), []byte("wrapped " + r.name), nil
}

func (r *recorder) Unwrap(_ context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	r.kek, r.ec = kek, ec
	return append([]byte(r.name+" "), wrapped...), r.err
}

func TestMuxCallsTheProviderOfTheScheme(t *testing.T) {
	a, b := &recorder{name: "a"}, &recorder{name: "b"}
	m := kms.Mux{"a": a, "b-c": b}
	ec := kms.EncryptionContext{"k": "v"}

	plain, wrapped, err := m.Generate(t.Context(), "a:x:y", ec)
	if err != nil || string(plain) != "a" || string(wrapped) != "wrapped a" {
		t.Errorf("Generate = %q, %q, %v", plain, wrapped, err)
	}
	if a.kek != "a:x:y" || a.ec["k"] != "v" {
		t.Errorf("the provider got %q, %v: it needs the whole URI and the context", a.kek, a.ec)
	}
	got, err := m.Unwrap(t.Context(), "b-c:", []byte("w"), ec)
	if err != nil || string(got) != "b w" || b.kek != "b-c:" {
		t.Errorf("Unwrap = %q, %v, with KEK %q", got, err, b.kek)
	}
}

func TestMuxHandsTheProvidersErrorOn(t *testing.T) {
	m := kms.Mux{"a": &recorder{err: kms.ErrThrottled}}
	if _, _, err := m.Generate(t.Context(), "a:x", nil); !errors.Is(err, kms.ErrThrottled) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := m.Unwrap(t.Context(), "a:x", nil, nil); !errors.Is(err, kms.ErrThrottled) {
		t.Errorf("Unwrap: %v", err)
	}
}

func TestMuxRefusesWhatItHasNoProviderFor(t *testing.T) {
	m := kms.Mux{"local": &recorder{}, "aws-kms": &recorder{}, "off": nil}
	tests := []struct {
		name, kek, says string
	}{
		{name: "a URI without a scheme", kek: "alias/customer-pii", says: "without a scheme"},
		{name: "an empty URI", kek: "", says: "without a scheme"},
		{name: "an empty scheme", kek: ":x", says: `scheme ""`},
		{name: "an unknown scheme, and says what there is", kek: "gcp-kms:x", says: `scheme "gcp-kms", this program has ["aws-kms" "local" "off"]`},
		{name: "a scheme whose provider is nil", kek: "off:x", says: `scheme "off"`},
		{name: "a scheme in other letters: they are compared byte by byte", kek: "LOCAL:x", says: `scheme "LOCAL"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, errG := m.Generate(t.Context(), tt.kek, nil)
			_, errU := m.Unwrap(t.Context(), tt.kek, nil, nil)
			for op, err := range map[string]error{"Generate": errG, "Unwrap": errU} {
				if !errors.Is(err, kms.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: err = %v, want ErrInvalid that says %s", op, err, tt.says)
				}
			}
		})
	}
	var none kms.Mux
	if _, _, err := none.Generate(t.Context(), "a:x", nil); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("nil Mux: %v", err)
	}
}

func TestMuxReEncryptsWithinOneProvider(t *testing.T) {
	local := localkms.NewInMemory()
	m := kms.Mux{"local": local, "other": local, "a": &recorder{}}
	ec := kms.EncryptionContext{"k": "v"}
	plain, wrapped, err := m.Generate(t.Context(), "local:one", ec)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Generate(t.Context(), "local:two", ec); err != nil {
		t.Fatal(err)
	}
	moved, err := m.ReEncrypt(t.Context(), "local:one", "local:two", wrapped, ec)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Unwrap(t.Context(), "local:two", moved, ec); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the moved key does not open under its new KEK: %v", err)
	}
	if _, err := m.Unwrap(t.Context(), "local:one", moved, ec); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("the moved key under its old KEK: %v", err)
	}
	for _, c := range []struct{ name, from, to string }{
		{"two schemes are refused", "local:one", "other:two"},
		{"a provider without re-encryption is refused", "a:one", "a:two"},
		{"an unknown scheme is refused", "z:one", "z:two"},
		{"a KEK without a scheme is refused", "one", "two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := m.ReEncrypt(t.Context(), c.from, c.to, wrapped, ec); !errors.Is(err, kms.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMuxPassesTheConformanceSuite(t *testing.T) {
	kmstest.Run(t, func(*testing.T) (w kms.Wrapper, kek, otherKEK string) {
		// The other KEK lives at another provider.
		return kms.Mux{"a": kmstest.NewFake("a:1"), "b": kmstest.NewFake("b:1")}, "a:1", "b:1"
	})
}

func ExampleMux() {
	// A program lists the providers that it is built with.
	wrapper := kms.Mux{"local": localkms.NewInMemory()}

	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := wrapper.Generate(context.Background(), "local:pii", ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clear(plain)
	fmt.Println(len(plain), len(wrapped))

	_, _, err = wrapper.Generate(context.Background(), "gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k", ec)
	fmt.Println(err)
	// Output:
	// 32 81
	// kms: no provider for scheme "gcp-kms", this program has ["local"]: invalid KMS request
}
