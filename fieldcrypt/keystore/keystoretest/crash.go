package keystoretest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing" //nolint:depguard // this package is made for users' tests
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// CrashesEnv is the environment variable that says how many processes
// [CrashShred] and [CrashLedger] kill. The default is 20.
const CrashesEnv = "FIELDVEIL_KEYSTORE_CRASHES"

const (
	crashes     = 20
	crashDirEnv = "FIELDVEIL_KEYSTORE_CRASH_DIR"
	crashRunEnv = "FIELDVEIL_KEYSTORE_CRASH_RUN"

	crashWriters = 6
	crashFacts   = 300 // at most so many are told before a kill

	// childLife ends a child whose parent failed to.
	childLife = time.Minute
)

// A fact is what a child tells of a call: that it is about to forget a person,
// or what a call that returned has made durable. It is one line.
type fact struct {
	Kind  string `json:"kind"`
	Row   shred.Row
	Block []byte
	Mark  shred.Mark
	Entry shred.Entry
}

const (
	factRow        = "row"
	factForgetting = "forgetting"
	factForgotten  = "forgotten"
	factRoot       = "root"
	factMark       = "mark"
	factEntry      = "entry"
)

// CrashShred checks that what a store says is durable outlives the process. It
// runs the calling test again in a child process, where goroutines create roots
// and persons and forget some, kills that process at a random moment, opens the
// store anew and looks: who has a key has the same one, who was forgotten stays
// forgotten, nobody is half forgotten, and the mark did not go back. It does so
// 20 times on the same store, or as often as [CrashesEnv] says.
//
// open opens the store whose files are in dir, or which dir is the name of, and
// has it closed by t.Cleanup. CrashShred must be the only thing that a test
// does, as the child runs the whole test, and the test no subtest of another.
func CrashShred(t *testing.T, open func(t *testing.T, dir string) shred.Store) {
	t.Helper()
	h := shredHistory{rows: map[memory]shred.Row{}, doomed: map[memory]bool{}, gone: map[memory]shred.Row{}, roots: map[string][]byte{}}
	crash(t, crashTest{
		child: func(t *testing.T, dir, run string) error { t.Helper(); return useStore(open(t, dir), run) },
		add:   h.add,
		check: func(t *testing.T, dir string) error { t.Helper(); return h.check(t.Context(), open(t, dir)) },
		size:  func() int { return len(h.rows) + len(h.gone) },
	})
}

// CrashLedger does for a ledger what [CrashShred] does for a store: entries that
// were returned are there, unchanged, and the chain is whole. The file that open
// opens is made by the first call.
func CrashLedger(t *testing.T, open func(t *testing.T, dir string) shred.Ledger) {
	t.Helper()
	entries := map[uint64]shred.Entry{}
	crash(t, crashTest{
		child: func(t *testing.T, dir, _ string) error { t.Helper(); return useLedger(open(t, dir)) },
		add:   func(f fact) { entries[f.Entry.Seq] = f.Entry },
		check: func(t *testing.T, dir string) error {
			t.Helper()
			all, err := readAll(t.Context(), open(t, dir), 100)
			if err != nil {
				return err
			}
			for _, seq := range slices.Sorted(maps.Keys(entries)) {
				if seq > uint64(len(all)) || all[seq-1] != entries[seq] {
					return faultf("entry %d was returned and does not stand in the ledger", seq)
				}
			}
			return nil
		},
		size: func() int { return len(entries) },
	})
}

type crashTest struct {
	child func(t *testing.T, dir, run string) error // until it is killed
	add   func(fact)
	check func(t *testing.T, dir string) error
	size  func() int // of what was added
}

func crash(t *testing.T, c crashTest) {
	t.Helper()
	if dir := os.Getenv(crashDirEnv); dir != "" {
		if err := c.child(t, dir, os.Getenv(crashRunEnv)); err != nil {
			t.Fatal(err)
		}
		return
	}
	kills := crashes
	if s := os.Getenv(CrashesEnv); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("%s is no number above 0: %q", CrashesEnv, s)
		}
		kills = n
	}
	dir := t.TempDir()
	for i := range kills {
		if err := runAndKill(t.Context(), t.Name(), dir, strconv.Itoa(i), rand.IntN(crashFacts), c.add); err != nil { //nolint:gosec // any moment will do
			t.Fatalf("process %d: %v", i+1, err)
		}
		ok := t.Run(fmt.Sprintf("after kill %d", i+1), func(t *testing.T) {
			if err := c.check(t, dir); err != nil {
				t.Error(err)
			}
		})
		if !ok {
			return
		}
	}
	t.Logf("killed %d processes; %d facts stand", kills, c.size())
	if c.size() == 0 {
		t.Error("no process told anything: nothing was checked")
	}
}

// runAndKill runs the test in a child, kills it after it told some facts, and
// gives all that it told to add.
func runAndKill(ctx context.Context, test, dir, run string, after int, add func(fact)) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+test+"$", "-test.timeout=2m") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashRunEnv+"="+run)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var said []string // what is no fact
	lines, facts, killed := bufio.NewReader(out), 0, false
	for {
		// A line without its end was cut by the kill, and no one acted on it.
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				said = append(said, err.Error())
			}
			break
		}
		var f fact
		if json.Unmarshal(line, &f) == nil && f.Kind != "" { //nolint:musttag // the types of package shred go by the names of their fields
			add(f)
			facts++
		} else {
			said = append(said, strings.TrimSpace(string(line)))
		}
		if facts > after && !killed {
			killed = true
			_ = cmd.Process.Kill() // it has ended already: Wait tells
		}
	}
	_ = cmd.Wait() // a killed process is an error
	if !killed {
		return faultf("it ended by itself after %d facts: %q %s", facts, said, stderr.String())
	}
	return nil
}

// A teller writes facts to the standard output, each as a whole line.
type teller struct{ mu sync.Mutex }

func (t *teller) tell(f fact) error {
	line, err := json.Marshal(f) //nolint:musttag // as above
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}

// untilKilled runs f again and again in some goroutines, and returns the first
// error.
func untilKilled(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	defer cancel()
	errs := make(chan error)
	for range crashWriters {
		go func() {
			for {
				if err := f(ctx); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

func useLedger(l shred.Ledger) error {
	var t teller
	return untilKilled(func(ctx context.Context) error {
		e, err := l.Append(ctx, newEntry())
		if err != nil {
			return err
		}
		return t.tell(fact{Kind: factEntry, Entry: e})
	})
}

// useStore has the child work on persons of few tenants. Persons are new in
// each run, and some of them are forgotten at once.
func useStore(s shred.Store, run string) error {
	var t teller
	n, err := strconv.Atoi(run)
	if err != nil {
		return err
	}
	ledger := shred.LedgerID{1}
	return untilKilled(func(ctx context.Context) error {
		row := newRow(pick(rand.New(rand.NewPCG(rand.Uint64(), 0)), []string{"", "acme", "globex"})) //nolint:gosec // no secret
		stands, err := s.Create(ctx, row)
		if err != nil {
			return err
		}
		if err := t.tell(fact{Kind: factRow, Row: stands}); err != nil {
			return err
		}
		switch rand.IntN(4) { //nolint:gosec // no secret
		case 0, 1:
			if err := t.tell(fact{Kind: factForgetting, Row: row}); err != nil {
				return err
			}
			if err := s.Forget(ctx, row.Tenant, row.Person); err != nil {
				return err
			}
			return t.tell(fact{Kind: factForgotten, Row: row})
		case 2:
			tenant := "run " + run + " " + strconv.Itoa(rand.IntN(20)) //nolint:gosec // no secret
			block, err := s.CreateRoot(ctx, tenant, newRoot())
			if err != nil {
				return err
			}
			return t.tell(fact{Kind: factRoot, Row: shred.Row{Tenant: tenant}, Block: block})
		}
		// No hash: it is the same whenever the entry is.
		m := shred.Mark{Ledger: ledger, Seq: uint64(n)*1_000_000 + rand.Uint64N(1000)} //nolint:gosec // no secret
		if err := s.SetMark(ctx, m); err != nil {
			return err
		}
		return t.tell(fact{Kind: factMark, Mark: m})
	})
}

// memory names a person in a map.
type memory struct {
	tenant string
	person shred.PersonID
}

// A shredHistory is what the children told.
type shredHistory struct {
	rows   map[memory]shred.Row
	doomed map[memory]bool // a Forget was begun
	gone   map[memory]shred.Row
	roots  map[string][]byte
	mark   shred.Mark
}

func (h *shredHistory) add(f fact) {
	who := memory{f.Row.Tenant, f.Row.Person}
	switch f.Kind {
	case factRow:
		h.rows[who] = f.Row
	case factForgetting:
		h.doomed[who] = true
	case factForgotten:
		h.gone[who] = f.Row
	case factRoot:
		h.roots[f.Row.Tenant] = f.Block
	case factMark:
		if f.Mark.Seq >= h.mark.Seq {
			h.mark = f.Mark
		}
	}
}

func (h *shredHistory) check(ctx context.Context, s shred.Store) error {
	for who, row := range h.rows {
		_, err := s.Person(ctx, who.tenant, who.person)
		forgotten := errors.Is(err, shred.ErrForgotten)
		_, told := h.gone[who]
		switch {
		case told && !forgotten:
			return errors.New("a person who was forgotten is no longer")
		case forgotten && !h.doomed[who]:
			return errors.New("a person was forgotten whom nobody asked to forget")
		case !forgotten:
			if err := standsBoth(ctx, s, row); err != nil {
				return err
			}
			continue
		}
		again := newRow(who.tenant)
		again.Person = who.person
		thief := newRow(who.tenant)
		thief.Key = row.Key
		if err := errors.Join(
			byKey(ctx, s, who.tenant, row.Key, shred.ErrForgotten),
			refused(ctx, s, again, shred.ErrForgotten),
			refused(ctx, s, thief, shred.ErrTaken),
		); err != nil {
			return err
		}
	}
	for tenant, block := range h.roots {
		if err := hasRoot(ctx, s, tenant, block); err != nil {
			return err
		}
	}
	if h.mark == (shred.Mark{}) {
		return nil
	}
	m, err := s.Mark(ctx)
	if err == nil && (m.Seq < h.mark.Seq || m.Ledger != h.mark.Ledger) {
		return faultf("the mark went back from entry %d to %d", h.mark.Seq, m.Seq)
	}
	return want("Mark", err, nil)
}
