//go:build unix

package keystore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/keystoretest"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// rounds returns how many times something is killed: few, or as many as the
// environment says.
func rounds(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv(keystoretest.CrashesEnv)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is no number above 0: %q", keystoretest.CrashesEnv, text)
	}
	return n
}

// createInProcesses has three processes create keys for the same persons at
// once, and returns what stands for each person. All have to agree.
func createInProcesses(t *testing.T, url string, first, persons, creators, together int) map[string]string {
	t.Helper()
	job := fmt.Sprintf("create %d %d %d %d", first, persons, creators, together)
	var children []*child
	for range 3 {
		children = append(children, startChild(t, url, job, ""))
	}
	stands := map[string]string{}
	answers := 0
	for _, c := range children {
		for _, line := range c.lines(t) {
			answers++
			if key, ok := stands[line[0]]; ok && key != line[1] {
				t.Errorf("person %s has two keys", line[0])
			}
			stands[line[0]] = line[1]
		}
	}
	if answers != 3*persons*together || len(stands) != persons {
		t.Errorf("%d answers for %d persons", answers, len(stands))
	}
	return stands
}

func TestPostgresHasOneKeyPerPersonForAllProcesses(t *testing.T) {
	url := vaults.StartPostgres(t).URL("pool_max_conns", "8")
	pool := newPool(t, url)
	s := madeStore(t, pool)
	const persons = 1000
	stands := createInProcesses(t, url, 0, persons, 8, 1)
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from fieldveil_persons").Scan(&rows); err != nil || rows != persons {
		t.Errorf("%d rows, %v", rows, err)
	}
	// 100 of them are forgotten here, and three other processes hear of it at once.
	l := madeLedger(t, pool)
	for i := 0; i < persons; i += 10 {
		forget(t, s, l, numbered(i))
	}
	var input strings.Builder
	for i := range persons {
		fmt.Fprintln(&input, i)
	}
	for range 3 {
		lines := startChild(t, url, "read", input.String()).lines(t)
		if len(lines) != persons {
			t.Fatalf("%d answers", len(lines))
		}
		for i, line := range lines {
			want := stands[line[0]]
			if i%10 == 0 {
				want = "forgotten"
			}
			if line[1] != want {
				t.Errorf("another process reads %q for person %s", line[1], line[0])
			}
		}
	}
}

func TestPostgresHasOneWinnerOfAHundredCreatorsInThreeProcesses(t *testing.T) {
	url := vaults.StartPostgres(t).URL("pool_max_conns", "25")
	madeStore(t, newPool(t, url))
	createInProcesses(t, url, 0, 20, 34, 34)
}

// forget does what package shred does with a store and a ledger.
func forget(t testing.TB, s shred.Store, l shred.Ledger, p shred.PersonID) shred.Entry {
	t.Helper()
	e, err := l.Append(t.Context(), entry(p))
	if err == nil {
		err = s.Forget(t.Context(), e.Tenant, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	setMark(t, s, l, e)
	return e
}

func setMark(t testing.TB, s shred.Store, l shred.Ledger, e shred.Entry) {
	t.Helper()
	id, err := l.ID(t.Context())
	if err == nil {
		err = s.SetMark(t.Context(), shred.Mark{Ledger: id, Seq: e.Seq, Hash: e.Hash})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// replay applies what a store has not applied of its ledger, and returns all
// entries that the ledger has.
func replay(t testing.TB, s shred.Store, l shred.Ledger) []shred.Entry {
	t.Helper()
	all, err := l.Read(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Mark(t.Context())
	if err != nil && !errors.Is(err, shred.ErrNone) {
		t.Fatal(err)
	}
	if m.Seq > uint64(len(all)) || m.Seq > 0 && all[m.Seq-1].Hash != m.Hash {
		t.Fatalf("the mark is at %d, and the ledger has %d entries", m.Seq, len(all))
	}
	for _, e := range all[m.Seq:] {
		if err := s.Forget(t.Context(), e.Tenant, e.Person); err != nil {
			t.Fatal(err)
		}
		setMark(t, s, l, e)
	}
	return all
}

// stands tells what a store says of a row: that it stands, that its person was
// forgotten, or something else, which is wrong.
func stands(t testing.TB, s shred.Store, r shred.Row) bool {
	t.Helper()
	again := row(r.Tenant)
	again.Person = r.Person
	byPerson, err1 := s.Person(t.Context(), r.Tenant, r.Person)
	byKey, err2 := s.ByKey(t.Context(), r.Tenant, r.Key)
	created, err3 := s.Create(t.Context(), again)
	if errors.Is(err1, shred.ErrForgotten) && errors.Is(err2, shred.ErrForgotten) && errors.Is(err3, shred.ErrForgotten) {
		return false
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatalf("a person is neither there nor forgotten: %v", err)
	}
	for _, got := range []shred.Row{byPerson, byKey, created} {
		if got.Key != r.Key || !bytes.Equal(got.Sealed, r.Sealed) || got.Person != r.Person {
			t.Fatal("a person has another key")
		}
	}
	return true
}

// openAfterCrash opens what children use that are killed: by the name of a
// victim in those, and here when the server has done what the last one wanted.
func openAfterCrash(t *testing.T) *pgxpool.Pool {
	t.Helper()
	if url := os.Getenv(crashURLEnv); os.Getenv(crashParentEnv) != strconv.Itoa(os.Getpid()) {
		return newPool(t, url+"&application_name=victim&pool_max_conns=8")
	}
	pool := newPool(t, os.Getenv(crashURLEnv))
	waitForSessions(t, pool, "victim")
	return pool
}

// startForCrashes runs the server in the process that kills.
func startForCrashes(t *testing.T) {
	t.Helper()
	if os.Getenv(crashParentEnv) != "" {
		return
	}
	t.Setenv(crashURLEnv, vaults.StartPostgres(t).URL())
	t.Setenv(crashParentEnv, strconv.Itoa(os.Getpid()))
}

const (
	crashURLEnv    = "FIELDVEIL_KEYSTORE_TEST_CRASH_URL"
	crashParentEnv = "FIELDVEIL_KEYSTORE_TEST_CRASH_PARENT"
)

func TestPostgresOutlivesWritersOfPersons(t *testing.T) {
	startForCrashes(t)
	keystoretest.CrashShred(t, func(t *testing.T, _ string) shred.Store {
		t.Helper()
		return madeStore(t, openAfterCrash(t))
	})
}

func TestPostgresOutlivesWritersOfTheLedger(t *testing.T) {
	startForCrashes(t)
	keystoretest.CrashLedger(t, func(t *testing.T, _ string) shred.Ledger {
		t.Helper()
		return madeLedger(t, openAfterCrash(t))
	})
}

// Whoever is to be forgotten is there as before or is forgotten, wherever the
// process that forgets him ends.
func TestPostgresForgettersAreKilledAtEachStep(t *testing.T) {
	p := vaults.StartPostgres(t)
	pool := newPool(t, p.URL())
	s := madeStore(t, pool)
	// In a schema of its own here, which the child shares.
	sql(t, pool, "create schema ledger")
	l := madeLedger(t, pool, ledgerSchema())
	n := rounds(t, 5)
	appended, forgotten := 0, 0
	for _, step := range []string{"append", "appended", "forget", "forgotten", "mark", "marked"} {
		for range n {
			r := create(t, s, 1)[0]
			before, err := l.Read(t.Context(), 0, 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			c := startChild(t, p.URL("application_name", "victim"), "forget "+hex.EncodeToString(r.Person[:]), "")
			for c.out.Scan() && !strings.HasPrefix(c.out.Text(), step+" ") {
			}
			<-time.After(time.Duration(rand.IntN(4)) * rand.N(time.Millisecond)) // somewhere in the step, or in the next
			c.kill(t)
			waitForSessions(t, pool, "victim")
			after, err := l.Read(t.Context(), 0, 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			entered := len(after) == len(before)+1
			switch {
			case len(after) > len(before)+1 || entered && after[len(before)].Person != r.Person:
				t.Fatalf("killed at %s: %d entries instead of %d", step, len(after), len(before))
			case !entered && step != "append":
				t.Fatalf("killed at %s, when the entry was there: it is not", step)
			case !entered && !stands(t, s, r):
				t.Fatalf("killed at %s: forgotten without an entry", step)
			case !entered:
				continue
			}
			appended++
			there := stands(t, s, r)
			if there && (step == "forgotten" || step == "mark" || step == "marked") {
				t.Fatalf("killed at %s: the person is still there", step)
			}
			if !there {
				forgotten++
			}
			if got := replay(t, s, l); len(got) != len(after) {
				t.Fatalf("replay changed the ledger")
			}
			if stands(t, s, r) {
				t.Fatalf("killed at %s: replay did not forget", step)
			}
		}
	}
	t.Logf("killed %d forgetters; %d had entered it in the ledger, and %d had forgotten by then", 6*n, appended, forgotten)
	replay(t, s, l)
}

// waitForSessions waits until the server has finished what a client wanted that
// is gone.
func waitForSessions(t *testing.T, pool *pgxpool.Pool, name string) {
	t.Helper()
	for left := 1; left > 0; {
		if err := pool.QueryRow(t.Context(), "select count(*) from pg_stat_activity where application_name = $1", name).Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
}
