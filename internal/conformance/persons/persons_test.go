//go:build unix

package persons

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

// A deployment is a server with the store and the ledger in databases of their
// own, and a KEK.
type deployment struct {
	server        *vaults.Postgres
	admin         *pgxpool.Pool
	store, ledger string
	kek           string
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{server: vaults.StartPostgres(t), kek: filepath.Join(t.TempDir(), "test.kek")}
	if err := localkms.Create(d.kek); err != nil {
		t.Fatal(err)
	}
	d.admin = pool(t, d.server.URL())
	d.store, d.ledger = d.database(t, "store"), d.database(t, "ledger")
	s, err := pgstore.New(pool(t, d.store))
	if err != nil {
		t.Fatal(err)
	}
	l, err := pgstore.NewLedger(pool(t, d.ledger))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Init(t.Context()), l.Init(t.Context())); err != nil {
		t.Fatal(err)
	}
	return d
}

func pool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (d *deployment) database(t *testing.T, name string) string {
	t.Helper()
	if _, err := d.admin.Exec(t.Context(), "create database "+name); err != nil {
		t.Fatal(err)
	}
	return d.server.URL("dbname", name)
}

func (d *deployment) process(t *testing.T) *process {
	t.Helper()
	return start(t, d.store, d.ledger, d.kek)
}

func (d *deployment) ledgerOf(t *testing.T) shred.Ledger {
	t.Helper()
	l, err := pgstore.NewLedger(pool(t, d.ledger))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("skipped: %s is not installed", name)
	}
	if out, err := exec.CommandContext(t.Context(), found[len(found)-1], args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// count returns how many of the persons a process opens, and how many it calls
// forgotten. Any other answer is an error.
func count(t *testing.T, p *process, names []string, sealed map[string]string) (open, forgotten int) {
	t.Helper()
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = "open " + name + " " + sealed[name]
	}
	for i, got := range p.ask(lines...) {
		switch got {
		case names[i] + " ok":
			open++
		case names[i] + " person_forgotten":
			forgotten++
		default:
			t.Fatalf("%q", got)
		}
	}
	return open, forgotten
}

func TestAHundredOfAThousandAreForgottenInThreeProcessesAndInYesterdaysBackup(t *testing.T) {
	d := deploy(t)
	const persons, gone = 1000, 100
	procs := []*process{d.process(t), d.process(t), d.process(t)}
	names := make([]string, persons)
	sealed := map[string]string{}
	for i := range names {
		names[i] = fmt.Sprintf("person-%d", i)
	}
	for n, p := range procs {
		var lines []string
		for i := n; i < persons; i += len(procs) {
			lines = append(lines, "seal "+names[i])
		}
		for _, got := range p.ask(lines...) {
			words := strings.Fields(got)
			if len(words) != 3 || words[1] != "ok" {
				t.Fatalf("%q", got)
			}
			sealed[words[0]] = words[2]
		}
	}
	for n, p := range procs {
		if open, _ := count(t, p, names, sealed); open != persons {
			t.Fatalf("process %d opens %d", n, open)
		}
	}
	yesterday := filepath.Join(t.TempDir(), "dump")
	run(t, "pg_dump", "-Fc", "-d", d.store, "-f", yesterday)

	forget := make([]string, gone)
	for i := range forget {
		forget[i] = "forget " + names[i]
	}
	for _, got := range procs[0].ask(forget...) {
		if !strings.HasSuffix(got, " ok") {
			t.Fatalf("%q", got)
		}
	}
	asked := time.Now()
	for n, p := range procs {
		for {
			_, forgotten := count(t, p, names[:gone], sealed)
			if forgotten == gone {
				t.Logf("process %d: all %d are closed after %.1f s", n, gone, time.Since(asked).Seconds())
				break
			}
			if time.Since(asked) > time.Minute {
				t.Fatalf("process %d: %d of %d are closed after a minute", n, forgotten, gone)
			}
			<-time.After(time.Second)
		}
		if open, forgotten := count(t, p, names, sealed); open != persons-gone || forgotten != gone {
			t.Errorf("process %d opens %d and calls %d forgotten", n, open, forgotten)
		}
		if got := p.ask("seal " + names[n])[0]; !strings.HasPrefix(got, names[n]+" person_forgotten") {
			t.Errorf("process %d seals for the forgotten: %q", n, got)
		}
	}

	d.store = d.database(t, "restored")
	run(t, "pg_restore", "--exit-on-error", "-d", d.store, yesterday)
	if open, forgotten := count(t, d.process(t), names, sealed); open != persons-gone || forgotten != gone {
		t.Errorf("after yesterday's backup: %d open, %d forgotten", open, forgotten)
	}
}

// Whoever is to be forgotten when his process dies is as before, or forgotten for
// all; the ledger says which.
func TestAProcessThatDiesWhileItForgets(t *testing.T) {
	d := deploy(t)
	const rounds, each = 20, 5
	var done, begun, before int
	for round := range rounds {
		victim := []string{"application_name", "victim"}
		p := start(t, d.server.URL(append(victim, "dbname", "store")...), d.server.URL(append(victim, "dbname", "ledger")...), d.kek)
		names := make([]string, each)
		sealed := map[string]string{}
		var seal, forget []string
		for i := range names {
			names[i] = fmt.Sprintf("person-%d-%d", round, i)
			seal, forget = append(seal, "seal "+names[i]), append(forget, "forget "+names[i])
		}
		for _, got := range p.ask(seal...) {
			words := strings.Fields(got)
			if len(words) != 3 {
				t.Fatalf("%q", got)
			}
			sealed[words[0]] = words[2]
		}
		begin, err := shred.Verify(t.Context(), d.ledgerOf(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(p.in, strings.Join(forget, "\n")); err != nil {
			t.Fatal(err)
		}
		answered := map[string]bool{}
		stop := rand.IntN(2 * each)
		for range stop {
			words := strings.Fields(p.line())
			if len(words) == 2 && words[1] == "ok" {
				answered[words[0]] = true
			}
		}
		<-time.After(rand.N(8 * time.Millisecond)) // somewhere within the next one
		p.kill()
		// The server may still be busy with what the process wanted last.
		for left := 1; left > 0; {
			if err := d.admin.QueryRow(t.Context(), "select count(*) from pg_stat_activity where application_name = 'victim'").Scan(&left); err != nil {
				t.Fatal(err)
			}
		}
		end, err := shred.Verify(t.Context(), d.ledgerOf(t))
		if err != nil {
			t.Fatal(err)
		}
		entered := int(end.Seq - begin.Seq)
		a, b := d.process(t), d.process(t)
		for i, name := range names {
			one, _ := count(t, a, names[i:i+1], sealed)
			two, _ := count(t, b, names[i:i+1], sealed)
			if one != two || (one == 0) != (i < entered) {
				t.Fatalf("round %d: %s opens %d and %d times, and the ledger has %d entries", round, name, one, two, entered)
			}
			switch {
			case answered[name] && one != 0:
				t.Errorf("round %d: %s was said to be forgotten, and opens", round, name)
			case answered[name]:
				done++
			case one == 0:
				begun++
			default:
				before++
			}
		}
		a.kill()
		b.kill()
	}
	t.Logf("%d processes were killed: %d persons were forgotten with an answer, %d without, %d were as before", rounds, done, begun, before)
}
