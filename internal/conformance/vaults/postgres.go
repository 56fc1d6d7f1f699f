//go:build unix

package vaults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

// A Postgres is a PostgreSQL server with an empty database. It is not safe for
// concurrent use.
type Postgres struct{ server *server }

// StartPostgres runs a server until the test is over. settings are added to those
// that every server here has, such as "max_connections=50".
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	bin, err := postgresBin()
	if err != nil {
		process.Missing(t, "PostgreSQL", "FIELDVEIL_REQUIRE_POSTGRES", err)
	}
	s := newServer(t, "postgres", "postgres")
	return s.initPostgres(t, bin, filepath.Join(s.dir, "wal"), settings)
}

// initPostgres makes a database whose write-ahead log is in the folder wal, and
// runs its server.
func (s *server) initPostgres(t testing.TB, bin, wal string, settings []string) *Postgres {
	t.Helper()
	data := filepath.Join(s.dir, "data")
	out, err := s.command(filepath.Join(bin, "initdb"), "-D", data, "-X", wal, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions", "--wal-segsize=1").CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p := &Postgres{server: s}
	s.quit = syscall.SIGQUIT // "immediate": it need not write its caches
	s.args = []string{filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses="}
	for _, setting := range append([]string{"fsync=on", "full_page_writes=on", "min_wal_size=2MB", "log_checkpoints=off"}, settings...) {
		s.args = append(s.args, "-c", setting)
	}
	s.ready = func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.URL())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	s.start(t)
	return p
}

// URL returns the connection string of the superuser, with more parameters of
// pgx's such as "pool_max_conns", "4".
func (p *Postgres) URL(parameters ...string) string {
	q := url.Values{"host": {p.server.dir}, "user": {"postgres"}, "dbname": {"postgres"}}
	for i := 0; i+1 < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	return "postgres:///?" + q.Encode()
}

// Kill ends the server and all its processes at once, as a crash does.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	p.server.kill(t)
}

// Restart runs the server again on the same data, and returns when it has
// recovered and answers.
func (p *Postgres) Restart(t testing.TB) {
	t.Helper()
	p.server.start(t)
}

// Log returns the end of the server's log.
func (p *Postgres) Log() string { return p.server.logTail() }

// postgresBin finds the folder of the server's programs: Debian keeps them off
// the path, one folder per version.
func postgresBin() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	for _, folder := range slices.Backward(folders) {
		if isFile(filepath.Join(folder, "postgres")) && isFile(filepath.Join(folder, "initdb")) {
			return folder, nil
		}
	}
	return "", errors.New("its programs are not installed, and are in the package postgresql of Debian")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// exec runs a statement as the superuser.
func (p *Postgres) exec(t testing.TB, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}
