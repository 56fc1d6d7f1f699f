package bench

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

// A Matrix lists what is varied. Each combination is a cell; an empty list leaves
// a setting at its default.
type Matrix struct {
	Concurrency []int
	Batch       []int
	BatchBytes  []int32
	Linger      []time.Duration
	Compression []string
	KMSLatency  []time.Duration
	MaxScopes   []int
}

// A cell is one scenario with one input and one set of settings.
type cell struct {
	scenario string
	surface  string
	params   scenario.Params
}

// Scenarios are the names that [Options] knows, in the order of a report.
func Scenarios() []string {
	out := []string{scenario.NameLibrary, scenario.NameReveal, scenario.NameProduce}
	for _, s := range scenario.Surfaces() {
		out = append(out, scenario.NameSidecar+"-"+s)
	}
	return append(out, scenario.NameActions, scenario.NameVault)
}

// what says which settings make a difference to a scenario.
type uses struct{ concurrency, batch, send, kms bool }

func usesOf(name string) uses {
	switch {
	case name == scenario.NameLibrary, name == scenario.NameReveal:
		return uses{concurrency: true, kms: true}
	case name == scenario.NameProduce:
		return uses{concurrency: true, send: true, kms: true}
	case strings.HasPrefix(name, scenario.NameSidecar+"-"):
		return uses{concurrency: true, batch: true, send: true, kms: true}
	case name == scenario.NameVault:
		return uses{concurrency: true, batch: true}
	default:
		return uses{}
	}
}

// perInput tells whether a scenario measures records of an input.
func perInput(name string) bool { return name != scenario.NameActions && name != scenario.NameVault }

// cells lists the cells of a run.
func (o *Options) cells() []cell {
	var out []cell
	for _, name := range o.Scenarios {
		sets := o.Sets
		if !perInput(name) {
			sets = []*input.Set{nil}
		}
		surface, _ := strings.CutPrefix(name, scenario.NameSidecar+"-")
		for _, set := range sets {
			if surface == scenario.SurfaceJSON && !scenario.IsJSON(set) {
				continue
			}
			for _, p := range o.Matrix.params(usesOf(name)) {
				p.Set, p.Rounds, p.Slice, p.Rates, p.Hold, p.Split = set, o.Rounds, o.Slice, o.Rates, o.Hold, o.Split
				p.Kafka, p.SecretFiles = o.Kafka, o.SecretFiles
				c := cell{scenario: name, params: p}
				if surface != name {
					c.surface = surface
					c.params.Surface = surface
				}
				out = append(out, c)
			}
		}
	}
	return out
}

// params lists the combinations of what a scenario uses.
func (m *Matrix) params(u uses) []scenario.Params {
	out := []scenario.Params{{}}
	out = vary(out, u.concurrency, m.Concurrency, func(p *scenario.Params, v int) { p.Concurrency = v })
	out = vary(out, u.batch, m.Batch, func(p *scenario.Params, v int) { p.Batch = v })
	out = vary(out, u.send, m.BatchBytes, func(p *scenario.Params, v int32) { p.BatchBytes = v })
	out = vary(out, u.send, m.Linger, func(p *scenario.Params, v time.Duration) { p.Linger = v })
	out = vary(out, u.send, m.Compression, func(p *scenario.Params, v string) { p.Compression = v })
	out = vary(out, u.kms, m.KMSLatency, func(p *scenario.Params, v time.Duration) { p.KMSLatency = v })
	return vary(out, u.kms, m.MaxScopes, func(p *scenario.Params, v int) { p.MaxScopes = v })
}

func vary[T any](in []scenario.Params, used bool, values []T, set func(*scenario.Params, T)) []scenario.Params {
	if !used || len(values) == 0 {
		return in
	}
	out := make([]scenario.Params, 0, len(in)*len(values))
	for _, p := range in {
		for _, v := range values {
			set(&p, v)
			out = append(out, p)
		}
	}
	return out
}

// nameOf names a case so that the same cell has the same name in every run.
func nameOf(scenario, input string, settings map[string]string) string {
	parts := []string{scenario}
	if input != "" {
		parts = append(parts, input)
	}
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		if k != "surface" {
			parts = append(parts, k+"="+settings[k])
		}
	}
	return strings.Join(parts, "/")
}
