package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// one returns a report of one plan whose ratio and floor are given, with the little
// spread that a quiet machine has.
func one(name string, ratio, floor float64) *report.Report {
	series := func(v float64) *report.Series {
		var rounds []float64
		for i := range 60 {
			rounds = append(rounds, v*(1+0.001*float64(i%7)))
		}
		s := report.NewSeries(rounds)
		return &s
	}
	return &report.Report{
		Version: report.Version, Title: "t", Machine: report.Machine{GoVersion: "go1.26", CPU: "c", CPUs: 2},
		Input: report.Input{Name: "i", Format: "avro"},
		Cases: []report.Case{{Name: name, Scenario: "plan", Rate: *series(1e9 / ratio / floor), Cost: series(ratio * floor), Floor: series(floor), Ratio: series(ratio), Yardstick: "y"}},
	}
}

func TestTheGateJudgesWhatComparesAndNothingElse(t *testing.T) {
	old := one("plan/a", 1.8, 500)
	for _, c := range []struct {
		name    string
		now     *report.Report
		worse   []string
		strange []string
	}{
		{"the same", one("plan/a", 1.8, 500), nil, nil},
		{"a little worse", one("plan/a", 1.9, 500), nil, nil},
		{"better", one("plan/a", 1.2, 500), nil, nil},
		{"a fifth worse", one("plan/a", 2.16, 500), []string{"plan/a"}, nil},
		{"a fifth worse beside a slow floor", one("plan/a", 2.16, 560), nil, []string{"plan/a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &state{options: options{allow: 10}, report: c.now}
			worse, strange := s.worse(old)
			var names []string
			for name := range worse {
				names = append(names, name)
			}
			if !slices.Equal(names, c.worse) || !slices.Equal(strange, c.strange) {
				t.Errorf("worse %q, not judged %q", names, strange)
			}
		})
	}
}

func TestTheGateRefusesACaseThatIsGone(t *testing.T) {
	s := &state{options: options{allow: 10}, report: one("plan/renamed", 1.8, 500), say: t.Logf}
	var out bytes.Buffer
	if err := s.gate(t.Context(), &out, one("plan/a", 1.8, 500), nil); !errors.Is(err, errGone) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestTheGateFailsWhereARatioStaysWorse(t *testing.T) {
	s := &state{options: options{allow: 10}, report: one("plan/a", 2.4, 500), say: t.Logf}
	tries := 0
	again := group{"library", func(_ context.Context, s *state) error {
		tries++
		s.report.Cases = one("plan/a", 2.4, 500).Cases
		return nil
	}}
	var out bytes.Buffer
	err := s.gate(t.Context(), &out, one("plan/a", 1.8, 500), []group{again})
	if !errors.Is(err, errWorse) || tries != attempts-1 {
		t.Errorf("%v after %d tries\n%s", err, tries, out.String())
	}
}
