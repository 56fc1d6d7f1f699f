package main

import (
	"context"
	"errors"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/load"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

// added compares how long batches of a stream wait for their answers, with
// protection and without, at half of the load that the server with protection
// takes. A batch waits from when it was due, so a client that is held up counts.
func added(ctx context.Context, s *state) (err error) {
	set, err := input.Builtin("order-avro")
	if err != nil {
		return err
	}
	p := s.withProcesses(set)
	p.Surface = scenario.SurfaceStream
	broker, err := scenario.StartBrokerWith(set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	var clients [2]scenario.Client // without protection and with it
	for i, protect := range []bool{false, true} {
		server, err := startServer(serverOrder{Brokers: broker.Addrs(), Registry: broker.Registry(), Policy: string(set.Policy), Protect: protect})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.close()) }() //nolint:revive,gocritic // there are two
		if clients[i], err = scenario.NewStream(p, server.addr, broker.SchemaID()); err != nil {
			return err
		}
		defer clients[i].Close()                                //nolint:revive,gocritic // as above
		if _, err := clients[i].Run(ctx, p.Slice); err != nil { // to warm up
			return err
		}
	}
	begin := time.Now()
	n, err := clients[1].Run(ctx, 4*p.Slice)
	if err != nil {
		return err
	}
	half := float64(n) / time.Since(begin).Seconds() / 2
	var tails []float64
	for range p.Rounds {
		var at [2]*load.Histogram
		for i, c := range clients {
			send, burst, end := c.Open()
			r, err := load.Open{Rate: half, Burst: burst, For: 5 * p.Slice, Warm: p.Slice / 2}.Run(ctx, send)
			end()
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if r.Err != nil {
				return r.Err
			}
			at[i] = r.Latency
		}
		tails = append(tails, ratioOf(at, 0.99))
	}
	s.goal("p99 at half load, protection on by off", "× the p99 without", 1.2, false, tails)
	return nil
}

func ratioOf(at [2]*load.Histogram, q float64) float64 {
	return float64(at[1].Quantile(q)) / float64(at[0].Quantile(q))
}
