package vaulttest

import (
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

func TestMemoryIsAStore(t *testing.T) {
	Run(t, func(*testing.T) tokenize.Store { return NewMemory() })
}

func TestOneMemoryServesTheWholeSuite(t *testing.T) {
	m := NewMemory()
	Run(t, func(*testing.T) tokenize.Store { return m })
}
