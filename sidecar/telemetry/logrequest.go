package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// A Line is what the log says about one request.
type Line struct {
	Request    string // id of the request: see [RequestID]
	Trace      string // id of the trace, or empty
	Protocol   string
	Route      string
	Topic      string // empty where records name their own
	Principal  string
	Decision   string // of the authorization
	Policy     string // version of the policy
	Code       string // of the request as a whole, or of its first failed record
	Status     int    // HTTP status
	Records    int
	Failed     int // records that were not delivered
	Unknown    int // those of them that may have been
	InBytes    int
	OutBytes   int
	Took       time.Duration
	suppressed int // lines like it that were not written
}

// bad tells whether something went wrong.
func (l *Line) bad() bool { return l.Failed > 0 || l.Status >= 400 || l.Code != "" && l.Code != codeOK }

// Requests writes lines about requests, as [LogConfig.Requests] says. The zero
// Requests writes none.
type Requests struct {
	logger *slog.Logger
	errors bool
	// refused bounds the lines of requests that got nowhere: they cost their sender
	// next to nothing. Nil for no bound.
	refused *core
}

// refusedPerBurst is how many lines of equal requests that got nowhere there are in
// a second, for each of [LogConfig.Burst].
const refusedPerBurst = 10

// NewRequests returns what writes the lines of requests to logger.
func NewRequests(logger *slog.Logger, c LogConfig) Requests {
	if c.Requests == requestsNone {
		return Requests{}
	}
	r := Requests{logger: logger, errors: c.Requests == requestsErrors}
	if c.Burst > 0 {
		r.refused = &core{burst: refusedPerBurst * c.Burst, seen: map[repeat]*window{}}
		if h, ok := logger.Handler().(*handler); ok {
			r.refused.observer = h.core.observer
		}
	}
	return r
}

// Log writes the line of a request that has ended. All of them are of level info,
// so that callers cannot make the warnings of the sidecar disappear under theirs.
// Requests that failed before there was a record in them are limited to so many a
// second by route and code, and counted beyond that.
func (r Requests) Log(ctx context.Context, l Line) {
	if r.logger == nil || r.errors && !l.bad() || !r.logger.Enabled(ctx, slog.LevelInfo) {
		return
	}
	if r.refused != nil && l.Records == 0 && l.bad() {
		var write bool
		if write, l.suppressed = r.refused.limit(repeat{slog.LevelInfo, l.Route, l.Code}, time.Now()); !write {
			r.refused.observer.logSuppressed()
			return
		}
	}
	if h, ok := r.logger.Handler().(*handler); ok && h.direct(time.Now(), &l) {
		return
	}
	r.bySlog(ctx, &l)
}

// Foreign returns a handler for what libraries write, such as the ErrorLog of
// net/http with [slog.NewLogLogger]: their messages quote what they were given,
// the value of a panic among it. Of a message it keeps what kind it is of, if it
// is a known one, and its attributes are kept out like all others.
func Foreign(h slog.Handler, component string) slog.Handler {
	return foreign{h.WithAttrs([]slog.Attr{slog.String("component", component)})}
}

type foreign struct{ inner slog.Handler }

func (f foreign) Enabled(ctx context.Context, l slog.Level) bool { return f.inner.Enabled(ctx, l) }

func (f foreign) WithAttrs(attrs []slog.Attr) slog.Handler { return foreign{f.inner.WithAttrs(attrs)} }

func (f foreign) WithGroup(name string) slog.Handler { return foreign{f.inner.WithGroup(name)} }

func (f foreign) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, "a library wrote a message", 0)
	r.Attrs(func(a slog.Attr) bool {
		line.AddAttrs(a)
		return true
	})
	line.AddAttrs(slog.String("kind", kindOfMessage(r.Message)), slog.Int("bytes", len(r.Message)))
	return f.inner.Handle(ctx, line)
}

// kindOfMessage names the messages that an operator asks about.
func kindOfMessage(m string) string {
	for prefix, kind := range map[string]string{
		"http: TLS handshake error": "tls_handshake",
		"http: panic serving":       "panic",
		"http: Accept error":        "accept",
		"http2: ":                   "http2",
		"http: superfluous":         "superfluous_header",
	} {
		if strings.HasPrefix(m, prefix) {
			return kind
		}
	}
	return other
}
