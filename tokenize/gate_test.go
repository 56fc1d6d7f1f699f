package tokenize_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// trail is an audit trail in memory.
type trail struct {
	mu      sync.Mutex
	entries []tokenize.Entry
	err     error
}

func (a *trail) Record(_ context.Context, e tokenize.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.entries = append(a.entries, e)
	return nil
}

func (a *trail) last() tokenize.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) == 0 {
		return tokenize.Entry{}
	}
	return a.entries[len(a.entries)-1]
}

var errRole = errors.New("no such role")

// A guarded vault has one value, jane, and a gate.
type guarded struct {
	*tokenize.Vault

	store *vaulttest.Memory
	keys  *vaulttest.Keys
	trail *trail
	token []byte
}

func guard(t *testing.T, authorize tokenize.Authorizer, opts ...tokenize.GateOption) *guarded {
	t.Helper()
	g := &guarded{store: vaulttest.NewMemory(), keys: vaulttest.NewKeys("a"), trail: &trail{}}
	gate, err := tokenize.NewGate(g.trail, authorize, opts...)
	if err != nil {
		t.Fatal(err)
	}
	g.Vault = tokenize.NewVault(g.store, tokenize.WithGate(gate))
	out, err := g.Tokenize(t.Context(), g.keys, scope, tok, values("jane"))
	if err != nil {
		t.Fatal(err)
	}
	g.token = out[0]
	return g
}

func (g *guarded) ask(t *testing.T, a tokenize.Access, n int) ([][]byte, error) {
	t.Helper()
	in := make([][]byte, n)
	for i := range in {
		in[i] = g.token
	}
	return g.Detokenize(t.Context(), g.keys, a, scope, in)
}

func TestNothingIsRevealedWithoutAGate(t *testing.T) {
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := tokenize.NewVault(store)
	got := tokens(t, v, k, tok, "jane")
	if out, err := v.Detokenize(t.Context(), k, access, scope, values(got...)); !errors.Is(err, tokenize.ErrDenied) || out != nil {
		t.Errorf("%q, %v", out, err)
	}
	if err := v.Erase(t.Context(), access, scope, values(got...)); !errors.Is(err, tokenize.ErrDenied) {
		t.Error(err)
	}
	if n := store.Calls(vaulttest.OpByToken) + store.Calls(vaulttest.OpDelete); n != 0 {
		t.Errorf("%d calls of the store", n)
	}
}

func TestTheAuditLineIsWrittenFirst(t *testing.T) {
	g := guard(t, allowAll)
	looked := false
	g.store.Hook(func(_ context.Context, op vaulttest.Op) error {
		if op == vaulttest.OpByToken {
			looked = true
			if e := g.trail.last(); !e.Granted || e.Caller != "alice" || e.Purpose != "case 7" || e.Scope != scope || e.Count != 2 ||
				e.Action != tokenize.ActionReveal || e.Bulk || e.Reason != "" || e.ID == "" || e.Time.IsZero() {
				t.Errorf("when the store is asked, the line is %+v", e)
			}
		}
		return nil
	})
	if out, err := g.ask(t, access, 2); err != nil || string(out[1]) != "jane" || !looked {
		t.Errorf("%q, %v", out, err)
	}
	g.store.Hook(nil)
	first := g.trail.last().ID
	if _, err := g.ask(t, access, 1); err != nil || g.trail.last().ID == first || len(g.trail.entries) != 2 {
		t.Errorf("lines %+v, %v", g.trail.entries, err)
	}
}

func TestNothingIsRevealedThatCannotBeWrittenDown(t *testing.T) {
	g := guard(t, func(_ context.Context, r tokenize.Request) error {
		if r.Caller == "mallory" {
			return errRole
		}
		return nil
	})
	full := errors.New("the disk is full")
	g.trail.err = full
	calls := g.store.Calls(vaulttest.OpByToken)
	if out, err := g.ask(t, access, 1); !errors.Is(err, tokenize.ErrAudit) || !errors.Is(err, full) || out != nil {
		t.Errorf("%q, %v", out, err)
	}
	if err := g.Erase(t.Context(), access, scope, [][]byte{g.token}); !errors.Is(err, tokenize.ErrAudit) {
		t.Error(err)
	}
	if _, err := g.ask(t, tokenize.Access{Caller: "mallory", Purpose: "x"}, 1); !errors.Is(err, tokenize.ErrDenied) || !errors.Is(err, tokenize.ErrAudit) {
		t.Errorf("a denial that cannot be written: %v", err)
	}
	if n := g.store.Calls(vaulttest.OpByToken) - calls + g.store.Calls(vaulttest.OpDelete); n != 0 {
		t.Errorf("%d calls of the store", n)
	}
	g.trail.err = nil
	if out, err := g.ask(t, access, 1); err != nil || string(out[0]) != "jane" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

func TestTheGateDenies(t *testing.T) {
	canary := tokenize.Ref{Scope: scope, Token: []byte("tok_canary")}
	var alarms []tokenize.Request
	opts := []tokenize.GateOption{
		tokenize.WithBulk(3, func(_ context.Context, r tokenize.Request) error {
			if !r.Bulk || r.Caller != "exporter" {
				return errRole
			}
			return nil
		}),
		tokenize.WithVolume(20, time.Hour),
		tokenize.WithCanaries(func(_ context.Context, r tokenize.Request) { alarms = append(alarms, r) }, canary),
	}
	authorize := func(_ context.Context, r tokenize.Request) error {
		if r.Caller == "mallory" || r.Action == tokenize.ActionErase && r.Caller != "eraser" {
			return errRole
		}
		return nil
	}
	long := strings.Repeat("x", 256)
	tests := []struct {
		name   string
		access tokenize.Access
		n      int // tokens
		canary bool
		erase  bool
		want   error
		reason string
		alarms int
	}{
		{name: "a caller with a purpose passes", access: access, n: 1},
		{name: "no token at all passes", access: access},
		{name: "no caller", access: tokenize.Access{Purpose: "x"}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "no purpose", access: tokenize.Access{Caller: "x"}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "a caller too long", access: tokenize.Access{Caller: long, Purpose: "x"}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "a purpose too long", access: tokenize.Access{Caller: "x", Purpose: long}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "a purpose with a line end", access: tokenize.Access{Caller: "x", Purpose: "a\nb"}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "a caller that is not UTF-8", access: tokenize.Access{Caller: "x\xff", Purpose: "x"}, n: 1, want: tokenize.ErrDenied, reason: "access"},
		{name: "a caller without the role", access: tokenize.Access{Caller: "mallory", Purpose: "x"}, n: 1, want: errRole, reason: "role"},
		{name: "as many as are no bulk", access: access, n: 3},
		{name: "bulk without the right", access: access, n: 4, want: errRole, reason: "bulk"},
		{name: "bulk with the right", access: tokenize.Access{Caller: "exporter", Purpose: "x"}, n: 20},
		{name: "more than the volume", access: tokenize.Access{Caller: "exporter", Purpose: "x"}, n: 21, want: tokenize.ErrLimit, reason: "limit"},
		{name: "a canary", access: access, n: 1, canary: true, want: tokenize.ErrDenied, reason: "canary", alarms: 1},
		{name: "a canary alone", access: access, canary: true, want: tokenize.ErrDenied, reason: "canary", alarms: 1},
		{name: "erasing without the right", access: access, n: 1, erase: true, want: errRole, reason: "role"},
		{name: "erasing with the right", access: tokenize.Access{Caller: "eraser", Purpose: "x"}, n: 1, erase: true},
		{name: "erasing a canary", access: tokenize.Access{Caller: "eraser", Purpose: "x"}, canary: true, erase: true, want: tokenize.ErrDenied, reason: "canary", alarms: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alarms = nil
			g := guard(t, authorize, opts...)
			var in [][]byte
			for range tt.n {
				in = append(in, g.token)
			}
			if tt.canary {
				in = append(in, canary.Token)
			}
			var out [][]byte
			var err error
			if tt.erase {
				err = g.Erase(t.Context(), tt.access, scope, in)
			} else {
				out, err = g.Detokenize(t.Context(), g.keys, tt.access, scope, in)
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if denied := tt.want != nil && !errors.Is(tt.want, tokenize.ErrLimit); denied && !errors.Is(err, tokenize.ErrDenied) {
				t.Errorf("%v is no ErrDenied", err)
			}
			e := g.trail.last()
			if e.Granted != (tt.want == nil) || e.Reason != tt.reason || e.Count != len(in) {
				t.Errorf("audit line %+v", e)
			}
			if tt.reason == "access" && e.Access != (tokenize.Access{}) {
				t.Errorf("audit line holds %+v", e.Access)
			}
			if calls := g.store.Calls(vaulttest.OpByToken) + g.store.Calls(vaulttest.OpDelete); tt.want != nil && (out != nil || calls != 0) {
				t.Errorf("revealed %q with %d calls of the store", out, calls)
			}
			if len(alarms) != tt.alarms {
				t.Errorf("%d alarms", len(alarms))
			}
		})
	}
	t.Run("a canary of another scope passes", func(t *testing.T) {
		alarms = nil
		g := guard(t, authorize, opts...)
		out, err := g.Detokenize(t.Context(), g.keys, access, "other", [][]byte{canary.Token})
		if err != nil || out[0] != nil || alarms != nil {
			t.Errorf("%q, %v, %d alarms", out, err, len(alarms))
		}
	})
	t.Run("what is erased is no volume", func(t *testing.T) {
		g := guard(t, allowAll, tokenize.WithVolume(1, time.Hour))
		for range 3 {
			if err := g.Erase(t.Context(), access, scope, [][]byte{g.token}); err != nil {
				t.Error(err)
			}
		}
		if _, err := g.ask(t, access, 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("bulk without a rule for it", func(t *testing.T) {
		g := guard(t, authorize)
		if _, err := g.ask(t, access, 100); err != nil {
			t.Error(err)
		}
		if out, err := g.ask(t, access, 101); !errors.Is(err, tokenize.ErrDenied) || out != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
}

// A denial is written down though its caller has gone away.
func TestACallerThatHangsUpIsWrittenDown(t *testing.T) {
	g := guard(t, func(context.Context, tokenize.Request) error { return errRole })
	var seen error
	gate, err := tokenize.NewGate(auditFunc(func(ctx context.Context, _ tokenize.Entry) error {
		seen = ctx.Err()
		return g.trail.Record(ctx, tokenize.Entry{})
	}), func(context.Context, tokenize.Request) error { return errRole })
	if err != nil {
		t.Fatal(err)
	}
	v := tokenize.NewVault(g.store, tokenize.WithGate(gate))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Detokenize(ctx, g.keys, access, scope, [][]byte{g.token}); !errors.Is(err, errRole) || seen != nil || len(g.trail.entries) != 1 {
		t.Errorf("%v, %v, %d lines", err, seen, len(g.trail.entries))
	}
}

type auditFunc func(ctx context.Context, e tokenize.Entry) error

func (f auditFunc) Record(ctx context.Context, e tokenize.Entry) error { return f(ctx, e) }

func TestVolumeComesInAgainEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, allowAll, tokenize.WithVolume(60, time.Hour)) // one a minute
		ask := func(caller string, n int) time.Duration {
			t.Helper()
			out, err := g.ask(t, tokenize.Access{Caller: caller, Purpose: "x"}, n)
			if err == nil {
				return 0
			}
			limit, ok := errors.AsType[*tokenize.LimitError](err)
			if !ok || !errors.Is(err, tokenize.ErrLimit) || out != nil || limit.Most != 60 {
				t.Fatalf("%q, %v", out, err)
			}
			return limit.RetryAfter.Round(time.Second)
		}
		steps := []struct {
			wait   time.Duration
			caller string
			n      int
			retry  time.Duration
		}{
			{caller: "alice", n: 50},
			{caller: "alice", n: 10},
			{caller: "alice", n: 1, retry: time.Minute},
			{caller: "alice", n: 30, retry: 30 * time.Minute},
			{caller: "bob", n: 60},
			{wait: 10*time.Minute - 2*time.Second, caller: "alice", n: 10, retry: 2 * time.Second},
			{wait: 3 * time.Second, caller: "alice", n: 10},
			{caller: "alice", n: 1, retry: 59 * time.Second},
			{wait: 24 * time.Hour, caller: "alice", n: 60},
			{caller: "alice", n: 1, retry: time.Minute},
		}
		for i, s := range steps {
			time.Sleep(s.wait) //nolint:forbidigo // the clock of the bubble
			// Nanoseconds are rounded away.
			if got := ask(s.caller, s.n); got != s.retry {
				t.Fatalf("step %d: again in %v, want %v", i, got, s.retry)
			}
		}
		_, err := g.ask(t, tokenize.Access{Caller: "carol", Purpose: "x"}, 61)
		if limit, ok := errors.AsType[*tokenize.LimitError](err); !ok || limit.RetryAfter != 0 || !strings.Contains(err.Error(), "at most 60") {
			t.Errorf("more than fits at all: %v", err)
		}
	})
}

func TestGatesThatMakeNoSenseAreRefused(t *testing.T) {
	for name, make := range map[string]func() (*tokenize.Gate, error){
		"no audit trail": func() (*tokenize.Gate, error) { return tokenize.NewGate(nil, allowAll) },
		"no authorizer":  func() (*tokenize.Gate, error) { return tokenize.NewGate(allow{}, nil) },
		"bulk above none": func() (*tokenize.Gate, error) {
			return tokenize.NewGate(allow{}, allowAll, tokenize.WithBulk(0, allowAll))
		},
		"no volume": func() (*tokenize.Gate, error) {
			return tokenize.NewGate(allow{}, allowAll, tokenize.WithVolume(0, time.Hour))
		},
		"no time": func() (*tokenize.Gate, error) { return tokenize.NewGate(allow{}, allowAll, tokenize.WithVolume(1, 0)) },
		"canaries without alarm": func() (*tokenize.Gate, error) {
			return tokenize.NewGate(allow{}, allowAll, tokenize.WithCanaries(nil, tokenize.Ref{Scope: "s", Token: []byte("t")}))
		},
	} {
		if g, err := make(); err == nil || g != nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var entry = tokenize.Entry{
	Request: tokenize.Request{
		Access: tokenize.Access{Caller: "alice", Purpose: `case "7"`}, Action: tokenize.ActionReveal, Scope: scope, Count: 3, Bulk: true,
	},
	ID: "ID1", Time: time.Date(2026, 11, 21, 12, 0, 0, 5, time.FixedZone("", 3600)), Reason: "role",
}

func TestAuditLinesAreJSON(t *testing.T) {
	var b bytes.Buffer
	a, err := tokenize.NewJSONAudit(&b)
	if err != nil {
		t.Fatal(err)
	}
	granted := entry
	granted.Granted, granted.Reason, granted.Bulk = true, "", false
	if err := errors.Join(a.Record(t.Context(), entry), a.Record(t.Context(), granted)); err != nil {
		t.Fatal(err)
	}
	const want = `{"time":"2026-11-21T11:00:00.000000005Z","id":"ID1","action":"reveal","granted":false,"reason":"role","caller":"alice","purpose":"case \"7\"","scope":"acme/email","count":3,"bulk":true}
{"time":"2026-11-21T11:00:00.000000005Z","id":"ID1","action":"reveal","granted":true,"caller":"alice","purpose":"case \"7\"","scope":"acme/email","count":3}
`
	if b.String() != want {
		t.Errorf("lines\n%s\nwant\n%s", b.String(), want)
	}
}

// tearing writes a part of a line and fails.
type tearing struct {
	bytes.Buffer

	keep int // bytes of the next line; -1 for all
	lie  bool
}

func (w *tearing) Write(p []byte) (int, error) {
	if w.keep < 0 {
		return w.Buffer.Write(p)
	}
	n, _ := w.Buffer.Write(p[:w.keep])
	if w.lie {
		return n, nil
	}
	return n, errors.New("disk full")
}

func TestATornLineTakesNoOtherWithIt(t *testing.T) {
	for _, keep := range []int{0, 1, 20} {
		w := &tearing{keep: keep, lie: keep == 20}
		a, err := tokenize.NewJSONAudit(w)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := a.Record(t.Context(), entry); err == nil {
				t.Error("a torn line is no error")
			}
		}
		w.keep = -1
		if err := errors.Join(a.Record(t.Context(), entry), a.Record(t.Context(), entry)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.String(), "}\n{") {
			t.Errorf("an empty line between whole ones:\n%s", w.String())
		}
		whole := 0
		for line := range strings.Lines(w.String()) {
			if json.Valid([]byte(line)) && strings.HasSuffix(line, "}\n") {
				whole++
			}
		}
		if whole != 2 {
			t.Errorf("%d whole lines of 2 after torn ones of %d bytes:\n%s", whole, keep, w.String())
		}
	}
}

// syncing fails to sync when told to.
type syncing struct {
	bytes.Buffer

	syncs int
	err   error
}

func (s *syncing) Sync() error { s.syncs++; return s.err }

func TestAnAuditLineIsSyncedWhenAsked(t *testing.T) {
	w := &syncing{}
	plain, err := tokenize.NewJSONAudit(w)
	if err != nil {
		t.Fatal(err)
	}
	synced, err := tokenize.NewJSONAudit(w, tokenize.WithSync())
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Record(t.Context(), entry); err != nil || w.syncs != 0 {
		t.Errorf("%v, %d syncs", err, w.syncs)
	}
	if err := synced.Record(t.Context(), entry); err != nil || w.syncs != 1 {
		t.Errorf("%v, %d syncs", err, w.syncs)
	}
	w.err = errors.New("no space")
	if err := synced.Record(t.Context(), entry); !errors.Is(err, w.err) {
		t.Error(err)
	}
	if _, err := tokenize.NewJSONAudit(&bytes.Buffer{}, tokenize.WithSync()); err == nil {
		t.Error("a buffer can be synced")
	}
	if _, err := tokenize.NewJSONAudit(nil); err == nil {
		t.Error("no writer is a writer")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "audit"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := tokenize.NewJSONAudit(f, tokenize.WithSync())
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Record(t.Context(), entry); err != nil {
		t.Error(err)
	}
}

// failing is a handler that fails.
type failing struct{ slog.Handler }

func (failing) Handle(context.Context, slog.Record) error { return errRole }

func TestAuditGoesToAHandlerOfLogs(t *testing.T) {
	var b bytes.Buffer
	h := slog.NewJSONHandler(&b, nil)
	if err := tokenize.NewSlogAudit(h).Record(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"level":"WARN"`, `"id":"ID1"`, `"granted":false`, `"reason":"role"`, `"caller":"alice"`, `"purpose":"case \"7\""`, `"scope":"acme/email"`, `"count":3`, `"bulk":true`, `"action":"reveal"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}
	granted := entry
	granted.Granted = true
	for name, a := range map[string]tokenize.SlogAudit{
		"a handler that fails":           tokenize.NewSlogAudit(failing{h}),
		"a handler that drops the level": tokenize.NewSlogAudit(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn})),
		"no handler":                     {},
	} {
		if err := a.Record(t.Context(), granted); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What no one may see in an audit line is not even given to it.
func TestAuditLinesHoldNoTokens(t *testing.T) {
	var b bytes.Buffer
	a, err := tokenize.NewJSONAudit(&b)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := tokenize.NewGate(a, allowAll)
	if err != nil {
		t.Fatal(err)
	}
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := tokenize.NewVault(store, tokenize.WithGate(gate))
	got := tokens(t, v, k, tok, "jane")
	if _, err := v.Detokenize(t.Context(), k, access, scope, values(got...)); err != nil {
		t.Fatal(err)
	}
	if s := b.String() + fmt.Sprint(entry); strings.Contains(s, got[0]) || strings.Contains(s, "jane") || !strings.Contains(s, "alice") {
		t.Errorf("lines: %s", s)
	}
}

func ExampleContextWithAccess() {
	ctx := tokenize.ContextWithAccess(context.Background(), tokenize.Access{Caller: "spiffe://example.org/support", Purpose: "case 4711"})
	a, _ := tokenize.AccessFrom(ctx)
	fmt.Println(a.Caller, "asks for", a.Purpose)
	// Output: spiffe://example.org/support asks for case 4711
}
