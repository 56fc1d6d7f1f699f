//go:build unix

package persons

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// The test binary is a process of the deployment when these say so.
const (
	storeEnv  = "FIELDVEIL_PERSONS_TEST_STORE"
	ledgerEnv = "FIELDVEIL_PERSONS_TEST_LEDGER"
	kekEnv    = "FIELDVEIL_PERSONS_TEST_KEK"
)

const policy = `
version: 1
dataset: people
persons: {kek: "local:%s", by: /id}
topics: [{match: "*", format: json, fields: [{path: /name, action: encrypt, mode: person}]}]
`

func TestMain(m *testing.M) {
	if os.Getenv(storeEnv) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve answers one line for each that it reads, until there are none.
func serve() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	e, end, err := open(ctx, os.Getenv(storeEnv), os.Getenv(ledgerEnv), os.Getenv(kekEnv))
	if err != nil {
		return err
	}
	defer end()
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.Fields(in.Text())
		switch words[0] {
		case "seal":
			out, err := e.Protect(ctx, record(words[1]))
			fmt.Println(words[1], answer(err), hex.EncodeToString(out.Value))
		case "open":
			sealed, err := hex.DecodeString(words[2])
			if err != nil {
				return err
			}
			out, err := e.Reveal(ctx, fieldcrypt.Record{Topic: "t", Value: sealed})
			if err == nil && !bytes.Equal(out.Value, record(words[1]).Value) {
				err = errors.New("another value")
			}
			fmt.Println(words[1], answer(err))
		case "forget":
			fmt.Println("forgetting", words[1])
			_, err := e.Forget(ctx, "", words[1], "test", "request")
			fmt.Println(words[1], answer(err))
		}
	}
	return in.Err()
}

func answer(err error) string {
	if e, ok := errors.AsType[*fieldcrypt.Error](err); ok {
		return string(e.Code)
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

// record is one of a person.
func record(who string) fieldcrypt.Record {
	return fieldcrypt.Record{Topic: "t", Value: fmt.Appendf(nil, `{"id":%q,"name":"Name of %s"}`, who, who)}
}

// open returns an engine as each process has it.
func open(ctx context.Context, storeURL, ledgerURL, kek string) (e *fieldcrypt.Engine, end func(), err error) {
	p, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, policy, kek))
	if err != nil {
		return nil, nil, err
	}
	pools := make([]*pgxpool.Pool, 2)
	for i, url := range []string{storeURL, ledgerURL} {
		if pools[i], err = pgxpool.New(ctx, url); err != nil {
			return nil, nil, err
		}
	}
	s, err := pgstore.New(pools[0])
	if err != nil {
		return nil, nil, err
	}
	l, err := pgstore.NewLedger(pools[1])
	if err != nil {
		return nil, nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()})
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		keys.Close()
		pools[0].Close()
		pools[1].Close()
	}
	persons, err := datakey.OpenPersons(ctx, keys, s, l)
	if err != nil {
		end()
		return nil, nil, err
	}
	if e, err = fieldcrypt.New(p, keys, fieldcrypt.WithPersons(persons)); err != nil {
		end()
		return nil, nil, err
	}
	return e, end, nil
}

// A process is another one of the deployment.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   *os.File
	out  *bufio.Scanner
	log  strings.Builder
	done chan struct{} // closed at its end
}

func start(t *testing.T, storeURL, ledgerURL, kek string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), exe), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), storeEnv+"="+storeURL, ledgerEnv+"="+ledgerURL, kekEnv+"="+kek)
	p.cmd.Stderr = &p.log
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	stdin, in := pipe()
	out, stdout := pipe()
	p.cmd.Stdin, p.cmd.Stdout, p.in = stdin, stdout, in
	p.out = bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	started := make(chan error)
	go func() { // stays on its thread, whose end would be the child's too
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(p.cmd)
		err := p.cmd.Start()
		_, _ = stdin.Close(), stdout.Close()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // killed, or at the end of its input: what it said tells more
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if p.done != nil {
			<-p.done
		}
		_ = out.Close()
	})
	if got := p.line(); got != "ready" {
		t.Fatalf("a process says %q\n%s", got, p.log.String())
	}
	return p
}

// line returns the next line, empty when the process has ended.
func (p *process) line() string {
	if !p.out.Scan() {
		return ""
	}
	return p.out.Text()
}

// ask sends lines and returns what is answered to each.
func (p *process) ask(lines ...string) []string {
	p.t.Helper()
	go func() {
		_, _ = fmt.Fprintln(p.in, strings.Join(lines, "\n")) // a process that ended answers nothing
	}()
	out := make([]string, len(lines))
	for i := range out {
		if out[i] = p.line(); strings.HasPrefix(out[i], "forgetting ") {
			out[i] = p.line()
		}
		if out[i] == "" {
			p.t.Fatalf("a process ended before line %d\n%s", i, p.log.String())
		}
	}
	return out
}

// kill ends the process at once.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	<-p.done
	p.done = nil
}
