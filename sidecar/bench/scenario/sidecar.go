package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/load"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// The surfaces of the sidecar.
const (
	SurfaceStream = "grpc-stream"
	SurfaceUnary  = "grpc-unary"
	SurfaceBinary = "rest-binary"
	SurfaceRaw    = "rest-raw"
	SurfaceJSON   = "rest-json"
)

// Surfaces returns all of them.
func Surfaces() []string {
	return []string{SurfaceStream, SurfaceUnary, SurfaceBinary, SurfaceRaw, SurfaceJSON}
}

var errSurface = errors.New("the surface must be one of " + strings.Join(Surfaces(), ", "))

// errNotJSON is the refusal of a surface that takes documents.
var errNotJSON = errors.New("rest-json takes JSON documents, and the records are not JSON")

// Sidecar measures the sidecar as "fieldveil serve" runs it: client, sidecar and
// broker are processes of their own. Beside it, in the same rounds, stands a server
// of the same library that gives back what it gets.
func Sidecar(ctx context.Context, p Params) (_ *report.Case, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if !slices.Contains(Surfaces(), p.Surface) {
		return nil, fmt.Errorf("scenario: %w", errSurface)
	}
	if p.Surface == SurfaceJSON && !IsJSON(p.Set) {
		return nil, fmt.Errorf("scenario: %w", errNotJSON)
	}
	size, err := checked(ctx, &p)
	if err != nil {
		return nil, err
	}
	w, err := newSidecarWorld(ctx, &p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	c := &report.Case{Scenario: NameSidecar, Settings: p.settings("surface", p.Surface), Yardstick: yardstickOf(p.Surface), Allocs: -1, Size: size}
	if err := w.compare(ctx, c, &p); err != nil {
		return nil, err
	}
	if len(p.Rates) > 0 {
		send, burst, end := w.ours.Open()
		err := curve(ctx, c, &p, send, burst)
		end()
		if err != nil {
			return nil, err
		}
	}
	p.progress(1)
	return c, nil
}

// checked protects each record once in this process: what policy and schema refuse
// is told better here than by a client of the sidecar.
func checked(ctx context.Context, p *Params) (_ *report.Size, err error) {
	r, err := newRig(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return sizes(ctx, r, p)
}

func yardstickOf(surface string) string {
	switch surface {
	case SurfaceStream, SurfaceUnary:
		return "a gRPC server that reads and writes the same messages"
	case SurfaceJSON:
		return "an HTTP server that reads and writes the same documents with encoding/json"
	default:
		return "an HTTP server that gives back the same bytes"
	}
}

// A sidecarWorld is the processes of a measurement of the sidecar.
type sidecarWorld struct {
	dir                   string
	broker, echo, sidecar *part
	ours, floor           Client
}

// A Client is a load with connections of its own.
type Client interface {
	// Run keeps the server busy for a time and returns how many records were
	// acknowledged.
	Run(ctx context.Context, d time.Duration) (records int, err error)
	// Open returns what sends bursts of so many records in an open loop, and its end.
	Open() (send load.Send, burst int, end func())
	// Close ends its connections.
	Close()
}

func newSidecarWorld(ctx context.Context, p *Params) (_ *sidecarWorld, err error) {
	w := new(sidecarWorld)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "fieldveil-bench"); err != nil {
		return nil, err
	}
	s := p.Set
	if w.broker, err = start(roleBroker, orderOf(s)); err != nil {
		return nil, err
	}
	if w.echo, err = start(roleEcho, order{}); err != nil {
		return nil, err
	}
	config, err := writeConfig(ctx, w.dir, p, w.broker.addrs, 0, 0)
	if err != nil {
		return nil, err
	}
	if w.sidecar, err = start(roleSidecar, order{Config: config, Latency: p.KMSLatency}); err != nil {
		return nil, err
	}
	if w.ours, err = newClient(p, w.sidecar.addrs, w.broker.addrs["schema"], true); err != nil {
		return nil, err
	}
	w.floor, err = newClient(p, w.echo.addrs, w.broker.addrs["schema"], false)
	return w, err
}

func (w *sidecarWorld) close() error {
	for _, c := range []Client{w.ours, w.floor} {
		if c != nil {
			c.Close()
		}
	}
	var all error
	for _, p := range []*part{w.sidecar, w.echo, w.broker} {
		if p != nil {
			all = errors.Join(all, p.close())
		}
	}
	if w.dir != "" {
		all = errors.Join(all, os.RemoveAll(w.dir))
	}
	return all
}

// compare fills in rates, ratios and what they cost.
func (w *sidecarWorld) compare(ctx context.Context, c *report.Case, p *Params) error {
	rounds, slice := p.inProcesses()
	pids := map[string]int{"client": os.Getpid(), "sidecar": w.sidecar.cmd.Process.Pid, "broker": w.broker.cmd.Process.Pid}
	used := make(map[string]time.Duration)
	var rates, floors, ratios []float64
	total := int64(0)
	var calls int64
	for round := range rounds + 1 { // the first to warm up
		begin := time.Now()
		n, err := w.floor.Run(ctx, slice)
		if err != nil {
			return err
		}
		floor := float64(n) / time.Since(begin).Seconds()
		if round == 1 {
			if calls, err = w.sidecar.calls(); err != nil {
				return err
			}
		}
		before := make(map[string]time.Duration)
		for name, pid := range pids {
			before[name] = cpuOf(pid)
		}
		begin = time.Now()
		if n, err = w.ours.Run(ctx, slice); err != nil {
			return err
		}
		rate := float64(n) / time.Since(begin).Seconds()
		if round > 0 {
			for name, pid := range pids {
				used[name] += cpuOf(pid) - before[name]
			}
			total += int64(n)
			rates, floors, ratios = append(rates, rate), append(floors, floor), append(ratios, rate/floor)
		}
		p.progress(0.6 * float64(round+1) / float64(rounds+1))
	}
	after, err := w.sidecar.calls()
	if err != nil {
		return err
	}
	c.KMSCalls = after - calls
	c.Rate = report.NewSeries(rates)
	f, r := report.NewSeries(floors), report.NewSeries(ratios)
	c.Floor, c.Ratio = &f, &r
	for _, name := range []string{"client", "sidecar", "broker"} {
		c.Processes = append(c.Processes, report.Process{Name: name, CPU: perRecord(used[name], total), RSS: rssOf(pids[name])})
	}
	if !p.Split {
		return nil
	}
	var n int
	var wall time.Duration
	times, err := w.sidecar.profiled(func() error {
		begin := time.Now()
		var err error
		n, err = w.ours.Run(ctx, max(slice, time.Second))
		wall = time.Since(begin)
		return err
	})
	if err != nil {
		return err
	}
	c.Split = withWaiting(shares(times, n), wall, int64(n))
	return nil
}
