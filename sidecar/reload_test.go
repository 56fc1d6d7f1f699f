package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// An edit is what a reload finds: the texts of both files.
type edit struct{ config, policy string }

func brokenFiles() []edit {
	var out []edit
	for _, text := range []string{
		"", " ", "#", "version", "version:", "version: 2", "version: '1'", "version: 1\nversion: 1", "- 1", "1", "\x00", "\xff\xfe",
		"version: 1\n---\nversion: 1", "version: 1\n\tlisten: {}", "version: 1\nlisten: [", "version: 1\nlisten: {rest: 'x}",
		"version: 1\nlistn: {}", "version: 1\nlisten: 5", "version: 1\nlisten: {rest: 5}", "version: 1\nlisten: {rest: x}",
		"version: 1\nlisten: {rest: '', grpc: ''}", "version: 1\nadmin: {addr: nowhere}", "version: 1\nadmin: {pprof: on}",
		"version: 1\nkeys: {store: {kind: nothing}}", "version: 1\nkeys: {store: {kind: bolt}}", "version: 1\nvaults: {a: {}}",
		"version: 1\nshutdown: {timeout: 5}", "version: 1\nshutdown: {timeout: -5s}", "version: 1\nlimits: {streams: many}",
		"version: 1\nlimits: {streams: 0}", "version: 1\npolicy: {path: ''}", "version: 1\npolicy: {path: gone.yaml}", "version: 1\npolicy: {path: .}",
		"version: 1\nschemas: {registry: {password: x}}", "version: 1\nx: &a {}\ny: *a",
	} {
		out = append(out, edit{text, goodPolicy})
	}
	for _, text := range []string{
		"", "version: 1", "version: 3\nrules: []", "version: 1\nrules: [{tag: A}]", "version: 1\nrules: [{tag: A, action: encypt}]",
		"version: 1\nrules: [{tag: A, action: encrypt, key: none}]", "version: 1\nrule: []", "version: 1\nrules: {}", "rules: [{tag: A, action: drop}]",
		"version: 1\nrules: [{tag: A, action: drop}, {tag: A, action: drop}]", "version: 1\ntopics: []\nrules: [{tag: A, action: drop}]",
	} {
		out = append(out, edit{goodConfig, text})
	}
	// Half-written: the policy ends in the middle of a word, of a list, of a line.
	for _, end := range []string{"action: rej", "action: mask, keep_", "rules:", "{kek: \"aws-kms", "topics:\n  - {match", "fields: [{path: /home, action"} {
		head, _, _ := strings.Cut(goodPolicy, end)
		out = append(out, edit{goodConfig, head + end})
	}
	return out
}

func weakerFiles() []edit {
	var out []edit
	swap := func(text, old, with string) string {
		if !strings.Contains(text, old) {
			panic("the good text does not hold " + old)
		}
		return strings.Replace(text, old, with, 1)
	}
	for _, s := range [][2]string{
		{"  - {tag: PCI.CVV, action: reject}\n", ""},
		{"{tag: PCI.CVV, action: reject}", "{tag: PCI.CVV, action: drop}"},
		{"  - {tag: PII, action: encrypt, key: pii}\n", ""},
		{"{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: mask, keep_last: 2}"},
		{"keep_first: 1", "keep_first: 2"},
		{"untagged_field: reject\n", ""},
		{"untagged_field: reject\n", "untagged_field: reject\nunknown_tag: allow\n"},
		{"untagged_field: reject\n", "untagged_field: reject\nignore_tags: [OTHER]\n"},
		{"untagged_field: reject\n", "untagged_field: reject\non_mismatch: report\n"},
		{"{from: header:tenant}", "{from: header:tenant, required: false}"},
		{"{from: header:tenant}", "{from: key}"},
		{"aws-kms:alias/pii-{tenant}", "aws-kms:alias/pii"},
		{"aws-kms:alias/pii-{tenant}", "local:pii-{tenant}"},
		{"refresh: 5m, expire: 10m", "refresh: 5m, expire: 20m"},
		{", suite: xaes", ""},
		{"pins: [{path: /email}], ", ""},
		{"validate: true", "validate: false"},
		{", fields: [{path: /home, action: encrypt, key: pii}]", ""},
		{"  - {match: \"customers.*\"}\n", ""},
		{"fields: [{", "clear: [/note], fields: [{"},
	} {
		out = append(out, edit{goodConfig, swap(goodPolicy, s[0], s[1])})
	}
	for _, s := range [][2]string{
		{", memory: tags, memory_keks: [\"local:tags.kek\"]", ""}, {", ca: ca.pem", ""}, {"https://registry.example", "http://registry.example"},
		{"version: 1\n", "version: 1\npolicy: {allow_weakening: true}\n"},
	} {
		out = append(out, edit{swap(goodConfig, s[0], s[1]), goodPolicy})
	}
	return out
}

// 76 files that must not be followed are tried while requests come in. Each
// request sees one generation, and never one that was closed.
func TestNoBadFileIsFollowedAndNoRequestFailsMeanwhile(t *testing.T) {
	broken, weaker := brokenFiles(), weakerFiles()
	if len(broken) < 50 || len(weaker) < 20 {
		t.Fatalf("%d broken and %d weaker files", len(broken), len(weaker))
	}
	w := newWorld(t)
	w.start()
	var load sync.WaitGroup
	stop := make(chan struct{})
	failures := make(chan string, 1000)
	var served [4]int
	for i := range served {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := w.client.Get(w.url("rest", "/"))
				if err != nil {
					failures <- err.Error()
					return
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					failures <- fmt.Sprint(res.Status, err, string(b))
					return
				}
				served[i]++
			}
		})
	}
	try := func(e edit, want string) {
		t.Helper()
		w.write("fieldveil.yaml", e.config)
		w.write("policy.yaml", e.policy)
		before := w.built.Load()
		if got := w.hup(); got != want || w.built.Load() != before {
			t.Errorf("%s, want %s, for\n%s\n%s", got, want, e.config, e.policy)
		}
	}
	for _, e := range broken {
		try(e, ReloadInvalid)
	}
	for _, e := range weaker {
		try(e, ReloadWeaker)
	}
	status, body := w.get("admin", "/readyz")
	state := decode[readiness](t, body)
	if status != 200 || state.Reload.Outcome != ReloadWeaker || state.Reload.Generation != 1 || len(state.Reload.Change) != 32 || !strings.Contains(state.Reload.Error, "weakening-allowed") {
		t.Errorf("%d %s", status, body)
	}
	// Between them good ones, so that requests meet swaps too.
	for i := range 20 {
		w.write("fieldveil.yaml", strings.Replace(goodConfig, "debounce: 1ms", fmt.Sprintf("debounce: 1ms, grace: %ds", i+1), 1))
		w.write("policy.yaml", goodPolicy)
		if got := w.hup(); got != ReloadOK {
			t.Errorf("a good file: %s", got)
		}
	}
	close(stop)
	load.Wait()
	close(failures)
	for f := range failures {
		t.Error(f)
	}
	if served[0]+served[1]+served[2]+served[3] == 0 {
		t.Error("nothing was served meanwhile")
	}
	if _, body := w.get("rest", "/"); body != "21" {
		t.Errorf("generation %s serves", body)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d generations stay open", n)
	}
}

func TestAChangeThatProtectsLessPassesOnceWithItsDigest(t *testing.T) {
	w := newWorld(t)
	var acts []string
	w.opts.Audit = func(_ context.Context, act, _ string) error { acts = append(acts, act); return nil }
	w.start()
	weaker := weakerFiles()
	w.write("policy.yaml", weaker[0].policy)
	status, body := w.do(http.MethodPost, "admin", "/reload")
	refused := decode[Status](t, body)
	if status != http.StatusConflict || refused.Change == "" || refused.Outcome != ReloadWeaker {
		t.Fatalf("%d %s", status, body)
	}
	// The digest is for that change, and for no other.
	w.write("policy.yaml", weaker[3].policy)
	if status, body = w.do(http.MethodPost, "admin", "/reload?acknowledge="+refused.Change); status != http.StatusConflict {
		t.Errorf("another change: %d %s", status, body)
	}
	w.write("policy.yaml", weaker[0].policy)
	if status, body = w.do(http.MethodPost, "admin", "/reload?acknowledge="+refused.Change); status != http.StatusOK || decode[Status](t, body).Generation != 2 {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(w.log.String(), "protects less than before, as it was allowed to") {
		t.Error("the log does not say so")
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(acts, " "); got != "start reload stop" {
		t.Errorf("audited: %s", got)
	}
}

func TestAProcessThatWasStartedToAllowItFollowsWeakerFiles(t *testing.T) {
	for name, allow := range map[string]func(*world){
		"by a flag":     func(w *world) { w.opts.AllowWeakening = true },
		"by its file":   func(w *world) { w.write("fieldveil.yaml", goodConfig+"policy: {allow_weakening: true}\n") },
		"by a variable": func(w *world) { w.opts.Env = config.Environment{"FIELDVEIL_POLICY_ALLOW_WEAKENING=true"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			allow(w)
			w.start()
			w.write("policy.yaml", weakerFiles()[0].policy)
			if got := w.hup(); got != ReloadOK {
				t.Error(got)
			}
			if err := w.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatARestartWouldChangeIsNotHalfChanged(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.write("fieldveil.yaml", strings.Replace(goodConfig, `grpc: "127.0.0.1:0"`, `grpc: ""`, 1))
	if got := w.hup(); got != ReloadRestart {
		t.Error(got)
	}
	if _, body := w.get("admin", "/readyz"); !strings.Contains(body, "needs a restart to change: listen") {
		t.Error(body)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAReloadThatCannotBeBuiltOrAuditedChangesNothing(t *testing.T) {
	w := newWorld(t)
	var auditErr error
	w.opts.Audit = func(_ context.Context, act, _ string) error {
		if act == "reload" {
			return auditErr
		}
		return nil
	}
	inner := w.build
	var buildErr error
	w.opts.Build = func(ctx context.Context, cfg *config.Config) (*Generation, error) {
		if buildErr != nil {
			return nil, buildErr
		}
		return inner(ctx, cfg)
	}
	w.start()
	buildErr = errors.New("the KMS denies")
	if got := w.hup(); got != ReloadFailed {
		t.Error(got)
	}
	auditErr = errors.New("disk full")
	if got := w.hup(); got != ReloadUnaudit {
		t.Error(got)
	}
	if _, body := w.get("rest", "/"); body != "1" {
		t.Error(body)
	}
	buildErr, auditErr = nil, nil
	if got := w.hup(); got != ReloadOK {
		t.Error(got)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// As Kubernetes does it: the files link into a directory that is a link itself, and
// that one is replaced.
func TestAReplacedLinkIsSeen(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	place := func(version, policy string) {
		t.Helper()
		real := filepath.Join(dir, version)
		err := errors.Join(os.Mkdir(real, 0o750),
			os.WriteFile(filepath.Join(real, "fieldveil.yaml"), []byte(strings.Replace(goodConfig, "watch: false", "watch: true", 1)), 0o600),
			os.WriteFile(filepath.Join(real, "policy.yaml"), []byte(policy), 0o600),
			os.Symlink(version, filepath.Join(dir, "..next")), os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
		if err != nil {
			t.Fatal(err)
		}
	}
	place("..v1", goodPolicy)
	for _, name := range []string{"fieldveil.yaml", "policy.yaml"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.opts.Config = filepath.Join(dir, "fieldveil.yaml")
	w.start()
	place("..v2", goodPolicy+"# once more\n")
	if got := <-w.outcomes; got != ReloadOK {
		t.Error(got)
	}
	place("..v3", weakerFiles()[0].policy)
	if got := <-w.outcomes; got != ReloadWeaker {
		t.Error(got)
	}
	place("..v4", goodPolicy+"# and again\n")
	if got := <-w.outcomes; got != ReloadOK {
		t.Error(got)
	}
	if _, body := w.get("rest", "/"); body != "3" {
		t.Error(body)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesOfTheDirectoryAreNoReasonToReload(t *testing.T) {
	w := newWorld(t)
	w.write("fieldveil.yaml", strings.Replace(goodConfig, "watch: false", "watch: true", 1))
	w.start()
	for i := range 20 {
		w.write(fmt.Sprintf("other-%d", i), "x")
	}
	// As editors do it: what is written in place is seen half-written too.
	replace := func(text string) {
		t.Helper()
		w.write("next", text)
		if err := os.Rename(filepath.Join(w.dir, "next"), filepath.Join(w.dir, "policy.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	replace(goodPolicy) // the same as before
	replace(goodPolicy + "# changed\n")
	if got := <-w.outcomes; got != ReloadOK {
		t.Error(got)
	}
	if n := w.built.Load(); n != 2 {
		t.Errorf("%d generations were built", n)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestAGenerationIsClosedAfterItsLastUser(t *testing.T) {
	var c Current
	if gen, release := c.Acquire(); gen != nil {
		t.Error("there is one")
	} else {
		release()
	}
	closed := make(chan bool, 2)
	one := &Generation{Close: func(context.Context) { closed <- true }}
	if c.swap(one) != nil {
		t.Error("there was one before")
	}
	gen, release := c.Acquire()
	if gen != one {
		t.Error("another one")
	}
	old := c.swap(&Generation{})
	retired := make(chan struct{})
	go func() { old.retire(t.Context()); close(retired) }()
	if next, done := c.Acquire(); next == one {
		t.Error("the old one is handed out")
	} else {
		done()
	}
	select {
	case <-closed:
		t.Error("closed in use")
	default:
	}
	release()
	release() // once more does nothing
	<-retired
	if len(closed) != 1 {
		t.Errorf("closed %d times", len(closed))
	}
}

func TestWhoHoldsAGenerationTooLongIsToldByHisContext(t *testing.T) {
	var c Current
	there := make(chan bool)
	c.swap(&Generation{REST: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		there <- true
		<-r.Context().Done()
	})})
	h := c.handler(func(g *Generation) http.Handler { return g.REST })
	ended := make(chan bool)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if err != nil {
			return
		}
		h.ServeHTTP(nil, r)
		close(ended)
	}()
	<-there
	old := c.swap(&Generation{})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	old.retire(over)
	<-ended
}

func TestReadersNeverMeetAClosedGeneration(t *testing.T) {
	var c Current
	type state struct{ closed bool }
	var mu sync.Mutex
	states := map[*Generation]*state{}
	place := func() *slot {
		s := &state{}
		gen := &Generation{Close: func(context.Context) { mu.Lock(); s.closed = true; mu.Unlock() }}
		mu.Lock()
		states[gen] = s
		mu.Unlock()
		return c.swap(gen)
	}
	place()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				gen, release := c.Acquire()
				mu.Lock()
				if states[gen].closed {
					t.Error("closed in use")
				}
				mu.Unlock()
				release()
			}
		})
	}
	for range 200 {
		place().retire(t.Context())
	}
	all.Wait()
}
