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

func TestSettingsThatASidecarRefusesAreSettingsWithErrors(t *testing.T) {
	for _, surface := range []string{scenario.SurfaceBinary, scenario.SurfaceStream} {
		t.Run(surface, func(t *testing.T) {
			trial, end, err := scenario.NewTrial(t.Context(), scenario.Params{Set: set(t, "order-avro"), Surface: surface})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = end() }()
			s := tune.Defaults()
			s.Concurrency, s.BatchRecords = 2, 60_000 // 36 MiB, more than a request or a message may have
			got, err := trial(t.Context(), s, 50*time.Millisecond, 0)
			if err != nil || got.Errors == 0 {
				t.Errorf("%+v, %v", got, err)
			}
			s.BatchRecords = 10
			if got, err = trial(t.Context(), s, 50*time.Millisecond, 0); err != nil || got.Errors != 0 || got.Rate <= 0 {
				t.Errorf("afterwards: %+v, %v", got, err)
			}
		})
	}
}
