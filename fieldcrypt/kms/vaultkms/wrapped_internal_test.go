package vaultkms

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestWrappedKeys(t *testing.T) {
	for _, tt := range []struct {
		wrapped string
		derived bool
	}{
		{"vault:v1:AAAA", false}, {"vault:v2147483647:AAA=", false}, {"vault:v10:+/+/", false}, {"context:vault:v3:AAAA", true},
		{"vault:v1:" + strings.Repeat("A", 252*4), false},
	} {
		s, err := parseWrapped([]byte(tt.wrapped))
		if err != nil || s.derived != tt.derived || string(s.bytes()) != tt.wrapped || !strings.HasPrefix(s.ciphertext, "vault:v") {
			t.Errorf("%.30q: %+v, %v", tt.wrapped, s, err)
		}
	}
}

// Transit reads several of these as it reads vault:v1:AAAA.
func TestOtherSpellingsOfAWrappedKeyAreCorrupt(t *testing.T) {
	for _, wrapped := range []string{
		"", "vault", "vault:v1", "vault:v1:", "vault:v:AAAA", "vault:v0:AAAA", "vault:v01:AAAA", "vault:v+1:AAAA", "vault:v-1:AAAA", "vault:v1 :AAAA",
		"vault:v2147483648:AAAA", "vault:v99999999999999999999:AAAA", "Vault:v1:AAAA", "vault:V1:AAAA", " vault:v1:AAAA", "vault:v1:AAAA ",
		"vault:v1:AAAA\n", "vault:v1:AA\nAA", "vault:v1:AA\r\nAA", "vault:v1:AAA", "vault:v1:AAB=", "vault:v1:AA==A", "vault:v1:A===", "vault:v1:____",
		"vault:v1:AAAA:AAAA", "context:context:vault:v1:AAAA", "context:", "Context:vault:v1:AAAA", `vault:v1:AA","x":"AA`,
		"vault:v1:" + strings.Repeat("A", maxWrapped),
	} {
		if s, err := parseWrapped([]byte(wrapped)); !errors.Is(err, kms.ErrCorrupt) || s != (sealed{}) {
			t.Errorf("%.40q: %+v, %v", wrapped, s, err)
		} else if len(wrapped) > 8 && strings.Contains(err.Error(), wrapped) {
			t.Errorf("the error repeats the wrapped key: %v", err)
		}
	}
}

func FuzzAWrappedKeyThatIsAcceptedIsWrittenAsItWasRead(f *testing.F) {
	for _, wrapped := range []string{"vault:v1:AAAA", "context:vault:v3:AAA=", "vault:v01:AAAA", "vault:v1:AA\nAA", `vault:v1:","a":"`} {
		f.Add([]byte(wrapped))
	}
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		s, err := parseWrapped(wrapped)
		if err != nil {
			if !errors.Is(err, kms.ErrCorrupt) || s != (sealed{}) {
				t.Fatalf("%+v, %v", s, err)
			}
			return
		}
		if !bytes.Equal(s.bytes(), wrapped) {
			t.Fatalf("%q is written as %q", wrapped, s.bytes())
		}
		// It stands in a JSON string as it is.
		if strings.ContainsFunc(s.ciphertext, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' }) {
			t.Fatalf("%q needs to be escaped", s.ciphertext)
		}
	})
}
