package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/sidecar"
	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
	"github.com/fieldveil/fieldveil/sidecar/serde"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// Options are what [Run] is given. Config is required.
type Options struct {
	// Config is the path of the configuration, Env what stands above it.
	Config string
	Env    config.Environment
	// Out takes the log, and the audit trail where that goes to standard output.
	Out io.Writer
	// Signals are those of the process: see sidecar.Options.
	Signals <-chan os.Signal
	// AllowWeakening lets reloads protect less than before.
	AllowWeakening bool
	Build          telemetry.Build
	// Listening is told the addresses of the listeners, once all are open.
	Listening func(map[string]net.Addr)
	// before is called before a record is protected. For tests.
	before func(*produce.Record)
	// KMS takes the place of the services that the KEKs name. For tests.
	KMS kms.Wrapper
}

// Run serves until it is told to end. See [sidecar.Run] for its errors.
func Run(ctx context.Context, o Options) error {
	format := Format()
	// What is needed before the frame runs is read here, and again by the frame,
	// which says what is wrong with it.
	cfg, err := format.LoadWith(o.Config, o.Env)
	if err != nil {
		return err
	}
	p := &process{opts: &o, cfg: cfg}
	if err := p.watch(ctx); err != nil {
		return err
	}
	defer p.close(ctx)
	return sidecar.Run(ctx, sidecar.Options{
		Config: o.Config, Env: o.Env, Format: format, Build: p.build, Logger: p.log, Signals: o.Signals,
		AllowWeakening: o.AllowWeakening, Services: p.services, Listen: p.listen, Metrics: p.observe.Handler(),
		Reloaded: p.reloaded, Serving: p.serving, Drain: p.drain, Audit: p.audited, Version: o.Build.Version, Listening: o.Listening,
	})
}

// A process is what lives as long as the process does. The frame calls it from
// one goroutine at a time, but for what is atomic.
type process struct {
	opts *Options
	cfg  *config.Config // of the start

	observe *telemetry.Observer
	log     *slog.Logger
	tracing *telemetry.Tracing
	trail   *audit.Log     // nil for none
	lines   *trailProducer // of the trail, if it is in Kafka

	client   *kgo.Client
	pipeline *produce.Pipeline
	base     *engine.Base
	swap     *engine.Swap
	auth     atomic.Pointer[auth.Auth]
	stopAuth context.CancelFunc // of the Auth that is in force
	health   *health
	noted    changes
	rpc      *rpc.Server
	rest     *rest.Server
	count    uint64
	ending   atomic.Bool
}

// watch opens what operators see.
func (p *process) watch(ctx context.Context) error {
	c := part[*telemetry.Config](p.cfg, keyTelemetry)
	p.observe = telemetry.NewObserver(telemetry.Options{
		Protocols: protocols(), Routes: append(rest.Routes(), rpc.Procedures()...), Codes: []string{string(codeAudit)}, Topics: c.Metrics.Topics, Build: p.opts.Build,
	})
	var err error
	p.log, err = telemetry.NewLogger(p.opts.Out, c.Log, telemetry.WithObserver(p.observe), telemetry.WithSafeErrors(safeError))
	if err != nil {
		return err
	}
	if p.tracing, err = telemetry.NewTracing(ctx, c.Traces, p.observe, p.opts.Build); err != nil {
		return fmt.Errorf("telemetry.traces: %w", err)
	}
	return nil
}

// open opens what the first generation stands on.
func (p *process) open(ctx context.Context) error {
	kc := part[*kafka.Config](p.cfg, keyKafka)
	for _, w := range kc.Warnings() {
		p.log.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.Any("finding", telemetry.SafeText("kafka: "+w)))
	}
	inner, err := kc.Partitioner()
	if err != nil {
		return namesError{fmt.Errorf("kafka: %w", err)}
	}
	opts := append([]kgo.Opt{kgo.WithHooks(p.observe.Kafka("produce"))}, produce.ClientOptions(inner, kc.MaxBytes())...)
	if p.client, err = kafka.NewClient(kc, opts...); err != nil {
		return namesError{fmt.Errorf("kafka: %w", err)}
	}
	p.observe.WatchKafka("produce", func() (records, bytes int64) {
		return p.client.BufferedProduceRecords(), p.client.BufferedProduceBytes()
	})
	p.health = &health{ping: p.client.Ping}
	if err := p.openTrail(ctx); err != nil {
		return namesError{err}
	}
	digest := p.cfg.Digest()
	if err := p.audited(ctx, "start", fmt.Sprintf("%x", digest[:8])); err != nil {
		return namesError{err}
	}
	admin, err := kafka.Options(kc)
	if err != nil {
		return namesError{fmt.Errorf("kafka: %w", err)}
	}
	deps := engine.Deps{Kafka: admin, KMS: p.opts.KMS, Observer: p.observe, Tenant: auth.TenantGuard(p.auth.Load)}
	if p.trail != nil {
		deps.Audit = audit.TokenAudit(p.trail)
		deps.Authorize = p.mayDetokenize
	}
	if p.base, err = engine.Open(ctx, engineConfig(p.cfg), deps); err != nil {
		return err
	}
	return nil
}

func (p *process) openTrail(ctx context.Context) error {
	c := *part[*audit.Config](p.cfg, keyAudit)
	if !c.Enabled() {
		return nil
	}
	c.Path = resolve(p.cfg, c.Path)
	var err error
	opts := []audit.Option{audit.WithStdout(p.opts.Out)}
	if c.To == audit.ToKafka {
		if p.lines, err = newTrailProducer(part[*kafka.Config](p.cfg, keyKafka)); err != nil {
			return err
		}
		opts = append(opts, audit.WithProducer(p.lines))
	}
	p.trail, err = audit.Open(ctx, c, opts...)
	return err
}

// start makes the surfaces, on the first engine.
func (p *process) start(e *engine.Engine) error {
	p.swap = engine.NewSwap(e)
	protect := &protector{swap: p.swap, tracing: p.tracing, log: p.log, observe: p.observe, before: p.opts.before}
	kc := part[*kafka.Config](p.cfg, keyKafka)
	l := &p.cfg.Limits
	var err error
	p.pipeline, err = produce.New(protect, p.client,
		produce.WithMaxBytes(l.InFlightBytes), produce.WithMaxRecords(l.InFlightRecords), produce.WithMaxStreams(l.Streams),
		produce.WithDelivery(kc.Delivery()), produce.WithObserver(pipelineObserver{p.observe}))
	if err != nil {
		return err
	}
	sender := &counted{Sender: p.pipeline, observe: p.observe, tracing: p.tracing}
	who := access{current: p.auth.Load, observe: p.observe}
	var schemas serde.Registry
	if c := p.base.Registry(); c != nil {
		schemas = c
	}
	formats, err := serde.New(schemas, *part[*serde.Config](p.cfg, keyFormats))
	if err != nil {
		return err
	}
	lines := telemetry.NewRequests(p.log, part[*telemetry.Config](p.cfg, keyTelemetry).Log)
	web := *part[*rest.Config](p.cfg, keyREST)
	web.MaxHeaderBytes, web.HeaderTimeout, web.KeepAlive = l.HeaderBytes, l.HeaderTimeout, l.IdleTimeout
	p.rest, err = rest.New(web, rest.Deps{
		Sender: sender, Guard: restGuard{who}, Encoders: encoders{formats}, Cluster: rest.NewKafkaCluster(kadm.NewClient(p.client)),
		Observer: restObserver{p.observe, lines, p.log}, Challenges: challenges(),
	})
	if err != nil {
		return err
	}
	deps := rpc.Deps{
		Sender: sender, Protector: &protection{protector: protect, swap: p.swap, log: p.trail, current: p.auth.Load, observe: p.observe},
		Guard: rpcGuard{who, p.tracing}, Audit: revealed{p.trail, p.observe}, Log: p.log,
		Observer: rpcObserver{p.observe, lines}, RequestID: telemetry.RequestID,
	}
	if deps.TLS, err = p.tls(); err != nil {
		return err
	}
	p.rpc, err = rpc.New(*part[*rpc.Config](p.cfg, keyGRPC), deps)
	return err
}

// close closes everything, after the frame has ended.
func (p *process) close(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if p.stopAuth != nil {
		p.stopAuth()
	}
	if p.swap != nil {
		p.swap.Close()
	}
	if p.base != nil {
		p.base.Close()
	}
	if p.pipeline != nil {
		p.pipeline.Close()
	}
	if p.trail != nil {
		_ = p.trail.Close(ctx) // every line that counts was durable when it was written
	}
	if p.lines != nil {
		p.lines.client.Close()
	}
	if p.client != nil {
		p.client.Close()
	}
	if p.tracing != nil {
		_ = p.tracing.Shutdown(ctx) // spans are not worth an error
	}
}
