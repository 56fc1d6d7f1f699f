package tokenize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// JSONAudit is an [Audit] that writes a line of JSON for each entry. It is made
// by [NewJSONAudit] and safe for concurrent use, as long as nothing else writes
// to the same writer.
type JSONAudit struct {
	sync bool

	mu   sync.Mutex // guards all below
	w    io.Writer
	torn bool // the last line has no end
}

var _ Audit = (*JSONAudit)(nil)

// An AuditOption changes a [JSONAudit].
type AuditOption func(*JSONAudit)

// WithSync has each line synced to the disk before the request passes, with the
// Sync method that an [os.File] has. By default a crash of the machine may lose
// the last lines.
func WithSync() AuditOption { return func(a *JSONAudit) { a.sync = true } }

// NewJSONAudit returns a JSONAudit that writes to w. It fails when w is nil, or
// cannot be synced and WithSync asks for it.
func NewJSONAudit(w io.Writer, opts ...AuditOption) (*JSONAudit, error) {
	a := &JSONAudit{w: w}
	for _, o := range opts {
		o(a)
	}
	if w == nil {
		return nil, errors.New("tokenize: audit trail without a writer")
	}
	if _, ok := w.(syncer); a.sync && !ok {
		return nil, errors.New("tokenize: audit trail cannot be synced")
	}
	return a, nil
}

type syncer interface{ Sync() error }

// auditLine is a line of a JSONAudit.
type auditLine struct {
	Time    time.Time `json:"time"`
	ID      string    `json:"id"`
	Action  Action    `json:"action"`
	Granted bool      `json:"granted"`
	Reason  string    `json:"reason,omitempty"`
	Caller  string    `json:"caller"`
	Purpose string    `json:"purpose"`
	Scope   string    `json:"scope"`
	Count   int       `json:"count"`
	Bulk    bool      `json:"bulk,omitempty"`
}

// Record writes one line with one call of the writer.
func (a *JSONAudit) Record(_ context.Context, e Entry) error {
	line, err := json.Marshal(auditLine{
		Time: e.Time.UTC(), ID: e.ID, Action: e.Action, Granted: e.Granted, Reason: e.Reason,
		Caller: e.Caller, Purpose: e.Purpose, Scope: e.Scope, Count: e.Count, Bulk: e.Bulk,
	})
	if err != nil {
		return fmt.Errorf("tokenize: audit: %w", err)
	}
	line = append(line, '\n')
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.torn {
		// What was left of a line must not take this one with it.
		line = append([]byte{'\n'}, line...)
	}
	n, err := a.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		a.torn = a.torn || n > 0
		return fmt.Errorf("tokenize: audit: %w", err)
	}
	a.torn = false
	if s, ok := a.w.(syncer); ok && a.sync {
		if err := s.Sync(); err != nil {
			return fmt.Errorf("tokenize: audit: %w", err)
		}
	}
	return nil
}

// SlogAudit is an [Audit] that hands each entry to a [slog.Handler], granted
// ones at level Info and others at Warn. It is made by [NewSlogAudit] and safe
// for concurrent use.
type SlogAudit struct{ h slog.Handler }

var _ Audit = SlogAudit{}

// NewSlogAudit returns a SlogAudit over h, not over a logger: a logger keeps the
// errors of its handler to itself.
func NewSlogAudit(h slog.Handler) SlogAudit { return SlogAudit{h: h} }

// Record fails when the handler does, or is not enabled for the level.
func (a SlogAudit) Record(ctx context.Context, e Entry) error {
	level := slog.LevelInfo
	if !e.Granted {
		level = slog.LevelWarn
	}
	if a.h == nil || !a.h.Enabled(ctx, level) {
		return errors.New("tokenize: audit: the handler drops the level")
	}
	r := slog.NewRecord(e.Time, level, "token vault access", 0)
	r.AddAttrs(
		slog.String("id", e.ID), slog.String("action", string(e.Action)), slog.Bool("granted", e.Granted),
		slog.String("reason", e.Reason), slog.String("caller", e.Caller), slog.String("purpose", e.Purpose),
		slog.String("scope", e.Scope), slog.Int("count", e.Count), slog.Bool("bulk", e.Bulk),
	)
	if err := a.h.Handle(ctx, r); err != nil {
		return fmt.Errorf("tokenize: audit: %w", err)
	}
	return nil
}
