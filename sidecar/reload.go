package sidecar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/config"
)

// The outcomes of a reload, a closed set that is fit for metrics.
const (
	ReloadOK      = "ok"        // the new generation serves
	ReloadInvalid = "invalid"   // the file or the policy is wrong, or cannot be read
	ReloadWeaker  = "weaker"    // it would protect less
	ReloadRestart = "restart"   // it changes what only a restart can change
	ReloadFailed  = "failed"    // nothing could be built from it
	ReloadUnaudit = "unaudited" // it could not be put on record
)

// A ReloadError says why a reload left everything as it was.
type ReloadError struct {
	Outcome string
	// Change names a change that would protect less, for whoever acknowledges it.
	Change   string
	Findings []fieldcrypt.Finding // of a change that would protect less
	Err      error                // why, for the others
}

// Error returns names and lines, and never a value.
func (e *ReloadError) Error() string {
	switch e.Outcome {
	case ReloadWeaker:
		texts := make([]string, len(e.Findings))
		for i, f := range e.Findings {
			texts[i] = f.String()
		}
		return "reload: the change " + e.Change + " would protect less than before:\n" + strings.Join(texts, "\n")
	default:
		return "reload: " + e.Outcome + ": " + e.Err.Error()
	}
}

// Unwrap returns the reason.
func (e *ReloadError) Unwrap() error { return e.Err }

// A Status is what became of the last attempt to read the configuration.
type Status struct {
	Outcome string    `json:"outcome"`
	Time    time.Time `json:"time"`
	// Error is empty where all is well. It holds names and lines of files, and one
	// word for what others said.
	Error string `json:"error,omitempty"`
	// Change is set where the change would protect less: its digest.
	Change string `json:"change,omitempty"`
	// Generation counts the generations of this process, from 1.
	Generation int `json:"generation"`
	// Config and Policy tell what is served now.
	Config string `json:"config"`
	Policy string `json:"policy"`
}

// A reloader reads the configuration, and puts generations in place. Its methods
// may be called from anywhere; it does one thing at a time.
type reloader struct {
	opts    *Options
	log     *slog.Logger
	current *Current
	allow   bool // of the process, not of any file that it reads later

	mu      sync.Mutex // held by an attempt
	serving *config.Config
	stamp   [32]byte // of the files of the last attempt
	count   int
	ended   bool
	retired sync.WaitGroup

	status atomic.Pointer[Status]
	loaded atomic.Pointer[config.Config] // serving, for those who only look
}

// first reads the configuration and builds the first generation from it.
func (r *reloader) first(ctx context.Context, cfg *config.Config, stamp [32]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allow = r.opts.AllowWeakening || cfg.Policy.AllowWeakening
	gen, err := r.build(ctx, cfg)
	if err != nil {
		return err
	}
	r.stamp = stamp
	r.place(cfg, gen)
	return nil
}

// reload reads everything again. A change that would protect less passes when
// acknowledged is its digest. Unless force is set, nothing happens when no file
// says anything else.
func (r *reloader) reload(ctx context.Context, trigger, acknowledged string, force bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	prev := r.serving
	stamp := stampOf(prev.Files())
	if r.ended || !force && stamp == r.stamp {
		return nil
	}
	// The same faulty files are not tried again before they change.
	r.stamp = stamp
	err := r.attempt(ctx, prev, trigger, acknowledged)
	if err == nil {
		return nil
	}
	var failed *ReloadError
	if !errors.As(err, &failed) {
		failed = &ReloadError{Outcome: ReloadFailed, Err: err}
	}
	now := *r.status.Load()
	now.Outcome, now.Time, now.Error, now.Change = failed.Outcome, time.Now(), failed.shown(), failed.Change
	r.status.Store(&now)
	r.log.LogAttrs(ctx, slog.LevelError, "reload refused, the old configuration goes on",
		slog.String("trigger", trigger), slog.String("outcome", failed.Outcome), slog.String("change", failed.Change), slog.Any("error", failed))
	r.observe(failed.Outcome)
	return failed
}

func (r *reloader) observe(outcome string) {
	if r.opts.Reloaded != nil {
		r.opts.Reloaded(outcome)
	}
}

func (r *reloader) attempt(ctx context.Context, prev *config.Config, trigger, acknowledged string) error {
	next, stamp, err := settled(r.opts)
	if err != nil {
		return &ReloadError{Outcome: ReloadInvalid, Err: err}
	}
	change := config.ChangeDigest(prev, next)
	weaker := r.opts.Format.Weakens(prev, next)
	if len(weaker) > 0 && !r.allow && acknowledged != change {
		return &ReloadError{Outcome: ReloadWeaker, Change: change, Findings: weaker}
	}
	if keys := r.opts.Format.NeedsRestart(prev, next); len(keys) > 0 {
		return &ReloadError{Outcome: ReloadRestart, Err: fmt.Errorf("needs a restart to change: %s", strings.Join(keys, ", "))}
	}
	// What is audited is on record before it happens.
	if err := r.opts.audit(ctx, "reload", change); err != nil {
		return &ReloadError{Outcome: ReloadUnaudit, Err: err}
	}
	gen, err := r.build(ctx, next)
	if err != nil {
		return &ReloadError{Outcome: ReloadFailed, Err: err}
	}
	for _, f := range weaker {
		r.log.LogAttrs(ctx, slog.LevelWarn, "reload protects less than before, as it was allowed to", slog.Any("finding", f), slog.String("change", change))
	}
	r.stamp = stamp
	r.place(next, gen)
	r.log.LogAttrs(ctx, slog.LevelInfo, "reloaded", slog.String("trigger", trigger), slog.Int("generation", r.count), slog.String("config", short(next.Digest())),
		slog.String("policy", r.status.Load().Policy))
	r.observe(ReloadOK)
	return nil
}

// build calls the builder. A panic of it is an error of this attempt, and names
// its type only: its value may be anything.
func (r *reloader) build(ctx context.Context, cfg *config.Config) (gen *Generation, err error) {
	defer func() {
		if v := recover(); v != nil {
			gen, err = nil, fmt.Errorf("the builder panicked with a %T", v)
		}
	}()
	gen, err = r.opts.Build(ctx, cfg)
	if err == nil && gen == nil {
		err = errors.New("the builder built nothing")
	}
	return gen, err
}

// place lets gen serve, and closes the one before after its last request.
func (r *reloader) place(cfg *config.Config, gen *Generation) {
	old := r.current.swap(gen)
	r.serving = cfg
	r.loaded.Store(cfg)
	r.count++
	status := &Status{Outcome: ReloadOK, Time: time.Now(), Generation: r.count, Config: short(cfg.Digest())}
	if p := cfg.LoadedPolicy(); p != nil {
		status.Policy = fmt.Sprintf("%x", p.Digest())
	}
	r.status.Store(status)
	for _, w := range cfg.Warnings() {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "configuration", slog.Any("finding", w))
	}
	if old == nil {
		return
	}
	r.retired.Go(func() {
		over, cancel := context.WithTimeout(context.Background(), cfg.Reload.Grace)
		defer cancel()
		old.retire(over)
	})
}

// end retires the last generation, and waits for all that were retired.
func (r *reloader) end(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if old := r.current.slot.Swap(nil); old != nil {
		old.retire(ctx)
	}
	r.retired.Wait()
}

func short(digest [32]byte) string { return fmt.Sprintf("%x", digest[:8]) }

var errUnsettled = errors.New("the files change faster than they can be read")

// settled reads the configuration and the stamp of its files, both from the same
// contents: a file that is being written changes between two looks.
func settled(o *Options) (*config.Config, [32]byte, error) {
	for range 5 {
		cfg, err := o.Format.LoadWith(o.Config, o.Env)
		if err != nil {
			return nil, [32]byte{}, err
		}
		stamp := stampOf(cfg.Files())
		again, err := o.Format.LoadWith(o.Config, o.Env)
		if err != nil {
			return nil, [32]byte{}, err
		}
		if again.Digest() == cfg.Digest() {
			return again, stamp, nil
		}
	}
	return nil, [32]byte{}, errUnsettled
}

// stampOf tells the contents of files from others. What cannot be read counts as
// what it is: unreadable.
func stampOf(files []string) [32]byte {
	var all bytes.Buffer
	for _, path := range files {
		text, err := os.ReadFile(path)
		sum := sha256.Sum256(text)
		_, _ = fmt.Fprintf(&all, "%s\x00%t\x00%x\n", path, err == nil, sum) // a buffer takes everything
	}
	return sha256.Sum256(all.Bytes())
}
