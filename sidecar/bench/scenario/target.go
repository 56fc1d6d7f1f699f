package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/load"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// SurfaceProduce is a program that produces with kgo and kgocrypt.
const SurfaceProduce = "produce"

// NewTrial returns what tries settings on a surface: [SurfaceProduce], or one of
// [Surfaces] with a sidecar in a process of its own; and what ends it. Of the
// parameters it takes what is measured, the surface and the cluster. Without one,
// records go to a broker in another process, which forgets them. Topics of a cluster
// are not made here: see [EnsureTopic].
func NewTrial(ctx context.Context, p Params) (trial tune.Trial, end func() error, err error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	if p.Surface == SurfaceProduce {
		return newProduceTrial(ctx, &p)
	}
	if !slices.Contains(Surfaces(), p.Surface) {
		return nil, nil, fmt.Errorf("scenario: %w", errSurface)
	}
	if p.Surface == SurfaceJSON && !IsJSON(p.Set) {
		return nil, nil, fmt.Errorf("scenario: %w", errNotJSON)
	}
	if _, err := checked(ctx, &p); err != nil {
		return nil, nil, err
	}
	t := &sidecarTrial{p: p}
	if t.broker, err = start(roleBroker, orderOf(p.Set)); err != nil {
		return nil, nil, err
	}
	return t.run, t.close, nil
}

func newProduceTrial(ctx context.Context, p *Params) (trial tune.Trial, end func() error, err error) {
	r, err := newRig(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	end = r.close
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	t := &ProduceTrial{Engine: r.engine, Topic: p.Set.Topic}
	for i := range r.records {
		t.Records = append(t.Records, toKafka(r.records[i]))
	}
	if p.Kafka != nil {
		t.Client, err = kafka.Options(p.Kafka)
	} else {
		var b *Broker
		if b, err = StartBroker(p.Set.Topic); err == nil {
			t.Client = []kgo.Opt{kgo.SeedBrokers(b.Addrs()...)}
			end = func() error { return errors.Join(b.Close(), r.close()) }
		}
	}
	if err != nil {
		return nil, nil, err
	}
	trial, err = t.Trial()
	return trial, end, err
}

// A sidecarTrial tries settings on the sidecar. Those of its client of Kafka need a
// sidecar of their own; the last two are kept, since trials come in pairs.
type sidecarTrial struct {
	p      Params
	broker *part
	kept   []*trialSidecar // the last used comes last
}

// A trialSidecar is a sidecar with the settings of its client of Kafka.
type trialSidecar struct {
	settings tune.Settings
	*part
	dir *folder
}

// mostUnderWay is more records than the settings of a search have under way.
const mostUnderWay = 1_000_000

// keptSidecars is how many sidecars run at a time.
const keptSidecars = 2

func (t *sidecarTrial) close() error {
	var all error
	for _, s := range t.kept {
		all = errors.Join(all, s.end())
	}
	t.kept = nil
	return errors.Join(all, t.broker.close())
}

func (s *trialSidecar) end() error { return errors.Join(s.close(), s.dir.remove()) }

// sidecar returns one with these settings.
func (t *sidecarTrial) sidecar(ctx context.Context, s tune.Settings) (_ *trialSidecar, err error) {
	s.Concurrency, s.BatchRecords = 0, 0 // those are the caller's
	if at := slices.IndexFunc(t.kept, func(k *trialSidecar) bool { return k.settings == s }); at >= 0 {
		k := t.kept[at]
		t.kept = append(slices.Delete(t.kept, at, at+1), k)
		return k, nil
	}
	if len(t.kept) == keptSidecars {
		err := t.kept[0].end()
		t.kept = slices.Delete(t.kept, 0, 1)
		if err != nil {
			return nil, err
		}
	}
	p := t.p
	p.Linger, p.Compression, p.BatchBytes = s.Linger, s.Compression, s.BatchBytes
	dir, err := newFolder()
	if err != nil {
		return nil, err
	}
	config, err := writeConfig(ctx, dir.path, &p, t.broker.addrs, s.MaxBuffered, mostUnderWay)
	if err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	process, err := start(roleSidecar, order{Config: config, Latency: p.KMSLatency})
	if err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	k := &trialSidecar{s, process, dir}
	t.kept = append(t.kept, k)
	return k, nil
}

// run is a [tune.Trial].
func (t *sidecarTrial) run(ctx context.Context, s tune.Settings, d time.Duration, rate float64) (out tune.Sample, err error) {
	k, err := t.sidecar(ctx, s)
	if err != nil {
		return out, err
	}
	p := t.p
	p.Concurrency, p.Batch = s.Concurrency, s.BatchRecords
	c, err := newClient(&p, k.addrs, t.broker.addrs["schema"], true)
	if err != nil {
		return out, err
	}
	defer c.Close()
	if _, err := c.Run(ctx, min(warmUp, d/4)); errors.Is(err, errAnswer) {
		return tune.Sample{Errors: 1}, nil // more than it takes at a time, say
	} else if err != nil {
		return out, err
	}
	send, burst, end := c.Open()
	defer end()
	cpu, begin := cpuOf(k.cmd.Process.Pid), time.Now()
	var r *load.Result
	if rate > 0 {
		r, err = load.Open{Rate: rate, Burst: burst, For: d, Grace: patience}.Run(ctx, send)
	} else {
		r, err = load.Window{Bursts: max(1, s.Concurrency), Burst: burst, For: d}.Run(ctx, send)
	}
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if r != nil && r.Failed > 0 || errors.Is(err, errAnswer) {
		return tune.Sample{Errors: max(1, r.Failed)}, nil
	}
	if err != nil {
		return out, err
	}
	took := time.Since(begin)
	return tune.Sample{
		Rate: r.Rate(), Errors: r.Failed, CPU: (cpuOf(k.cmd.Process.Pid) - cpu).Seconds() / took.Seconds(),
		P50: r.Latency.Quantile(0.5).Seconds(), P99: r.Latency.Quantile(0.99).Seconds(), P999: r.Latency.Quantile(0.999).Seconds(),
	}, nil
}

// TrialSurfaces are those that NewTrial knows.
func TrialSurfaces() []string { return append([]string{SurfaceProduce}, Surfaces()...) }

// Ladders returns the settings that make a difference to a surface.
func Ladders(surface string) *tune.Ladders {
	l := tune.DefaultLadders()
	if surface == SurfaceUnary || surface == SurfaceRaw {
		l.BatchRecords = nil // there is one
	}
	if strings.HasPrefix(surface, "rest-") {
		// Each is a connection.
		l.Concurrency = slices.DeleteFunc(l.Concurrency, func(n int) bool { return n > 256 })
	}
	return &l
}
