package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fieldveil/fieldveil/sidecar"
	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/tokenize"
)

// build implements [sidecar.Builder]. Nothing that it has begun stays behind when
// it fails, and nothing that serves now is touched before all of it is there.
func (p *process) build(ctx context.Context, cfg *config.Config) (*sidecar.Generation, error) {
	first := p.pipeline == nil
	if first {
		if err := p.open(ctx); err != nil {
			return nil, err
		}
	}
	who, err := auth.New(resolved(cfg, part[*auth.Config](cfg, keyAuth)), auth.WithObserver(func(r auth.Reload) { p.authReloaded(r) }))
	if err != nil {
		return nil, namesError{fmt.Errorf("auth: %w", err)}
	}
	if !first && who.HasTLS() != p.auth.Load().HasTLS() {
		return nil, errTLS
	}
	e, err := p.base.NewEngine(ctx, rules(cfg))
	if err != nil {
		return nil, err
	}
	if err := p.warm(ctx, cfg, e, first); err != nil {
		e.Close()
		return nil, err
	}
	// From here on nothing can fail but the first start.
	p.follow(who)
	if first {
		if err := p.start(e); err != nil {
			return nil, err
		}
	} else {
		p.swap.Replace(e)
	}
	p.count++
	digest := cfg.Digest()
	p.observe.Config(p.count, fmt.Sprintf("%x", digest[:8]), fmt.Sprintf("%x", cfg.LoadedPolicy().Digest()))
	p.observe.WatchKeys(e.Keys)
	p.observe.WatchEngine(e.Crypt().Stats)
	return &sidecar.Generation{Ready: p.ready}, nil
}

// warm gets the keys. A process that starts goes on without, and is ready when
// they come; a reload keeps what it has.
func (p *process) warm(ctx context.Context, cfg *config.Config, e *engine.Engine, first bool) error {
	limited, cancel := context.WithTimeout(ctx, max(cfg.Keys.WarmTimeout, time.Millisecond))
	defer cancel()
	err := e.Warm(limited)
	switch {
	case err == nil || !first:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	p.log.LogAttrs(ctx, slog.LevelWarn, "started without data keys, and not ready before they come", slog.Any("error", err))
	return nil
}

// errTLS is a listener that would have to be another.
var errTLS = namesError{errors.New("auth.tls: needs a restart to be turned on or off")}

// follow puts who in force, and has it read its files again when they change.
func (p *process) follow(who *auth.Auth) {
	ctx, cancel := context.WithCancel(context.Background())
	p.auth.Store(who)
	p.certificate(who)
	if p.stopAuth != nil {
		p.stopAuth()
	}
	p.stopAuth = cancel
	go func() { _ = who.Run(ctx) }() // what it finds is observed
}

func (p *process) authReloaded(r auth.Reload) {
	p.certificate(p.auth.Load())
	if r.Err != nil {
		p.log.LogAttrs(context.Background(), slog.LevelError, "certificates or tokens could not be read, the old ones stay", slog.Any("error", namesError{r.Err}))
	}
}

// certificate tells until when the certificate of the listeners is good.
func (p *process) certificate(who *auth.Auth) {
	if at := who.NotAfter(); !at.IsZero() {
		p.observe.Certificate("listen", at)
	}
}

// resolved returns c with its paths relative to the configuration.
func resolved(cfg *config.Config, c *auth.Config) auth.Config {
	out := *c
	for _, path := range []*string{&out.TLS.Cert, &out.TLS.Key, &out.TLS.ClientCA} {
		*path = resolve(cfg, *path)
	}
	out.Tokens = nil
	for _, t := range c.Tokens {
		t.File = resolve(cfg, t.File)
		out.Tokens = append(out.Tokens, t)
	}
	return out
}

var errNoEngine = errors.New("no engine")

// ready implements the checks of a generation.
func (p *process) ready(ctx context.Context) []sidecar.Check {
	keys := sidecar.Check{Name: "keys", Err: errNoEngine}
	p.swap.Use(func(e *engine.Engine) { keys.Err = e.Ready() })
	checks := []sidecar.Check{{Name: "policy"}, keys, p.health.check(ctx)}
	if p.trail != nil {
		p.reopen(ctx)
		checks = append(checks, sidecar.Check{Name: "audit", Err: p.trail.Err(), Word: "not_written", Optional: true})
	}
	ok := true
	for _, c := range checks {
		ok = ok && (c.Err == nil || c.Optional)
	}
	p.observe.Ready(ok && !p.ending.Load())
	p.noted.look(ctx, p.log, checks)
	return checks
}

// serving implements sidecar.Options.
func (p *process) serving(on bool) {
	if !on {
		p.ending.Store(true)
		p.observe.Draining()
		p.observe.Ready(false)
	}
	if p.rpc != nil {
		p.rpc.SetServing(on)
	}
}

func (p *process) drain(ctx context.Context) (sidecar.Drained, error) {
	if p.pipeline == nil {
		return sidecar.Drained{}, nil
	}
	unknown := p.pipeline.Drain(ctx)
	p.observe.Drained(drainCause(ctx, unknown), unknown, 0)
	return sidecar.Drained{Unknown: unknown}, nil
}

// drainCause is how the drain of the pipeline ended, in a word that telemetry
// counts.
func drainCause(ctx context.Context, unknown int) string {
	switch {
	case errors.Is(context.Cause(ctx), sidecar.ErrForced):
		return "forced"
	case ctx.Err() != nil || unknown > 0:
		return "timeout"
	default:
		return "completed"
	}
}

func (p *process) reloaded(outcome string) {
	switch outcome {
	case sidecar.ReloadOK:
		p.observe.Reload("ok")
	case sidecar.ReloadFailed, sidecar.ReloadUnaudit:
		p.observe.Reload("failed")
	default:
		p.observe.Reload("refused")
	}
}

// audited implements sidecar.Options. The trail is open once the first generation
// is: the start is written down by it.
func (p *process) audited(ctx context.Context, act, detail string) error {
	if p.trail == nil {
		return nil // there is none, or it is opened later and the start written down then
	}
	action := audit.ActionReloaded
	switch act {
	case "start":
		action = audit.ActionStarted
	case "stop":
		action = audit.ActionStopped
	}
	p.reopen(ctx)
	err := p.trail.Write(ctx, audit.Entry{Action: action, Outcome: audit.Granted, Actor: "sidecar", Target: detail})
	p.observe.Audit(err == nil)
	return err
}

// reopen opens a trail anew that could not be written, such as one whose disk was
// full. Until that succeeds, what must be written down is refused. Probes and
// reloads are when it is tried.
func (p *process) reopen(ctx context.Context) {
	if p.trail.Err() == nil {
		return
	}
	if err := p.trail.Reopen(ctx); err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "the audit trail cannot be written, and what it must hold is refused", slog.Any("error", namesError{err}))
		return
	}
	p.log.LogAttrs(ctx, slog.LevelWarn, "the audit trail is written again")
}

// mayDetokenize implements [tokenize.Authorizer]: who asks was let in, and asks by
// a call that was allowed, which is looked at again here.
func (p *process) mayDetokenize(ctx context.Context, _ tokenize.Request) error {
	who, ok := auth.FromContext(ctx)
	if !ok {
		return errNobody
	}
	topic, _ := ctx.Value(topicKey{}).(string) // without one, only rules for all topics allow it
	return p.auth.Load().Authorize(who, auth.OpDetokenize, topic)
}

// topicKey is where the context of a reveal carries the topic.
type topicKey struct{}

var errNobody = errors.New("nobody asks")
