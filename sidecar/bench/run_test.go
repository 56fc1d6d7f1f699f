package bench_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

func TestMain(m *testing.M) {
	if scenario.IsPart() {
		os.Exit(scenario.Play())
	}
	os.Exit(m.Run())
}

func sets(t *testing.T, names ...string) []*input.Set {
	t.Helper()
	var out []*input.Set
	for _, n := range names {
		s, err := input.Builtin(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestACellHasTheSameNameInEveryRunAndNoOtherHasIt(t *testing.T) {
	o := bench.Options{
		Sets: sets(t, "order-avro", "clickstream"), Scenarios: []string{"library", "reveal", "tokenize"}, Rounds: 1, Slice: time.Microsecond,
		Matrix: bench.Matrix{Concurrency: []int{1, 2}, KMSLatency: []time.Duration{0, time.Millisecond}, Linger: []time.Duration{0, time.Second}},
	}
	names := func() []string {
		r, err := bench.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range r.Cases {
			out = append(out, c.Name)
		}
		return out
	}
	first := names()
	if again := names(); !slices.Equal(first, again) {
		t.Errorf("%q, then %q", first, again)
	}
	// Two scenarios with two inputs, two widths and two latencies; lingering is
	// nothing to a library. And one case for each action.
	if n := 2 * 2 * 2 * 2; len(first) <= n || !strings.HasPrefix(first[n], "tokenize/") {
		t.Errorf("%d cases: %q", len(first), first)
	}
	if sorted := slices.Sorted(slices.Values(first)); len(slices.Compact(sorted)) != len(first) {
		t.Errorf("a name occurs twice: %q", first)
	}
}

func TestARunSaysHowFarItIs(t *testing.T) {
	var seen []bench.Progress
	_, err := bench.Run(t.Context(), bench.Options{
		Sets: sets(t, "order-avro"), Scenarios: []string{"library", "reveal"}, Rounds: 1, Slice: time.Microsecond,
		Progress: func(p bench.Progress) { seen = append(seen, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(seen); i++ {
		a, b := seen[i-1], seen[i]
		if float64(b.Cell)+b.Part < float64(a.Cell)+a.Part {
			t.Errorf("%+v after %+v", b, a)
		}
	}
	if last := seen[len(seen)-1]; last.Cell != 2 || last.Cells != 2 || last.Part != 1 {
		t.Errorf("the last is %+v", last)
	}
}

func TestARunThatIsInterruptedHasWhatItMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := bench.Run(ctx, bench.Options{
		Sets: sets(t, "order-avro"), Scenarios: []string{"library", "produce"}, Rounds: 1, Slice: time.Microsecond,
		Progress: func(p bench.Progress) {
			if p.Cell == 2 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || r == nil || len(r.Cases) != 1 || r.Took <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatCannotBeMeasuredIsRefusedBeforeAnythingRuns(t *testing.T) {
	for name, o := range map[string]bench.Options{
		"a scenario that is none": {Sets: sets(t, "order-avro"), Scenarios: []string{"library", "nonsense"}},
		"no scenario":             {Sets: sets(t, "order-avro")},
		"no input":                {Scenarios: []string{"library"}},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := bench.Run(t.Context(), o); err == nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestAReportOfARunIsOneThatCanBeWrittenAndRead(t *testing.T) {
	measured := sets(t, "order-avro", "patient")
	measured[0].Notes, measured[1].Notes = []string{"said"}, nil
	r, err := bench.Run(t.Context(), bench.Options{
		Sets: measured, Scenarios: []string{"library", "vault"}, Rounds: 2, Slice: time.Millisecond, Split: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.WriteJSON(&text, r); err != nil {
		t.Fatal(err)
	}
	back, err := report.ReadJSON(strings.NewReader(text.String()))
	if err != nil || len(back.Cases) != len(r.Cases) {
		t.Fatalf("%+v, %v", back, err)
	}
	if len(r.Notes) != 1 || r.Notes[0] != "order-avro: said" {
		t.Errorf("notes %q", r.Notes)
	}
	if r.Machine.GoVersion == "" || r.Machine.CPUs < 1 || r.Input.Name != "2 workloads" {
		t.Errorf("%+v, %+v", r.Machine, r.Input)
	}
}
