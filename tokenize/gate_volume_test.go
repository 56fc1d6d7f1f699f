package tokenize

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

func TestNamesOfCallersAreBounded(t *testing.T) {
	v := newVolume(10, time.Hour)
	now := time.Now()
	for i := range maxCallers {
		if err := v.take(strconv.Itoa(i), 1, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.take("one more", 1, now); !errors.Is(err, ErrLimit) {
		t.Errorf("one more caller than there is room for: %v", err)
	}
	if err := v.take("7", 1, now); err != nil {
		t.Errorf("a caller who is known: %v", err)
	}
	// The buckets of all but one are full again, and they are as if never seen.
	now = now.Add(6 * time.Minute)
	if err := v.take("one more", 1, now); err != nil || len(v.callers) != 2 {
		t.Errorf("later: %v, %d callers", err, len(v.callers))
	}
}
