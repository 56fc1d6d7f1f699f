package scenario_test

import (
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
)

func TestSettingsAreTriedOnEverySurface(t *testing.T) {
	for _, surface := range scenario.TrialSurfaces() {
		t.Run(surface, func(t *testing.T) {
			name := "order-avro"
			if surface == scenario.SurfaceJSON {
				name = "order-json"
			}
			trial, end, err := scenario.NewTrial(t.Context(), scenario.Params{Set: set(t, name), Surface: surface})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := end(); err != nil {
					t.Error(err)
				}
			}()
			a, b := tune.Defaults(), tune.Defaults()
			a.Concurrency, b.Concurrency = 2, 2
			a.BatchRecords, b.BatchRecords = 20, 20
			b.Linger, b.Compression = 2*time.Millisecond, "lz4"
			for i, s := range []tune.Settings{a, b, a} {
				rate := 0.0
				if i == 2 {
					rate = 1000
				}
				got, err := trial(t.Context(), s, 150*time.Millisecond, rate)
				if err != nil {
					t.Fatal(err)
				}
				if got.Rate <= 0 || got.Errors != 0 || got.P99 <= 0 || got.P99 < got.P50 {
					t.Errorf("trial %d: %+v", i, got)
				}
			}
		})
	}
}
