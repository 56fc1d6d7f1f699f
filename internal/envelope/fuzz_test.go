package envelope

import (
	"bytes"
	"errors"
	"testing"
)

// Every target has one property: what is accepted encodes back to the same
// bytes. What is refused is refused with an error of the format.

func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(sample(AES256GCM, 0))
	f.Add(sample(XAES256GCM, 7))
	f.Add(sample(AES256GCM, 0)[:49])
	f.Add(sample(AES256SIV, 0))
	f.Add(sample(AES256SIV, 3)[:37])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, aad, sealed, err := Parse(b)
		if err != nil {
			refused(t, b, ErrFormat)
			return
		}
		if again := append(AppendHeader(nil, h), sealed...); !bytes.Equal(again, b) {
			t.Errorf("%x encodes back to %x", b, again)
		}
		if !bytes.Equal(aad, b[:HeaderSize]) || cap(aad) != HeaderSize { // FV-10
			t.Errorf("%x: AAD %x with room for %d bytes", b, aad, cap(aad))
		}
		if n, ok := h.Suite.NonceSize(); !ok || len(sealed) < n+tagSize { // FV-12
			t.Errorf("%x: %d bytes behind the header", b, len(sealed))
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("fv1:"))
	f.Add([]byte("fv1:AQ"))
	f.Add([]byte("fv1:AB"))
	f.Add([]byte("fv1:AA\nAA"))
	f.Add([]byte("fv1:-_-_AA=="))
	f.Add(AppendText(nil, sample(AES256GCM, 3)))
	f.Fuzz(func(t *testing.T, text []byte) {
		agrees(t, text) // FV-16
		env, err := ParseText(nil, text)
		if err != nil {
			return
		}
		if again := AppendText(nil, env); !bytes.Equal(again, text) {
			t.Errorf("%q encodes back to %q", text, again)
		}
		if !IsText(text) {
			t.Errorf("%q is accepted and is no text", text)
		}
	})
}

func FuzzKeyBlock(f *testing.F) {
	f.Add([]byte(nil))
	b, err := block().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(append(bytes.Clone(b), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKeyBlock(b)
		if err != nil {
			refusedBlock(t, b)
			return
		}
		if again := encode(t, k); !bytes.Equal(again, b) { // FV-30
			t.Errorf("%x encodes back to %x", b, again)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x01" + policyItem))
	f.Add([]byte("\x01\x80\x02ab" + policyItem + "\xff\x00"))
	f.Add([]byte("\x01\x02\x00"))
	f.Add([]byte("\x01" + keyItem + policyItem))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMeta(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) || m.HasPolicy || m.Keys != nil {
				t.Errorf("%x: %+v, %v", b, m, err)
			}
			return
		}
		// FV-41: items of type 128 and above are skipped; all else comes back, in
		// the order of the types.
		known := []byte{b[0]}
		for _, typ := range []byte{metaPolicy, metaKeyID} {
			for rest := b[1:]; len(rest) > 0; rest = rest[2+int(rest[1]):] {
				if rest[0] == typ {
					known = append(known, rest[:2+int(rest[1])]...)
				}
			}
		}
		if again := m.Append(nil); !bytes.Equal(again, known) {
			t.Errorf("%x encodes back to %x, want %x", b, again, known)
		}
	})
}
