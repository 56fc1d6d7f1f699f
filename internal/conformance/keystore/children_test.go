//go:build unix

package keystore

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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

const (
	// childEnv has the test binary be another process of the same system: it
	// says what to do.
	childEnv = "FIELDVEIL_KEYSTORE_TEST_CHILD"
	// urlEnv tells it where the server is.
	urlEnv = "FIELDVEIL_KEYSTORE_TEST_URL"
	// lineFields is how many words a child says at a time.
	lineFields = 2
)

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := beChild(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beChild does a job: a word and its arguments.
func beChild(job string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pool, err := pgxpool.New(ctx, os.Getenv(urlEnv))
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := pgstore.New(pool)
	if err != nil {
		return err
	}
	words := strings.Fields(job)
	switch words[0] {
	case "create":
		return childCreates(ctx, s, words[1:])
	case "read":
		return childReads(ctx, s)
	case "forget":
		l, err := pgstore.NewLedger(pool, pgstore.WithSchema("ledger"))
		if err != nil {
			return err
		}
		return childForgets(ctx, s, l, words[1])
	}
	return errors.New("no such job")
}

// childCreates creates a key for each of so many persons, so many times at once,
// and prints what stands for each.
func childCreates(ctx context.Context, s *pgstore.Store, words []string) error {
	first, _ := strconv.Atoi(words[0])
	persons, _ := strconv.Atoi(words[1])
	creators, _ := strconv.Atoi(words[2])
	together, _ := strconv.Atoi(words[3])
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	work := make(chan int)
	for range creators {
		wg.Go(func() {
			for i := range work {
				r := row("acme")
				r.Person = numbered(i)
				stands, err := s.Create(ctx, r)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				}
				fmt.Println(i, hex.EncodeToString(stands.Key[:])+hex.EncodeToString(stands.Sealed))
				mu.Unlock()
			}
		})
	}
	for i := first; i < first+persons; i++ {
		for range together {
			work <- i
		}
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

// childReads prints what stands for each person of the numbers it is given.
func childReads(ctx context.Context, s *pgstore.Store) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		i, _ := strconv.Atoi(in.Text())
		r, err := s.Person(ctx, "acme", numbered(i))
		switch {
		case errors.Is(err, shred.ErrForgotten):
			fmt.Println(i, "forgotten")
		case err != nil:
			return err
		default:
			fmt.Println(i, hex.EncodeToString(r.Key[:])+hex.EncodeToString(r.Sealed))
		}
	}
	return in.Err()
}

// childForgets forgets a person in three steps, and says before and after each
// where it is.
func childForgets(ctx context.Context, s *pgstore.Store, l *pgstore.Ledger, person string) error {
	raw, err := hex.DecodeString(person)
	if err != nil {
		return err
	}
	p := shred.PersonID(raw)
	say := func(word string) { fmt.Println(word, "now") }
	// What comes first only is not the point here.
	if err := errors.Join(s.Check(ctx), l.Check(ctx)); err != nil {
		return err
	}
	say("append")
	e, err := l.Append(ctx, entry(p))
	if err != nil {
		return err
	}
	say("appended")
	say("forget")
	if err := s.Forget(ctx, "acme", p); err != nil {
		return err
	}
	say("forgotten")
	id, err := l.ID(ctx)
	if err != nil {
		return err
	}
	say("mark")
	if err := s.SetMark(ctx, shred.Mark{Ledger: id, Seq: e.Seq, Hash: e.Hash}); err != nil {
		return err
	}
	say("marked")
	return nil
}

// numbered returns the person of a number.
func numbered(i int) (p shred.PersonID) {
	copy(p[:], fmt.Sprintf("person %d", i))
	return p
}

// A child is another process.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Scanner
	log  bytes.Buffer
	done chan error
}

func startChild(t *testing.T, url, job, input string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.CommandContext(t.Context(), exe), done: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+job, urlEnv+"="+url)
	c.cmd.Stdin, c.cmd.Stderr = strings.NewReader(input), &c.log
	// A pipe of our own: Wait must not close it before all was read.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout = w
	t.Cleanup(func() { _ = r.Close() })
	started := make(chan error)
	go func() { // stays on its thread, whose end would be the child's too
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(c.cmd)
		err := c.cmd.Start()
		_ = w.Close()
		started <- err
		if err == nil {
			c.done <- c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(r)
	return c
}

// lines reads all that a child prints, and waits for its end.
func (c *child) lines(t *testing.T) (all [][lineFields]string) {
	t.Helper()
	for c.out.Scan() {
		a, b, ok := strings.Cut(c.out.Text(), " ")
		if !ok {
			t.Errorf("a child says %q", c.out.Text())
		}
		all = append(all, [lineFields]string{a, b})
	}
	if err := <-c.done; err != nil {
		t.Errorf("a child failed: %v\n%s", err, c.log.String())
	}
	return all
}

// kill ends a child at once.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill a child: %v", err)
	}
	if err := <-c.done; err == nil {
		t.Log("a child had come to its end before it was killed")
	}
}
