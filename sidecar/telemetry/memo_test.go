package telemetry

import (
	"sync"
	"testing"
)

func TestAMemoAsksOnceForEachLabels(t *testing.T) {
	var m memo[*int]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 300 {
				l := labels{string(rune('a' + i%3)), "x", ""}
				if v, again := m.of(l, func(labels) *int { return new(int) }), m.of(l, func(labels) *int { return nil }); v != again || v == nil {
					t.Errorf("%v: another metric", l)
				}
			}
		})
	}
	wg.Wait()
	if n := len(*m.known.Load()); n != 3 {
		t.Errorf("%d labels are known", n)
	}
}
