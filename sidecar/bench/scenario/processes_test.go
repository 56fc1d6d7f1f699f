package scenario_test

import (
	"context"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

func TestProduceMeasuresBesideRecordsProtectedBeforehand(t *testing.T) {
	c, err := scenario.Produce(t.Context(), scenario.Params{
		Set: set(t, "order-avro"), Rounds: 2, Slice: 100 * time.Millisecond, Split: true, Rates: []float64{0.3, 0.5}, Hold: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v\n%+v\n%+v\n%+v", c, c.Ratio, c.Split, c.Latency, c.Processes)
	if c.Rate.Median <= 0 || c.Ratio == nil || len(c.Ratio.Samples) != 2 || len(c.Curve) != 2 || c.Latency == nil || c.Latency.Count == 0 || c.Latency.P50 == nil || len(c.Latency.P50.Samples) < 6 {
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

func TestAScenarioThatCannotBeSetUpLeavesNothingBehind(t *testing.T) {
	bad := set(t, "order-avro")
	bad.Policy = []byte("version: 1\nkeys: {pii: {kek: \"local:bench\"}}\nrules: [{tag: OTHER, action: encrypt, key: pii}]\ntopics: [{match: orders}]\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, run := range map[string]func() error{
		"a policy that governs no tag, produce": func() error {
			_, err := scenario.Produce(t.Context(), scenario.Params{Set: bad})
			return err
		},
		"a policy that governs no tag, sidecar": func() error {
			_, err := scenario.Sidecar(t.Context(), scenario.Params{Set: bad, Surface: scenario.SurfaceStream, Rounds: 1, Slice: time.Millisecond})
			return err
		},
		"a context that is over": func() error {
			_, err := scenario.Produce(ctx, scenario.Params{Set: set(t, "order-avro"), Rounds: 1, Slice: time.Millisecond})
			return err
		},
		"a surface that is none": func() error {
			_, err := scenario.Sidecar(t.Context(), scenario.Params{Set: set(t, "order-avro"), Surface: "smoke"})
			return err
		},
		"documents from records that are none": func() error {
			_, err := scenario.Sidecar(t.Context(), scenario.Params{Set: set(t, "order-avro"), Surface: scenario.SurfaceJSON})
			return err
		},
		"a codec that is none": func() error {
			_, err := scenario.Library(t.Context(), scenario.Params{Set: set(t, "order-avro"), Compression: "rar"})
			return err
		},
		"no records": func() error {
			_, err := scenario.Library(t.Context(), scenario.Params{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(); err == nil {
				t.Error("it runs")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestKeysAndHeadersOfRecordsReachTheSidecarByEverySurface(t *testing.T) {
	for _, surface := range scenario.Surfaces() {
		t.Run(surface, func(t *testing.T) {
			name := "order-avro"
			if surface == scenario.SurfaceJSON {
				name = "order-json"
			}
			s := set(t, name)
			// A record without the header is refused, so nothing is measured if it is lost.
			s.Policy = append([]byte("tenant: {from: \"header:tenant\", required: true}\n"), s.Policy...)
			for i := range s.Records {
				s.Records[i].Key = []byte("key-1")
				s.Records[i].Headers = []fieldcrypt.Header{{Key: "tenant", Value: []byte("acme")}}
			}
			p := scenario.Params{Set: s, Surface: surface, Rounds: 1, Slice: 50 * time.Millisecond}
			if c, err := scenario.Sidecar(t.Context(), p); err != nil || c.Rate.Median <= 0 {
				t.Fatalf("%+v, %v", c, err)
			}
			for i := range s.Records {
				s.Records[i].Headers = nil
			}
			if _, err := scenario.Sidecar(t.Context(), p); err == nil {
				t.Error("records without the header are taken")
			}
		})
	}
}
