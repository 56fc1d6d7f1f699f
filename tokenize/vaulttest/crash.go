package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing" //nolint:depguard // this package is made for users' tests
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
)

// CrashesEnv is the environment variable that says how many processes [Crash]
// kills. The default is 20.
const CrashesEnv = "FIELDVEIL_VAULT_CRASHES"

const (
	crashes      = 20
	crashDirEnv  = "FIELDVEIL_VAULT_CRASH_DIR"
	crashNameEnv = "FIELDVEIL_VAULT_CRASH_SCOPE"

	crashWriters = 8
	crashValues  = 50_000  // few, so that values repeat between processes
	crashOften   = 500     // of these, half of all rows are, so that they race
	crashTokens  = 100_000 // few, so that tokens are taken
	crashRows    = 400     // at most so many are handed out before a kill

	// childLife ends a child whose parent failed to.
	childLife = time.Minute
)

// Crash checks that what a store says is durable outlives the process. It runs
// the calling test again in a child process, where 8 goroutines insert rows and
// hand out tokens, kills that process at a random moment, opens the store anew
// and checks with a [History] that no token was handed out in vain, no value
// has two tokens, and no token two values. It does so 20 times on the same
// store, or as often as [CrashesEnv] says.
//
// open opens the store whose files are in dir, or which dir is the name of, and
// has it closed by t.Cleanup. Crash must be the only thing that a test does, as
// the child runs the whole test, and the test no subtest of another.
func Crash(t *testing.T, open func(t *testing.T, dir string) tokenize.Store) {
	t.Helper()
	if dir := os.Getenv(crashDirEnv); dir != "" {
		if err := writeUntilKilled(open(t, dir), os.Getenv(crashNameEnv)); err != nil {
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
	dir, scope := t.TempDir(), scopeName()
	var h History
	for i := range kills {
		handed := 0
		err := runAndKill(t.Context(), t.Name(), dir, scope, rand.IntN(crashRows), func(row tokenize.Row) { //nolint:gosec // any moment will do
			handed++
			h.Add(row)
		})
		if err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		ok := t.Run(fmt.Sprintf("after kill %d", i+1), func(t *testing.T) {
			if err := h.Check(t.Context(), open(t, dir)); err != nil {
				t.Error(err)
			}
		})
		if !ok {
			return
		}
	}
	t.Logf("killed %d processes; %d values have tokens, and all stand", kills, h.Len())
	if h.Len() == 0 {
		t.Error("no process handed out a token: nothing was checked")
	}
}

// runAndKill runs the test in a child, kills it after it handed out some rows,
// and gives all that it handed out to add.
func runAndKill(ctx context.Context, test, dir, scope string, after int, add func(tokenize.Row)) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+test+"$", "-test.timeout=2m") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashNameEnv+"="+scope)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var said []string // what is no row
	lines, rows, killed := bufio.NewReader(out), 0, false
	for {
		// A line without its end was cut by the kill, and no one acted on it.
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				said = append(said, err.Error())
			}
			break
		}
		if row, ok := parseRow(line, scope); ok {
			add(row)
			rows++
		} else {
			said = append(said, strings.TrimSpace(line))
		}
		if rows > after && !killed {
			killed = true
			_ = cmd.Process.Kill() // it has ended already: Wait tells
		}
	}
	_ = cmd.Wait() // a killed process is an error
	if !killed {
		return fmt.Errorf("it ended by itself after %d rows: %q %s", rows, said, stderr.String())
	}
	return nil
}

const rowMark = "row "

func parseRow(line, scope string) (tokenize.Row, bool) {
	rest, ok := strings.CutPrefix(line, rowMark)
	if !ok {
		return tokenize.Row{}, false
	}
	b, err := hex.DecodeString(strings.TrimSpace(rest))
	if err != nil || len(b) <= tokenize.IndexSize {
		return tokenize.Row{}, false
	}
	return tokenize.Row{Scope: scope, Index: tokenize.Index(b[:tokenize.IndexSize]), Token: b[tokenize.IndexSize:]}, true
}

// writeUntilKilled is the child: it hands tokens out to its standard output.
func writeUntilKilled(s tokenize.Store, scope string) error {
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	defer cancel()
	var mu sync.Mutex // guards the output: a line is written whole
	write := func() error {
		rows := make([]tokenize.Row, 1+rand.IntN(4)) //nolint:gosec // no secret
		for i := range rows {
			rows[i] = newRow(scope)
			clear(rows[i].Index[:])
			binary.BigEndian.PutUint64(rows[i].Index[:], rand.Uint64N(crashValues)) //nolint:gosec // no secret
			rows[i].Token = strconv.AppendUint(nil, rand.Uint64N(crashTokens), 10)  //nolint:gosec // no secret
		}
		out, err := insert(ctx, s, rows...)
		if err != nil {
			return err
		}
		var lines []byte
		for _, o := range out {
			if o.Status == tokenize.Taken {
				continue
			}
			lines = append(lines, rowMark...)
			lines = hex.AppendEncode(lines, o.Row.Index[:])
			lines = hex.AppendEncode(lines, o.Row.Token)
			lines = append(lines, '\n')
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = os.Stdout.Write(lines)
		return err
	}
	errs := make(chan error)
	for range crashWriters {
		go func() {
			for {
				if err := write(); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}
