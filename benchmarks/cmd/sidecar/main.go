// Command sidecar measures the sidecar beside servers of the same libraries that
// give back what they get, in the same run, each in a process of its own. It
// prints ratios.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/grpclog"
)

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
		exit(play(role))
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 15, "rounds for each comparison")
	flag.DurationVar(&o.slice, "slice", 400*time.Millisecond, "time of one server in one round")
	flag.StringVar(&o.only, "only", "", "a part of the names of the rows to measure")
	flag.StringVar(&o.profile, "profile", "", "a file for a CPU profile of the sidecar; measures it alone, so name a row by -only")
	flag.IntVar(&o.linger, "linger", 0, "linger.ms of the sidecar")
	flag.Parse()
	exit(report(os.Stdout, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds  int
	slice   time.Duration
	only    string
	profile string
	linger  int
}

// A comparison is a row of the report: the sidecar beside a yardstick.
type comparison struct {
	name  string
	goal  float64
	ours  func(addrs addresses) (load, error)
	floor func(addrs addresses) (load, error)
}

func comparisons() []comparison {
	binary, docs := bodyBinary(), bodyJSON()
	const conns = 4
	post := func(path, media string, body []byte, conns, each int, look bool) func(addresses) (load, error) {
		return func(a addresses) (load, error) { return newWeb(a["rest"], path, media, body, conns, each, look) }
	}
	return []comparison{
		{
			"gRPC stream, batches of 100", 0.45,
			func(a addresses) (load, error) { return newStream(a["grpc"], true) },
			func(a addresses) (load, error) { return newStream(a["messages"], false) },
		},
		{
			"the same, beside an echo of bytes", 0,
			func(a addresses) (load, error) { return newStream(a["grpc"], true) },
			func(a addresses) (load, error) { return newStream(a["grpc"], false) },
		},
		{
			"gRPC unary, one record, 64 callers", 0.7,
			func(a addresses) (load, error) { return newUnary(a["grpc"], true) },
			func(a addresses) (load, error) { return newUnary(a["messages"], false) },
		},
		{
			"REST v2 binary, batches of 100", 0.45,
			post("/topics/"+topicAvro, "application/vnd.kafka.binary.v2+json", binary, conns, batchSize, true),
			post("/bytes", "application/octet-stream", binary, conns, batchSize, false),
		},
		{
			"REST raw, one record, 16 connections", 0.45,
			post("/topics/"+topicAvro+"/raw", "application/octet-stream", framed(), 16, 1, true),
			post("/bytes", "application/octet-stream", framed(), 16, 1, false),
		},
		{
			"REST v2 JSON, batches of 100", 1.5,
			post("/topics/"+topicJSON, "application/vnd.kafka.json.v2+json", docs, conns, batchSize, true),
			post("/json", "application/json", docs, conns, batchSize, false),
		},
	}
}

func report(w io.Writer, o options) (err error) {
	_, _ = fmt.Fprintf(w, "%s %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	_, _ = fmt.Fprintf(w, "each ratio is the median of %d rounds of %v, records per second by those of the echo in the same round\n\n", o.rounds, o.slice)
	world, err := start(roleCluster, order{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.close()) }()
	where := order{Brokers: world.addrs["brokers"], Registry: world.addrs["registry"], Profile: o.profile, Linger: o.linger}
	floor, err := start(roleEcho, order{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.close()) }()
	ours, err := start(roleSidecar, where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "work\techo records/s\tsidecar records/s\tratio\tquartiles\tgoal\techo: CPU of server, client\tsidecar: CPU of server, client, brokers, µs a record\techo by sidecar, CPU")
	for _, c := range comparisons() {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		if o.profile != "" {
			if err := c.profile(w, o, ours); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			continue
		}
		if err := c.print(t, o, ours, floor, world); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if o.profile != "" {
		return nil
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if o.only != "" && o.only != "latency" {
		return nil
	}
	return latency(w, o, where)
}

// profile measures the sidecar alone.
func (c comparison) profile(w io.Writer, o options, ours *part) error {
	l, err := c.ours(ours.addrs)
	if err != nil {
		return err
	}
	defer l.close()
	if _, err := l.run(o.slice); err != nil {
		return err
	}
	if err := ours.profile(true); err != nil {
		return err
	}
	begin := time.Now()
	n, err := l.run(time.Duration(o.rounds) * o.slice)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "%s: %.0f records/s\n", c.name, float64(n)/time.Since(begin).Seconds())
	return ours.profile(false)
}

func (c comparison) print(w io.Writer, o options, ours, floor, world *part) error {
	f, err := c.floor(floor.addrs)
	if err != nil {
		return err
	}
	defer f.close()
	l, err := c.ours(ours.addrs)
	if err != nil {
		return err
	}
	defer l.close()
	sides := []struct {
		load
		*part
	}{{f, floor}, {l, ours}}
	var (
		rates  [2][]float64
		ratios []float64
		cpu    [2]spent
		total  [2]int
	)
	for round := range o.rounds + 1 {
		var r [2]float64
		for i, side := range sides {
			before, begin := spending(side.part, world), time.Now()
			n, err := side.run(o.slice)
			if err != nil {
				return err
			}
			r[i] = float64(n) / time.Since(begin).Seconds()
			if round == 0 {
				continue // to warm up
			}
			total[i] += n
			cpu[i].add(before, spending(side.part, world))
		}
		if round > 0 {
			rates[0], rates[1] = append(rates[0], r[0]), append(rates[1], r[1])
			ratios = append(ratios, r[1]/r[0])
		}
	}
	_, err = fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.2f-%.2f\t%.2f\t%s\t%s\t%.2f\n", c.name,
		quantile(rates[0], 0.5), quantile(rates[1], 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), c.goal,
		cpu[0].text(total[0]), cpu[1].text(total[1]), cpu[0].all(total[0])/cpu[1].all(total[1]))
	return err
}

func quantile[T float64 | time.Duration](v []T, q float64) T {
	s := slices.Sorted(slices.Values(v))
	return s[int(q*float64(len(s)-1))]
}
