package sidecar

import (
	"log/slog"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

func TestTheFloorOfTheHeapIsASmallPartOfALimit(t *testing.T) {
	for name, tt := range map[string]struct {
		limit int64
		set   bool
		want  int64
	}{
		"no limit":         {0, false, heapFloor},
		"a large limit":    {4 << 30, true, heapFloor},
		"a small one":      {64 << 20, true, 8 << 20},
		"a limit of zero":  {0, true, 0},
		"at the threshold": {heapFloor * floorShare, true, heapFloor},
	} {
		t.Run(name, func(t *testing.T) {
			if got := floorFor(tt.limit, tt.set); got != tt.want {
				t.Errorf("%d", got)
			}
		})
	}
}

func TestWhoeverTunesTheCollectorGetsNoFloor(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "off")
			// With zero percent, the limit of this process stays as it is.
			if floor := tuneMemory(slog.New(slog.DiscardHandler), &config.Config{}); floor != nil {
				t.Errorf("%d bytes", len(floor))
			}
		})
	}
}
