package scenario_test

import (
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

func TestProduceMeasuresBesideRecordsProtectedBeforehand(t *testing.T) {
	c, err := scenario.Produce(t.Context(), scenario.Params{
		Set: set(t, "order-avro"), Rounds: 2, Slice: 100 * time.Millisecond, Split: true, Rates: []float64{0.3, 0.5}, Hold: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v\n%+v\n%+v\n%+v", c, c.Ratio, c.Split, c.Latency, c.Processes)
	if c.Rate.Median <= 0 || c.Ratio == nil || len(c.Ratio.Samples) != 2 || len(c.Curve) != 2 || c.Latency == nil || c.Latency.Count == 0 {
		t.Errorf("figures are missing: %+v", c)
	}
}

func TestSidecarIsMeasuredByEverySurface(t *testing.T) {
	for _, surface := range scenario.Surfaces() {
		t.Run(surface, func(t *testing.T) {
			name := "order-avro"
			if surface == scenario.SurfaceJSON {
				name = "order-json"
			}
			c, err := scenario.Sidecar(t.Context(), scenario.Params{
				Set: set(t, name), Surface: surface, Rounds: 2, Slice: 100 * time.Millisecond, Split: surface == scenario.SurfaceStream,
				Rates: []float64{0.4}, Hold: 200 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v %+v\n%+v\n%+v\n%+v", c, c.Ratio, c.Split, c.Latency, c.Processes)
			if c.Rate.Median <= 0 || c.Ratio == nil || len(c.Ratio.Samples) != 2 || c.Latency == nil || c.Latency.Count == 0 || len(c.Processes) != 3 {
				t.Errorf("figures are missing: %+v", c)
			}
		})
	}
}
