package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// latency compares how long batches of a stream wait for their answers, with
// protection and without, at half of the load that the server with protection
// takes. A batch waits from when it was due, so a client that is held up counts.
func latency(w io.Writer, o options, where order) (err error) {
	var sides [2]*stream
	for i, role := range []string{roleUnsafe, roleBare} {
		p, err := start(role, where)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }() //nolint:revive,gocritic // there are two
		l, err := openStream(p.addrs["grpc"], true)
		if err != nil {
			return err
		}
		defer l.close()                           //nolint:revive,gocritic // as above
		if _, err := l.run(o.slice); err != nil { // to warm up
			return err
		}
		sides[i] = l
	}
	begin := time.Now()
	n, err := sides[1].run(4 * o.slice)
	if err != nil {
		return err
	}
	pause := 2 * time.Since(begin) / time.Duration(n/batchSize)
	var at [2][2][]time.Duration // by side: the median and the p99 of each round
	var ratios []float64
	for turn := range o.rounds {
		for i := range sides {
			i = (i + turn) % len(sides) // neither is always the first
			s := sides[i]
			var all []time.Duration
			if _, err := s.exchange(2*o.slice, pause, func(d time.Duration) { all = append(all, d) }); err != nil {
				return err
			}
			at[i][0] = append(at[i][0], quantile(all, 0.5))
			at[i][1] = append(at[i][1], quantile(all, 0.99))
		}
		last := turn
		ratios = append(ratios, float64(at[1][1][last])/float64(at[0][1][last]))
	}
	_, err = fmt.Fprintf(w, "\nlatency of a batch of %d at half load, %.0f records/s, one stream:\n"+
		"without protection: median %v, p99 %v; with it: median %v, p99 %v\np99 with by without: %.2f (%.2f-%.2f), goal 1.2\n",
		batchSize, batchSize/pause.Seconds(),
		round(quantile(at[0][0], 0.5)), round(quantile(at[0][1], 0.5)), round(quantile(at[1][0], 0.5)), round(quantile(at[1][1], 0.5)),
		quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75))
	return err
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
