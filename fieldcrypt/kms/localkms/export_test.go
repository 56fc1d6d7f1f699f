package localkms

import (
	"bytes"
	"os"
	"testing"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// InMemoryWithKey returns a KMS in memory with one KEK of a known key.
func InMemoryWithKey(t *testing.T, path string, key []byte) *KMS {
	t.Helper()
	v, err := newVersion(secret.Take(bytes.Clone(key)))
	if err != nil {
		t.Fatal(err)
	}
	return &KMS{source: &memory{keks: map[string]*version{path: v}}}
}

// ParseContent reads a KEK file and writes it again.
func ParseContent(data []byte) ([]byte, error) {
	entries, err := parseContent(data)
	if err != nil {
		return nil, err
	}
	return appendContent(nil, entries), nil
}

// ContentOf returns a KEK file with n new versions.
func ContentOf(t *testing.T, n int) []byte {
	t.Helper()
	var entries []entry
	for range n {
		e, err := newEntry()
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return appendContent(nil, entries)
}

// Private is the check of a new file's mode.
func Private(f *os.File) error { return private(f) }
