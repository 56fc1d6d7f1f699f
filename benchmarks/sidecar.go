package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// sidecars measures the sidecar by all of its surfaces, and the latency that
// protection adds.
func sidecars(ctx context.Context, s *state) error {
	for _, g := range []struct {
		surface, input, name string
		goal                 float64
	}{
		{scenario.SurfaceStream, "order-avro", "gRPC stream, batches of 100", 0.45},
		{scenario.SurfaceUnary, "order-avro", "gRPC unary, one record, 64 callers", 0.7},
		{scenario.SurfaceBinary, "order-avro", "REST v2 binary, batches of 100", 0.45},
		{scenario.SurfaceRaw, "order-avro", "REST raw, one record, 16 connections", 0.45},
		{scenario.SurfaceJSON, "order-json-paths", "REST v2 JSON, batches of 100", 1.5},
	} {
		set, err := workloadOf(g.input)
		if err != nil {
			return err
		}
		p := s.withProcesses(set)
		p.Surface = g.surface
		c, err := scenario.Sidecar(ctx, p)
		if err != nil {
			return err
		}
		c.Name = "sidecar-" + g.surface + "/" + g.input
		s.report.Cases = append(s.report.Cases, *c)
		unit := "of an echo's rate"
		if g.surface == scenario.SurfaceJSON {
			unit = "of an encoding/json echo's rate"
		}
		s.goal(g.name, unit, g.goal, true, c.Ratio.Samples)
	}
	return added(ctx, s)
}

// workloadOf returns a built-in workload, or the JSON order whose policy names
// paths: what clients of a REST proxy send without a schema.
func workloadOf(name string) (*input.Set, error) {
	if name != "order-json-paths" {
		return input.Builtin(name)
	}
	c := workload.JSON20()
	var policy strings.Builder
	policy.WriteString("version: 1\ndataset: bench\nkeys: {pii: {kek: \"local:bench\"}}\ntopics:\n- match: orders\n  format: json\n  fields:\n")
	for _, path := range workload.JSONPaths() {
		_, _ = fmt.Fprintf(&policy, "  - {path: %q, action: encrypt, key: pii}\n", path)
	}
	return &input.Set{
		Name: name, Topic: "orders", Policy: []byte(policy.String()), Records: []input.Record{{Value: c.Record}},
		Tagged: [][][]byte{c.Tagged}, Protected: float64(len(c.Tagged)),
	}, nil
}
