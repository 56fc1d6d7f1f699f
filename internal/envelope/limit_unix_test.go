//go:build unix

package envelope_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// FV-15: one byte more than 2^30 is refused before anything is read. The value
// is address space without memory behind it, so reading it would crash.
func TestAValueOfMoreThanAGibibyteIsNotSealed(t *testing.T) {
	if aead.MaxPlaintext != 1<<30 {
		t.Fatalf("MaxPlaintext = %d", aead.MaxPlaintext)
	}
	huge, err := syscall.Mmap(-1, 0, aead.MaxPlaintext+1, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("no address space for a value of 1 GiB: %v", err)
	}
	defer func() {
		if err := syscall.Munmap(huge); err != nil {
			t.Error(err)
		}
	}()
	gcm, err := aead.NewGCM(secret.Take(make([]byte, aead.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	xaes, err := aead.NewXAES(secret.Take(make([]byte, aead.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]aead.AEAD{"GCM": gcm, "XAES": xaes} {
		out, err := c.Seal([]byte("kept"), huge, nil, new(aead.Nonces))
		if !errors.Is(err, aead.ErrTooLarge) || string(out) != "kept" {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
}
