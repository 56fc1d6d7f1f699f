package invariants_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/internal/invariants"
)

func TestMangleOverwritesExactlyWhenEnabled(t *testing.T) {
	b := []byte{1, 2, 3}
	invariants.Mangle(b)
	if changed := b[0] != 1 && b[1] != 2 && b[2] != 3; changed != invariants.Enabled {
		t.Errorf("after Mangle: %v, enabled %v", b, invariants.Enabled)
	}
}
