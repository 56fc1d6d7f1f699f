package usergraph

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A user is a module of its own in a temporary folder.
type user struct {
	t   *testing.T
	dir string
}

func newUser(t *testing.T, gomod, program string) *user {
	t.Helper()
	u := &user{t, t.TempDir()}
	for name, text := range map[string]string{"go.mod": gomod, "main.go": program} {
		if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// run runs the go command. What cannot be fetched skips the test.
func (u *user) run(args ...string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), "go", args...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return string(out)
	}
	for _, sign := range []string{"dial tcp", "no such host", "module lookup disabled", "i/o timeout", "connection refused", "403 Forbidden"} {
		if strings.Contains(string(out), sign) {
			u.t.Skipf("modules cannot be fetched here, so the user's module graph is not tested: %s", sign)
		}
	}
	u.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	return ""
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const program = `package main

import (
	"fmt"

	%s
)

func main() { fmt.Println(%s) }
`

func TestAUserOfFieldcryptAloneHasAtMostTenModules(t *testing.T) {
	u := newUser(t, "module example.com/user\n\ngo 1.26.0\n\nrequire github.com/fieldveil/fieldveil v0.0.0\n\nreplace github.com/fieldveil/fieldveil => "+root(t)+"\n",
		fmt.Sprintf(program, `"github.com/fieldveil/fieldveil/fieldcrypt"`, "fieldcrypt.HeaderKey"))
	u.run("mod", "tidy")
	modules := strings.Fields(u.run("list", "-m", "-f", "{{.Path}}", "all"))
	t.Logf("%d modules: %v", len(modules), modules)
	if len(modules) > 10 {
		t.Errorf("%d modules in the graph, at most 10 are allowed", len(modules))
	}
	deps := u.run("list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	for _, sdk := range []string{"franz-go", "aws-sdk", "grpc", "kong", "testing"} {
		if strings.Contains(deps, sdk) {
			t.Errorf("the program links %s", sdk)
		}
	}
	u.run("build", "-o", filepath.Join(u.dir, "program"), ".")
}

// A user has older versions of modules that other parts of this repository use.
const older = `module example.com/user

go 1.26.0

require (
	github.com/jackc/pgx/v5 v5.7.0
	github.com/twmb/franz-go v1.20.0
)
`

// twmb/avro requires this module for container files. fieldcrypt does not link
// it, but a requirement binds everybody. It is the only one.
const compress = "github.com/klauspost/compress"

func versions(u *user) map[string]string {
	out := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimSpace(u.run("list", "-m", "-f", "{{.Path}} {{.Version}}", "all")), "\n") {
		path, version, _ := strings.Cut(line, " ")
		out[path] = version
	}
	return out
}

func TestNoVersionOfTheUserIsMoved(t *testing.T) {
	imports := "\"github.com/jackc/pgx/v5\"\n\t\"github.com/twmb/franz-go/pkg/kgo\"\n"
	uses := "pgx.TextFormatCode, kgo.NoCompression()"
	before := newUser(t, older, fmt.Sprintf(program, imports, uses))
	before.run("mod", "tidy")
	had := versions(before)

	after := newUser(t, older+"\nrequire github.com/fieldveil/fieldveil v0.0.0\n\nreplace github.com/fieldveil/fieldveil => "+root(t)+"\n",
		fmt.Sprintf(program, imports+"\t\"github.com/fieldveil/fieldveil/fieldcrypt\"\n", uses+", fieldcrypt.HeaderKey"))
	after.run("mod", "tidy")
	has := versions(after)
	for path, version := range had {
		switch {
		case has[path] == version:
		case path == compress:
			t.Logf("%s, which the user has through franz-go, moved from %s to %s", path, version, has[path])
		default:
			t.Errorf("%s moved from %s to %s", path, version, has[path])
		}
	}
	if had["github.com/jackc/pgx/v5"] != "v5.7.0" || had["github.com/twmb/franz-go"] != "v1.20.0" {
		t.Errorf("the user does not have the versions that he asked for: %v", had)
	}
	t.Logf("%d modules before, %d after", len(had), len(has))

	// The test must be able to fail: importing what requires a newer kgo moves it.
	kgocrypt := filepath.Join(root(t), "fieldcrypt", "kgocrypt")
	control := newUser(t, older+"\nrequire (\n\tgithub.com/fieldveil/fieldveil v0.0.0\n\tgithub.com/fieldveil/fieldveil/fieldcrypt/kgocrypt v0.0.0\n)\n\nreplace (\n\tgithub.com/fieldveil/fieldveil => "+root(t)+
		"\n\tgithub.com/fieldveil/fieldveil/fieldcrypt/kgocrypt => "+kgocrypt+"\n)\n",
		fmt.Sprintf(program, imports+"\t\"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt\"\n", uses+", kgocrypt.DefaultKeyTopic"))
	control.run("mod", "tidy")
	if v := versions(control)["github.com/twmb/franz-go"]; v == had["github.com/twmb/franz-go"] {
		t.Errorf("importing kgocrypt left franz-go at %s: this test sees nothing", v)
	}
}
