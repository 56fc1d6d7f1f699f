package scenario

import (
	"testing"
	"time"
)

func TestARateIsHeldUntilThereAreBurstsToCount(t *testing.T) {
	for name, tt := range map[string]struct {
		hold  time.Duration
		rate  float64
		burst int
		want  time.Duration
	}{
		"as long as was asked for":       {2 * time.Second, 100_000, 100, 2 * time.Second},
		"longer where bursts are rare":   {200 * time.Millisecond, 250, 100, 4 * time.Second},
		"not for ever":                   {time.Second, 0.1, 100, 30 * time.Second},
		"for ever if that was asked for": {time.Hour, 0.1, 100, time.Hour},
		"a rate of nothing":              {time.Second, 0, 1, 30 * time.Second},
	} {
		if got := holding(tt.hold, tt.rate, tt.burst); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
