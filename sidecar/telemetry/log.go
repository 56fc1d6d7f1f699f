package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// removed is what the log shows in place of a value that it must not show.
const removed = "[removed]"

// A LogOption changes what [NewLogger] makes.
type LogOption func(*core)

// WithObserver counts lines, and what was kept out of them.
func WithObserver(o *Observer) LogOption { return func(c *core) { c.observer = o } }

// WithSafeErrors declares errors whose text holds names and never data, such as
// *produce.Error: f returns the text of such an error, and false for any other.
// Of those the log shows less: see [ErrorText].
func WithSafeErrors(f func(error) (string, bool)) LogOption {
	return func(c *core) { c.safe = f }
}

// NewLogger returns a logger that writes lines to w. It shows attributes of an
// allow-list alone, each only when its value is of the grammar that the list has
// for it: numbers, durations, words of the program, names. In place of others
// there is a note that they were removed. Groups are dissolved, messages and
// values are bounded, and control characters are escaped.
//
// A message must be a constant of the program: it is not looked into.
func NewLogger(w io.Writer, c LogConfig, opts ...LogOption) (*slog.Logger, error) {
	lvl, err := level(c.Level)
	if err != nil {
		return nil, err
	}
	core := &core{allowed: allowed(), burst: c.Burst, seen: map[repeat]*window{}}
	for _, opt := range opts {
		opt(core)
	}
	ho := &slog.HandlerOptions{Level: lvl, ReplaceAttr: upright}
	out := &shared{w: w}
	if c.Format == "text" {
		return slog.New(&handler{core: core, inner: slog.NewTextHandler(out, ho)}), nil
	}
	return slog.New(&handler{core: core, inner: slog.NewJSONHandler(out, ho), lines: out}), nil
}

// upright writes durations in seconds and times of lines in UTC, in both formats
// alike.
func upright(_ []string, a slog.Attr) slog.Attr {
	switch {
	case a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime:
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	case a.Value.Kind() == slog.KindDuration:
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

// core is what all handlers of one logger share.
type core struct {
	allowed  map[string]kind
	observer *Observer
	safe     func(error) (string, bool)
	burst    int

	mu   sync.Mutex
	seen map[repeat]*window
}

// A handler keeps out of the log what does not belong there. It is immutable.
type handler struct {
	core  *core
	inner slog.Handler
	code  string  // of the attributes so far, for the limit on repeated lines
	lines *shared // for lines in JSON that need no inner, nil for none
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	f := filter{h: h, code: h.code}
	r.Attrs(func(a slog.Attr) bool {
		f.add(a, 0)
		return true
	})
	if r.Level >= slog.LevelWarn {
		write, hidden := h.core.limit(repeat{r.Level, r.Message, f.code}, r.Time)
		if !write {
			h.core.observer.logSuppressed()
			return nil
		}
		if hidden > 0 {
			f.out = append(f.out, slog.Int("suppressed", hidden))
		}
	}
	line := slog.NewRecord(r.Time, r.Level, bound(r.Message, maxText), 0)
	line.AddAttrs(f.out...)
	h.core.observer.logged(r.Level, f.removed)
	return h.inner.Handle(ctx, line)
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	f := filter{h: h, code: h.code}
	for _, a := range attrs {
		f.add(a, 0)
	}
	h.core.observer.logRemoved(f.removed)
	return &handler{core: h.core, inner: h.inner.WithAttrs(f.out), code: f.code}
}

// WithGroup implements [slog.Handler]. Names are allowed one by one, so a group
// would only hide what a name means.
func (h *handler) WithGroup(string) slog.Handler { return h }

// A filter gathers what of a line's attributes may be shown.
type filter struct {
	h       *handler
	out     []slog.Attr
	code    string
	removed int
}

// maxDepth is how deep groups are dissolved, and maxAttrs how many attributes a
// line has.
const (
	maxDepth = 4
	maxAttrs = 64
)

func (f *filter) add(a slog.Attr, depth int) {
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup && depth < maxDepth {
		for _, inner := range a.Value.Group() {
			f.add(inner, depth+1)
		}
		return
	}
	if len(f.out) >= maxAttrs {
		f.removed++
		return
	}
	v, ok := f.h.show(a.Key, a.Value)
	if !ok {
		f.removed++
		f.out = append(f.out, slog.String(noteOf(a.Key), removed))
		return
	}
	if a.Key == "code" {
		f.code = v.String()
	}
	if v.Kind() == slog.KindString {
		if v.String() == "" {
			return
		}
		limit := maxText
		if k := f.h.core.allowed[a.Key]; k == kindError || k == kindFinding {
			limit = maxLong
		}
		v = slog.StringValue(bound(v.String(), limit))
	}
	f.out = append(f.out, slog.Attr{Key: a.Key, Value: v})
}

// bound cuts a text to a length that a line bears, and writes control characters
// and what is no UTF-8 as question marks: a terminal obeys them.
func bound(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if odd(r) {
			return '?'
		}
		return r
	}, s)
}

// odd tells whether r changes how a terminal shows what is around it.
func odd(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// repeat is what makes two lines equal: the rest of them does not count.
type repeat struct {
	level   slog.Level
	message string
	code    string
}

// A window counts equal lines of one second.
type window struct {
	begin   time.Time
	written int
	hidden  int
}

// maxWindows bounds the memory of the limit. Messages are constants, so it is not
// reached.
const maxWindows = 1024

// limit says whether a line is written, and how many like it were not since the
// last one that was.
func (c *core) limit(r repeat, now time.Time) (write bool, hidden int) {
	if c.burst == 0 {
		return true, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.seen[r]
	if !ok {
		if len(c.seen) >= maxWindows {
			clear(c.seen)
		}
		w = &window{begin: now}
		c.seen[r] = w
	}
	if since := now.Sub(w.begin); since >= time.Second || since < 0 {
		w.begin, w.written = now, 0
	}
	if w.written >= c.burst {
		w.hidden++
		return false, 0
	}
	w.written++
	hidden, w.hidden = w.hidden, 0
	return true, hidden
}

// levelLabel is the label of a level.
func levelLabel(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	default:
		return "debug"
	}
}

func (o *Observer) logged(l slog.Level, removed int) {
	if o != nil {
		o.lines.of(labels{levelLabel(l)}, func(l labels) prometheus.Counter { return o.logLines.WithLabelValues(l[0]) }).Inc()
		o.logRemoved(removed)
	}
}

func (o *Observer) logRemoved(n int) {
	if o != nil && n > 0 {
		o.logHidden.WithLabelValues().Add(float64(n))
	}
}

func (o *Observer) logSuppressed() {
	if o != nil {
		o.logDropped.WithLabelValues().Inc()
	}
}
