package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// openAfter opens a file that holds text.
func openAfter(t *testing.T, path string, text []byte) *Log {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return openFile(t, Config{Path: path})
}

func TestATrailGoesOnWhereItEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	var head Head
	for i := range 3 {
		l := openFile(t, Config{Path: path})
		if i > 0 && l.Head() != head {
			t.Errorf("opened at %v, want %v", l.Head(), head)
		}
		write(t, l, i+1)
		head = l.Head()
		closeLog(t, l)
		if err := l.Write(t.Context(), reveal(1)); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed log: %v", err)
		}
	}
	r := verify(t, VerifyConfig{}, readFile(t, path))
	whole(t, r, 6)
	if r.Last != head {
		t.Errorf("ends at %v, want %v", r.Last, head)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Many writers share syncs, and each line is durable when its writer goes on.
func TestManyWritersShareASync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	s := newFile(path, defaultMaxBytes)
	const writers, each = 32, 10
	var (
		mu      sync.Mutex
		synced  int64
		syncs   int
		started sync.WaitGroup
	)
	started.Add(writers)
	s.sync = func(f *os.File) error {
		syncs++
		if syncs == 2 { // the first is that of the opening
			started.Wait() // all are about to write, or have
		}
		info, err := f.Stat()
		mu.Lock()
		defer mu.Unlock()
		synced = info.Size()
		return errors.Join(err, f.Sync())
	}
	l, err := open(t.Context(), s, sealer{}, testClock())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			started.Done()
			for i := range each {
				e := reveal(1)
				e.Request = fmt.Sprintf("%d-%d.", w, i)
				if err := l.Write(t.Context(), e); err != nil {
					t.Error(err)
				}
				mu.Lock()
				size := synced
				mu.Unlock()
				text := make([]byte, size)
				f, err := os.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = f.ReadAt(text, 0)
				f.Close()
				if err != nil || !bytes.Contains(text, []byte(e.Request)) {
					t.Errorf("FV-112: %s is not in what was synced: %v", e.Request, err)
				}
			}
		})
	}
	wg.Wait()
	stats := l.Stats()
	closeLog(t, l)
	if stats.Lines != writers*each || stats.Commits >= stats.Lines {
		t.Errorf("%d lines in %d syncs", stats.Lines, stats.Commits)
	}
	whole(t, verify(t, VerifyConfig{}, readFile(t, path)), writers*each)
}

// FV-113: after a failure nothing is taken until the log is opened anew, and then
// what nobody was told of is gone.
func TestABrokenTrailRefusesUntilItIsReopened(t *testing.T) {
	errDisk := errors.New("no space left")
	for name, fail := range map[string]func(s *file, on *bool){
		"sync": func(s *file, on *bool) {
			s.sync = func(f *os.File) error {
				if *on {
					return errDisk
				}
				return f.Sync()
			}
		},
		"write": func(s *file, on *bool) {
			s.write = func(f *os.File, b []byte, at int64) (int, error) {
				if *on {
					n, _ := f.WriteAt(b[:len(b)/2], at)
					return n, errDisk
				}
				return f.WriteAt(b, at)
			}
		},
	} {
		for _, durable := range []int{0, 3} {
			t.Run(fmt.Sprintf("%s after %d lines", name, durable), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit")
				s := newFile(path, defaultMaxBytes)
				var on bool
				fail(s, &on)
				l, err := open(t.Context(), s, sealer{}, testClock())
				if err != nil {
					t.Fatal(err)
				}
				write(t, l, durable)
				on = true
				lost := reveal(9)
				lost.Request = "lost"
				if err := l.Write(t.Context(), lost); !errors.Is(err, ErrBroken) || !errors.Is(err, errDisk) {
					t.Fatalf("written to a broken disk: %v", err)
				}
				on = false
				if err := l.Write(t.Context(), lost); !errors.Is(err, ErrBroken) {
					t.Errorf("a broken log took a line: %v", err)
				}
				if !errors.Is(l.Err(), ErrBroken) || l.Head().Seq != uint64(durable) {
					t.Errorf("state %v, head %d", l.Err(), l.Head().Seq)
				}
				on = true
				if err := l.Reopen(t.Context()); !errors.Is(err, ErrBroken) {
					t.Errorf("reopened on a broken disk: %v", err)
				}
				on = false
				if err := l.Reopen(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := l.Reopen(t.Context()); err != nil {
					t.Errorf("a whole one: %v", err)
				}
				write(t, l, 1)
				closeLog(t, l)
				text := readFile(t, path)
				whole(t, verify(t, VerifyConfig{}, text), durable+2)
				lines := parsed(t, text)
				if bytes.Contains(text, []byte("lost")) || lines[durable].Action != actionResumed {
					t.Errorf("the file is\n%s", text)
				}
			})
		}
	}
}

func TestAFileThatWasTouchedIsNotWrittenOn(t *testing.T) {
	for name, touch := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+".old") },
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"appended": func(path string) error { return appendTo(path, "x") },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, []byte{}, 0o600))
		},
	} {
		path := filepath.Join(t.TempDir(), "audit")
		l := openFile(t, Config{Path: path})
		write(t, l, 2)
		if err := touch(path); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(t.Context(), reveal(1)); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		err := l.Reopen(t.Context())
		if (name == "appended") != (err == nil) {
			t.Errorf("%s: reopened: %v", name, err)
		}
		if name != "appended" && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: reopened: %v", name, err)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// FV-115
func TestADamagedFileIsNotOpened(t *testing.T) {
	lines, _ := trail(t, 4)
	for name, text := range map[string][]byte{
		"a line is missing":     bytes.Join([][]byte{lines[0], lines[2], lines[3]}, nil),
		"a line was changed":    bytes.Replace(bytes.Join(lines, nil), []byte("case 2"), []byte("case 3"), 1),
		"something else":        []byte("hello\n"),
		"something without end": bytes.Repeat([]byte("x"), MaxLine+1),
		"two trails":            append(bytes.Join(lines, nil), lines[0]...),
	} {
		path := filepath.Join(t.TempDir(), "audit")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Config{To: ToFile, Path: path}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(readFile(t, path), text) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	path := filepath.Join(t.TempDir(), "audit")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{To: ToFile, Path: path}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a file that others may write: %v", err)
	}
}

// FV-115: two processes do not write one file.
func TestAFileHasOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path})
	if _, err := Open(t.Context(), Config{To: ToFile, Path: path}); !errors.Is(err, errLocked) {
		t.Errorf("a second writer: %v", err)
	}
	closeLog(t, l)
	write(t, openFile(t, Config{Path: path}), 1)
}

// FV-114: the file of a process that died in the midst of a line.
func TestATornLineIsClosedAndTheChainGoesOn(t *testing.T) {
	lines, _ := trail(t, 3)
	for _, before := range []int{0, 2} {
		// The last bytes are where it is decided.
		cuts := []int{1, 2, 17, 100, len(lines[before]) - 3, len(lines[before]) - 2, len(lines[before]) - 1}
		for _, cut := range cuts {
			path := filepath.Join(t.TempDir(), "audit")
			text := append(bytes.Join(lines[:before], nil), lines[before][:cut]...)
			l := openAfter(t, path, text)
			write(t, l, 1)
			closeLog(t, l)
			got := readFile(t, path)
			r := verify(t, VerifyConfig{}, got)
			if !bytes.HasPrefix(got, text) || len(r.Faults) > 0 {
				t.Fatalf("%d of line %d: %v\n%s", cut, before+1, r.Faults, got)
			}
			if torn := cut < len(lines[before])-1; torn != (r.Torn == 1) || r.Lines != before+2 {
				t.Errorf("%d of %d bytes: %d lines, %d remnants", cut, len(lines[before]), r.Lines, r.Torn)
			}
		}
	}
}

// FV-117
func TestAFullFileIsFollowedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	seal, key := sealKey(t)
	c := Config{Path: path, MaxBytes: minMaxBytes, Seal: seal}
	const lines = 600
	for range 3 {
		l := openFile(t, c)
		write(t, l, lines/3)
		closeLog(t, l)
	}
	parts, err := Parts(path)
	if err != nil || len(parts) < 3 {
		t.Fatalf("%d files: %v", len(parts), err)
	}
	var texts [][]byte
	for _, p := range append(parts, path) {
		texts = append(texts, readFile(t, p))
	}
	whole(t, verify(t, VerifyConfig{Keys: []Key{key}}, texts...), lines)
	for i := range texts {
		if i == len(texts)-1 {
			continue // a cut end
		}
		without := append(append([][]byte{}, texts[:i]...), texts[i+1:]...)
		if r := verify(t, VerifyConfig{}, without...); len(r.Faults) == 0 {
			t.Errorf("without file %d nothing is wrong", i)
		}
	}
	// A crash between the two names leaves none under the old one.
	last := len(texts) - 1
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l := openFile(t, c)
	write(t, l, 1)
	closeLog(t, l)
	left := lines - len(parsed(t, texts[last]))
	texts[last] = readFile(t, path)
	whole(t, verify(t, VerifyConfig{Keys: []Key{key}}, texts...), left+1)
}

func TestFilesBeforeMayBeKeptElsewhere(t *testing.T) {
	lines, _ := trail(t, 5)
	path := filepath.Join(t.TempDir(), "audit")
	l := openAfter(t, path, bytes.Join(lines[2:], nil))
	write(t, l, 1)
	closeLog(t, l)
	whole(t, verify(t, VerifyConfig{}, bytes.Join(lines[:2], nil), readFile(t, path)), 6)
}

func TestEntriesThatCannotBeWrittenAreRefused(t *testing.T) {
	l := openFile(t, Config{Path: filepath.Join(t.TempDir(), "audit")})
	for name, change := range map[string]func(e *Entry){
		"no action":                 func(e *Entry) { e.Action = "" },
		"an action with a space":    func(e *Entry) { e.Action = "a b" },
		"the log's own action":      func(e *Entry) { e.Action = actionTorn },
		"no outcome":                func(e *Entry) { e.Outcome = "" },
		"another outcome":           func(e *Entry) { e.Outcome = "maybe" },
		"a negative count":          func(e *Entry) { e.Count = -1 },
		"an identifier of a person": func(e *Entry) { e.Person = "jane@example.com" },
		"a long text":               func(e *Entry) { e.Reason = strings.Repeat("x", MaxText+1) },
		"a long line":               func(e *Entry) { e.Reason, e.Actor = strings.Repeat("\x01", MaxText), strings.Repeat("\x01", MaxText) },
	} {
		e := reveal(1)
		change(&e)
		if err := l.Write(t.Context(), e); !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "jane") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(ctx, reveal(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone: %v", err)
	}
	e := reveal(1)
	e.Tenant = "a\xffb"
	if err := l.Write(t.Context(), e); err != nil || l.Head().Seq != 1 {
		t.Errorf("no UTF-8: %v, seq %d", err, l.Head().Seq)
	}
	var none *Log
	if err := none.Write(t.Context(), reveal(1)); !errors.Is(err, ErrClosed) || !errors.Is(none.Err(), ErrClosed) {
		t.Errorf("no log: %v", err)
	}
}

func TestConfigurationsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"nowhere":                {Config{To: "syslog"}, "to:"},
		"a file without a path":  {Config{To: ToFile}, "path:"},
		"a path and no file":     {Config{To: ToStdout, Path: "x"}, "path:"},
		"Kafka without a topic":  {Config{To: ToKafka}, "topic:"},
		"small files":            {Config{To: ToFile, Path: "x", MaxBytes: 1}, "max_bytes:"},
		"a long timeout":         {Config{To: ToStdout, Timeout: maxTimeout + 1}, "timeout:"},
		"two keys":               {Config{To: ToStdout, Seal: SealConfig{HMAC: secret.Env("A"), Ed25519: secret.Env("B")}}, "seal:"},
		"a key in the file":      {Config{To: ToStdout, Seal: SealConfig{HMAC: secret.Value(hmacKey)}}, "seal.hmac:"},
		"a private key in there": {Config{To: ToStdout, Seal: SealConfig{Ed25519: secret.Value("CANARY")}}, "seal.ed25519:"},
	} {
		err := tt.c.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), hmacKey) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(t.Context(), tt.c); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	c := DefaultConfig()
	if err := c.Validate(); err != nil || c.Enabled() {
		t.Errorf("the default: %v", err)
	}
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrClosed) {
		t.Errorf("no trail was opened: %v", err)
	}
}

// FV-115: the end of a file is written and synced again before a line is added.
func TestTheEndOfAFileIsWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path})
	for range 100 {
		e := reveal(1)
		e.Reason = strings.Repeat("x", MaxText)
		e.Target = e.Reason
		if err := l.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	text := readFile(t, path)
	s := newFile(path, defaultMaxBytes)
	var acts []string
	s.write = func(f *os.File, b []byte, at int64) (int, error) {
		if int(at) < len(text) && !bytes.Equal(b, text[at:]) {
			t.Errorf("%d other bytes were written at %d", len(b), at)
		}
		acts = append(acts, fmt.Sprintf("write %d", at))
		return f.WriteAt(b, at)
	}
	s.sync = func(f *os.File) error {
		acts = append(acts, "sync")
		return f.Sync()
	}
	l, err := open(t.Context(), s, sealer{}, testClock())
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, 1)
	closeLog(t, l)
	want := fmt.Sprintf("[write %d sync write %d sync]", len(text)-maxBatch, len(text))
	if got := fmt.Sprint(acts); len(text) <= maxBatch || got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
