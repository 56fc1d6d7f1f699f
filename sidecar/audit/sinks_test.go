package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/sidecar/secret"
	"github.com/fieldveil/fieldveil/tokenize"
)

func TestLinesOnStandardOutput(t *testing.T) {
	var out bytes.Buffer
	fail := 0
	w := writerFunc(func(b []byte) (int, error) {
		if fail > 0 {
			fail--
			out.Write(b[:10])
			return 10, errors.New("broken pipe")
		}
		return out.Write(b)
	})
	l, err := Open(t.Context(), Config{To: ToStdout}, WithStdout(w), WithClock(testClock()))
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, 2)
	fail = 1
	if err := l.Write(t.Context(), reveal(1)); !errors.Is(err, ErrBroken) {
		t.Fatalf("a broken pipe: %v", err)
	}
	before := l.Head()
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, l, 1)
	closeLog(t, l)
	lines := parsed(t, out.Bytes())
	if len(lines) != 4 || lines[2].Action != actionResumed || lines[2].Seq != 1 || lines[2].Target != before.Trail.String()+"/2" {
		t.Errorf("written:\n%s", out.String())
	}
	// What is left of a line is seen, and nothing else is wrong.
	if r := verify(t, VerifyConfig{Many: true}, out.Bytes()); len(r.Faults) != 1 || r.Faults[0].Line != 3 || r.Trails != 2 {
		t.Errorf("%+v", r)
	}
}

// A fakeProducer keeps what it is given.
type fakeProducer struct {
	err  error
	text []byte
	keys map[string]bool
	hang bool
}

func (p *fakeProducer) Produce(ctx context.Context, topic string, key []byte, values [][]byte) error {
	if p.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if p.err != nil {
		return p.err
	}
	p.keys[topic+"/"+string(key)] = true
	for _, v := range values {
		p.text = append(append(p.text, v...), '\n')
	}
	return nil
}

func TestLinesInATopic(t *testing.T) {
	p := &fakeProducer{keys: make(map[string]bool)}
	c := Config{To: ToKafka, Topic: "audit", Timeout: 1}
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("opened without a producer")
	}
	l, err := Open(t.Context(), c, WithProducer(p))
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, 3)
	id := l.Head().Trail
	whole(t, verify(t, VerifyConfig{}, p.text), 3)
	if len(p.keys) != 1 || !p.keys["audit/"+string(id[:])] {
		t.Errorf("keys %v", p.keys)
	}
	p.hang = true // the brokers do not answer: the timeout ends it
	if err := l.Write(t.Context(), reveal(1)); !errors.Is(err, ErrBroken) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	p.hang = false
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, l, 1)
	closeLog(t, l)
	whole(t, verify(t, VerifyConfig{Many: true}, p.text), 5)
}

const (
	childPath = "FIELDVEIL_AUDIT_CHILD"
	kills     = 20
)

// TestMain is also the process that TestAWriterThatIsKilled kills.
func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	if path == "" {
		os.Exit(m.Run())
	}
	l, err := Open(context.Background(), Config{To: ToFile, Path: path, MaxBytes: minMaxBytes})
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				e := reveal(1)
				e.Request = strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(w) + "-" + strconv.Itoa(i) + "."
				if l.Write(context.Background(), e) == nil {
					_, _ = os.Stdout.WriteString(e.Request + "\n")
				}
			}
		}()
	}
	select {}
}

// FV-112: whatever was reported as written before a SIGKILL is there, and the
// chain is whole.
func TestAWriterThatIsKilledLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	for kill := range kills {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), childPath+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(out)
		for n := 0; in.Scan(); n++ {
			reported = append(reported, in.Text())
			if n == 5+kill*3 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
	}
	l := openFile(t, Config{Path: path, MaxBytes: minMaxBytes})
	closeLog(t, l)
	parts, err := Parts(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts [][]byte
	for _, p := range append(parts, path) {
		texts = append(texts, readFile(t, p))
	}
	r := verify(t, VerifyConfig{}, texts...)
	if len(r.Faults) > 0 || r.Lines < len(reported) || len(reported) < kills*6 {
		t.Errorf("%d lines, %d reported, faults %v", r.Lines, len(reported), r.Faults)
	}
	all := string(bytes.Join(texts, nil))
	for _, request := range reported {
		if !strings.Contains(all, `"`+request+`"`) {
			t.Errorf("%s was reported and is not there", request)
		}
	}
	t.Logf("%d lines in %d files, %d reported, %d remnants", r.Lines, len(texts), len(reported), r.Torn)
}

func TestTheGateOfTokensWritesItsTrailHere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path})
	a := TokenAudit(l)
	req := tokenize.Request{Access: tokenize.Access{Caller: "ann", Purpose: "case 7"}, Action: tokenize.ActionReveal, Scope: "pan", Count: 2}
	for _, e := range []tokenize.Entry{
		{Request: req, ID: "r1", Granted: true},
		{Request: tokenize.Request{Action: tokenize.ActionErase, Scope: "pan", Count: 200, Bulk: true}, ID: "r2", Reason: "bulk"},
	} {
		if err := a.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	lines := parsed(t, readFile(t, path))
	want := []Entry{
		{Action: ActionDetokenize, Outcome: Granted, Actor: "ann", Request: "r1", Scope: "pan", Purpose: "case 7", Count: 2},
		{Action: ActionErase, Outcome: Denied, Request: "r2", Scope: "pan", Target: "bulk", Reason: "bulk", Count: 200},
	}
	for i := range want {
		if lines[i].Entry != want[i] {
			t.Errorf("line %d is %+v", i, lines[i].Entry)
		}
	}
	if err := a.Record(t.Context(), tokenize.Entry{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed trail: %v", err)
	}
}

type fakeForgetter struct {
	calls int
	err   error
}

func (f *fakeForgetter) PersonID(_ context.Context, _, person string) (shred.PersonID, error) {
	if person == "" {
		return shred.PersonID{}, errors.New("no person")
	}
	return shred.PersonID{1, 2}, nil
}

func (f *fakeForgetter) Forget(_ context.Context, tenant, _, by, reason string) (shred.Entry, error) {
	f.calls++
	return shred.Entry{Tenant: tenant, By: by, Reason: reason}, f.err
}

func TestForgettingIsWrittenBeforeAndAfter(t *testing.T) {
	const canary = "jane@example.com"
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path})
	f := &fakeForgetter{}
	who := Entry{Actor: "ann", Tenant: "acme", Reason: "request 12"}
	entry, err := l.Forget(t.Context(), f, who, canary)
	if err != nil || entry.By != "ann" || entry.Tenant != "acme" || entry.Reason != "request 12" {
		t.Errorf("%+v, %v", entry, err)
	}
	f.err = errors.New("the store is away, says " + canary)
	if _, err := l.Forget(t.Context(), f, who, canary); !errors.Is(err, f.err) {
		t.Errorf("an act that failed: %v", err)
	}
	if _, err := l.Forget(t.Context(), f, who, ""); err == nil {
		t.Error("nobody was forgotten")
	}
	closeLog(t, l)
	text := readFile(t, path)
	var got []Outcome
	for _, line := range parsed(t, text) {
		got = append(got, line.Outcome)
		if line.Action != ActionForget || line.Person != (shred.PersonID{1, 2}).String() || line.Count != 1 {
			t.Errorf("line %+v", line.Entry)
		}
	}
	if len(got) != 4 || got[0] != Granted || got[1] != Done || got[2] != Granted || got[3] != Failed {
		t.Errorf("outcomes %v", got)
	}
	if bytes.Contains(text, []byte(canary)) {
		t.Error("FV-118: the trail holds the identifier")
	}
	calls := f.calls
	if _, err := l.Forget(t.Context(), f, who, canary); !errors.Is(err, ErrClosed) || f.calls != calls {
		t.Errorf("FV-112: forgot without a line: %v", err)
	}
}

func TestAnActWhoseOutcomeCannotBeWritten(t *testing.T) {
	l := openFile(t, Config{Path: filepath.Join(t.TempDir(), "audit")})
	err := l.Do(t.Context(), Entry{Action: ActionReloaded}, func(ctx context.Context) error { return l.Close(ctx) })
	if !errors.Is(err, ErrOutcome) || !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestSealsOfBothKinds(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "private"), filepath.Join(dir, "public")
	writePEM(t, private, public)
	for name, tt := range map[string]struct {
		seal   SealConfig
		verify []secret.Secret
	}{
		"ed25519": {SealConfig{Ed25519: secret.File(private)}, []secret.Secret{secret.File(private), secret.File(public)}},
		"hmac":    {SealConfig{HMAC: fileSecret(t, hmacKey)}, []secret.Secret{secret.Value(hmacKey)}},
	} {
		path := filepath.Join(t.TempDir(), "audit")
		l := openFile(t, Config{Path: path, Seal: tt.seal})
		write(t, l, 3)
		closeLog(t, l)
		for _, s := range tt.verify {
			k, err := ReadKey(s)
			if err != nil {
				t.Fatal(err)
			}
			r := verify(t, VerifyConfig{Keys: []Key{k}}, readFile(t, path))
			whole(t, r, 3)
			if r.Sealed != 3 || !strings.HasPrefix(k.ID(), name+":") {
				t.Errorf("%s: %d sealed by %s", name, r.Sealed, k.ID())
			}
		}
		other, err := ReadKey(secret.Value(strings.Repeat("y", 32)))
		if err != nil {
			t.Fatal(err)
		}
		if r := verify(t, VerifyConfig{Keys: []Key{other}}, readFile(t, path)); len(r.Faults) != 3 {
			t.Errorf("%s: under another key: %v", name, r.Faults)
		}
	}
	for name, seal := range map[string]SealConfig{
		"a short key":   {HMAC: fileSecret(t, "short CANARY")},
		"no PEM":        {Ed25519: fileSecret(t, hmacKey)},
		"a public key":  {Ed25519: secret.File(public)},
		"no file":       {HMAC: secret.File(filepath.Join(dir, "none"))},
		"no other file": {Ed25519: secret.File(filepath.Join(dir, "none"))},
	} {
		if _, err := Open(t.Context(), Config{To: ToStdout, Seal: seal}); err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), hmacKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]secret.Secret{
		"nothing": {}, "short": secret.Value("short"), "other PEM": secret.Value("-----BEGIN X-----\nAAAA\n-----END X-----\n"),
	} {
		if _, err := ReadKey(s); err == nil {
			t.Errorf("%s is a key", name)
		}
	}
}
