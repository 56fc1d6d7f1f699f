package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// A shared is a writer of whole lines, for several who write them.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements [io.Writer].
func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// keptLine is what a pooled line may hold.
const keptLine = 4 << 10

var lineWriters = sync.Pool{New: func() any { return new(lineWriter) }} //nolint:gochecknoglobals // a pool has to be shared

// direct writes a line about a request as package slog would, which takes a sixth
// of what a small request costs. It says false, and has written nothing, where it
// does not know how.
func (h *handler) direct(now time.Time, l *Line) bool {
	if h.lines == nil {
		return false
	}
	b, _ := lineWriters.Get().(*lineWriter)
	b.h, b.removed, b.odd = h, 0, false
	b.b = append(b.b[:0], `{"time":"`...)
	b.b = now.UTC().AppendFormat(b.b, time.RFC3339Nano)
	b.b = append(b.b, `","level":"INFO","msg":"request"`...)
	l.each(b)
	written := !b.odd
	if written {
		b.b = append(b.b, "}\n"...)
		h.core.observer.logged(slog.LevelInfo, b.removed)
		_, _ = h.lines.Write(b.b) // package slog has nobody to tell either
	}
	if b.h = nil; cap(b.b) <= keptLine {
		lineWriters.Put(b)
	}
	return written
}

// A lineWriter appends attributes that the log may show.
type lineWriter struct {
	h       *handler
	b       []byte
	removed int
	odd     bool // something that it leaves to package slog
}

func (b *lineWriter) name(key string) {
	b.b = append(b.b, ',', '"')
	b.b = append(b.b, key...)
	b.b = append(b.b, '"', ':')
}

// text implements attributes.
func (b *lineWriter) text(key, s string) {
	if s == "" {
		return
	}
	if _, ok := b.h.show(key, slog.StringValue(s)); !ok {
		b.removed++
		s = removed
	}
	if !plain(s) {
		b.odd = true
		return
	}
	b.name(key)
	b.b = append(b.b, '"')
	b.b = append(b.b, s...)
	b.b = append(b.b, '"')
}

// number implements attributes.
func (b *lineWriter) number(key string, n int) {
	b.name(key)
	b.b = strconv.AppendInt(b.b, int64(n), 10)
}

// duration implements attributes.
func (b *lineWriter) duration(key string, d time.Duration) {
	// JSON has other forms for what is smaller or larger.
	if d < time.Microsecond || d > time.Hour {
		b.odd = true
		return
	}
	b.name(key)
	b.b = strconv.AppendFloat(b.b, d.Seconds(), 'f', -1, 64)
}

// plain says whether s stands in JSON as it is, and is short enough for a line.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(s) <= maxText
}

// attributes take those of a [Line].
type attributes interface {
	text(key, s string)
	number(key string, n int)
	duration(key string, d time.Duration)
}

// each tells all attributes of l, in their order.
func (l *Line) each(a attributes) {
	a.text("request", l.Request)
	a.text("trace", l.Trace)
	a.text("protocol", l.Protocol)
	a.text("route", l.Route)
	a.text("topic", l.Topic)
	a.text("principal", l.Principal)
	a.text("decision", l.Decision)
	a.text("policy", l.Policy)
	a.text("code", l.Code)
	a.number("status", l.Status)
	a.number("records", l.Records)
	a.number("failed", l.Failed)
	a.number("unknown", l.Unknown)
	a.number("in_bytes", l.InBytes)
	a.number("out_bytes", l.OutBytes)
	a.duration("took", l.Took)
	if l.suppressed > 0 {
		a.number("suppressed", l.suppressed)
	}
}

// slogAttrs gathers attributes for package slog.
type slogAttrs []slog.Attr

func (a *slogAttrs) text(key, s string)                   { *a = append(*a, slog.String(key, s)) }
func (a *slogAttrs) number(key string, n int)             { *a = append(*a, slog.Int(key, n)) }
func (a *slogAttrs) duration(key string, d time.Duration) { *a = append(*a, slog.Duration(key, d)) }

// bySlog writes a line by package slog.
func (r Requests) bySlog(ctx context.Context, l *Line) {
	all := make(slogAttrs, 0, 16)
	l.each(&all)
	r.logger.LogAttrs(ctx, slog.LevelInfo, "request", all...)
}
