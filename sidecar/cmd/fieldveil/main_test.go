package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
)

// asProgram makes the test binary the program itself, so that a test sees real
// exit codes.
const asProgram = "FIELDVEIL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	// A part of a measurement inherits the variable of the program that started it.
	if os.Getenv(asProgram) != "" || scenario.IsPart() {
		main()
		return
	}
	os.Exit(m.Run())
}

// fieldveil runs a command line in an empty directory.
func fieldveil(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return fieldveilReading(t, "", args...)
}

// fieldveilReading is fieldveil with standard input.
func fieldveilReading(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, strings.NewReader(in), &out, &err)
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr []string
	}{
		{"help lists the commands", []string{"--help"}, 0, []string{"kek create <path>", "kek rotate <path>", "policy check <path>", "version"}, nil},
		{"-h is help", []string{"-h"}, 0, []string{"Usage: fieldveil <command>"}, nil},
		{"a group has help", []string{"kek", "--help"}, 0, []string{"kek create <path>", "development and tests"}, nil},
		{"a command has help without its argument", []string{"kek", "create", "--help"}, 0, []string{"never overwritten", "mode 0600"}, nil},
		{"rotate has help", []string{"kek", "rotate", "--help"}, 0, []string{"without a restart"}, nil},
		{"no command", nil, 2, nil, []string{`expected one of "audit", `, "--help"}},
		{"a group without a command", []string{"kek"}, 2, nil, []string{`expected one of "create", "rotate"`}},
		{"an unknown command", []string{"encrypt"}, 2, nil, []string{"unexpected argument encrypt"}},
		{"a slip of the pen gets a hint", []string{"kek", "creat"}, 2, nil, []string{"did you mean", "create"}},
		{"an unknown flag", []string{"version", "--loud"}, 2, nil, []string{"unknown flag --loud"}},
		{"create without a path", []string{"kek", "create"}, 2, nil, []string{`expected "<path>"`}},
		{"create with two paths", []string{"kek", "create", "a", "b"}, 2, nil, []string{"unexpected argument b"}},
		{"rotate without a path", []string{"kek", "rotate"}, 2, nil, []string{`expected "<path>"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, stdout, stderr := fieldveil(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, c := range []struct {
				name, text string
				want       []string
			}{{"standard output", stdout, tt.stdout}, {"standard error", stderr, tt.stderr}} {
				if len(c.want) == 0 && c.text != "" {
					t.Errorf("%s is not empty: %s", c.name, c.text)
				}
				for _, w := range c.want {
					if !strings.Contains(unwrapped(c.text), w) {
						t.Errorf("%s does not say %q:\n%s", c.name, w, c.text)
					}
				}
			}
			if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
				t.Errorf("it left %v, %v", entries, err)
			}
		})
	}
}

// unwrapped puts a text that was broken to the width of a terminal on one line.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestKekCreateMakesAFileThatThePrintedURIServes(t *testing.T) {
	t.Chdir(t.TempDir())
	code, stdout, stderr := fieldveil(t, "kek", "create", "./dev.kek")
	if code != 0 || stdout != "local:dev.kek\n" || !strings.Contains(stderr, "Created ./dev.kek") {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if info, err := os.Stat("dev.kek"); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, _, err := localkms.New().Generate(t.Context(), strings.TrimSpace(stdout), nil); err != nil {
		t.Error(err)
	}
	abs, err := filepath.Abs("abs.kek")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := fieldveil(t, "kek", "create", "/"+abs); code != 0 || stdout != "local:"+abs+"\n" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}

func TestKekDomainMakesWhatAPolicyTakes(t *testing.T) {
	t.Chdir(t.TempDir())
	fieldveil(t, "kek", "create", "dev.kek")
	code, one, stderr := fieldveil(t, "kek", "domain", "local:dev.kek")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	code, two, _ := fieldveil(t, "kek", "domain", "local:dev.kek", "--tenant", "acme")
	if code != 0 || one == two {
		t.Fatalf("exit code %d, the same key twice: %v", code, one == two)
	}
	policy := "version: 1\ndomain_keys:\n  ids: {kek: \"local:dev.kek\", versions: [" + strings.TrimSpace(one) + ", " + strings.TrimSpace(two) + "]}\n" +
		"rules: [{tag: PII, action: encrypt, key: ids, mode: deterministic}]\n"
	if err := os.WriteFile("policy.yaml", []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := fieldveil(t, "policy", "check", "policy.yaml"); code != 0 {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if code, stdout, stderr := fieldveil(t, "kek", "domain", "local:gone.kek"); code != 1 || stdout != "" || !strings.Contains(stderr, "gone.kek") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

func TestKekRotateAddsAVersion(t *testing.T) {
	t.Chdir(t.TempDir())
	fieldveil(t, "kek", "create", "dev.kek")
	_, wrapped, err := localkms.New().Generate(t.Context(), "local:dev.kek", nil)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := fieldveil(t, "kek", "rotate", "dev.kek")
	versions, err := localkms.Versions("dev.kek")
	if err != nil || len(versions) != 2 {
		t.Fatalf("%v, %v", versions, err)
	}
	if want := "dev.kek now has 2 versions. " + versions[1].ID + " wraps"; code != 0 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if _, err := localkms.New().Unwrap(t.Context(), "local:dev.kek", wrapped, nil); err != nil {
		t.Errorf("an older key: %v", err)
	}
}

func TestFailuresExitWith1AndSayWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	fieldveil(t, "kek", "create", "dev.kek")
	before, err := os.ReadFile("dev.kek")
	if err != nil {
		t.Fatal(err)
	}
	fieldveil(t, "kek", "create", "open.kek")
	if err := os.Chmod("open.kek", 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		says string
	}{
		{"create over a file", []string{"kek", "create", "dev.kek"}, "dev.kek exists already"},
		{"create in an absent directory", []string{"kek", "create", "absent/dev.kek"}, "no such file or directory"},
		{"create without a name", []string{"kek", "create", ""}, "no such file or directory"},
		{"rotate an absent file", []string{"kek", "rotate", "absent.kek"}, "fieldveil kek create absent.kek"},
		{"rotate an open file", []string{"kek", "rotate", "open.kek"}, "chmod 600 open.kek"},
		{"rotate a directory", []string{"kek", "rotate", "."}, "is not a file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := fieldveil(t, tt.args...)
			if code != 1 || stdout != "" || !strings.Contains(stderr, tt.says) || !strings.HasPrefix(stderr, "fieldveil: ") {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
		})
	}
	if after, err := os.ReadFile("dev.kek"); err != nil || !bytes.Equal(after, before) {
		t.Errorf("dev.kek was changed, %v", err)
	}
}

func TestNothingThatIsPrintedHoldsAKey(t *testing.T) {
	t.Chdir(t.TempDir())
	var printed strings.Builder
	for _, args := range [][]string{
		{"kek", "create", "dev.kek"},
		{"kek", "create", "dev.kek"},
		{"kek", "rotate", "dev.kek"},
		{"kek", "rotate", "dev.kek"},
	} {
		_, stdout, stderr := fieldveil(t, args...)
		printed.WriteString(stdout + stderr)
	}
	b, err := os.ReadFile("dev.kek")
	if err != nil {
		t.Fatal(err)
	}
	// A damaged file must not end up in the message about it either.
	if err := os.WriteFile("dev.kek", bytes.Replace(b, []byte(`"key"`), []byte(`"kay"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := fieldveil(t, "kek", "rotate", "dev.kek")
	if code != 1 {
		t.Errorf("exit code %d for a damaged file", code)
	}
	printed.WriteString(stderr)

	var content struct{ Keys []struct{ Key []byte } }
	if err := json.Unmarshal(b, &content); err != nil || len(content.Keys) != 3 {
		t.Fatalf("%d keys, %v", len(content.Keys), err)
	}
	for _, k := range content.Keys {
		for _, form := range []string{
			base64.StdEncoding.EncodeToString(k.Key), base64.RawURLEncoding.EncodeToString(k.Key),
			hex.EncodeToString(k.Key), string(k.Key),
		} {
			if strings.Contains(printed.String(), form) {
				t.Errorf("a key was printed:\n%s", printed.String())
			}
		}
	}
}

func TestVersionLine(t *testing.T) {
	facts := runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "0a1b2c"}, {Key: "vcs.modified", Value: "true"}}
	release := debug.BuildInfo{Settings: vcs[:1]}
	release.Main.Version = "v1.2.3"
	tests := []struct {
		name string
		info *debug.BuildInfo
		fips bool
		want string
	}{
		{"no build information", nil, false, "fieldveil (unknown) (" + facts + ")"},
		{"a release", &release, false, "fieldveil v1.2.3 (" + facts + ", commit 0a1b2c)"},
		{"a changed checkout", &debug.BuildInfo{Settings: vcs}, false, "fieldveil (unknown) (" + facts + ", commit 0a1b2c with changes)"},
		{"FIPS mode", nil, true, "fieldveil (unknown) (" + facts + ", FIPS 140-3 mode)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := versionLine(tt.info, tt.fips); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if code, stdout, stderr := fieldveil(t, "version"); code != 0 || !strings.HasPrefix(stdout, "fieldveil ") || stderr != "" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// full is a standard output that takes nothing, such as a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAResultThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"version"}, {"kek", "create", "dev.kek"}} {
		var stderr bytes.Buffer
		if code := run(args, strings.NewReader(""), full{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit code %d, %q", args, code, stderr.String())
		}
	}
	for _, args := range [][]string{{"kek", "create", "other.kek"}, {"kek", "rotate", "dev.kek"}} {
		if code := run(args, strings.NewReader(""), io.Discard, full{}); code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}

func TestTheProgramExitsWithTheCode(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
	}{{[]string{"version"}, 0}, {[]string{"--help"}, 0}, {[]string{"kek", "rotate", "absent.kek"}, 1}, {[]string{"kek"}, 2}} {
		cmd := exec.CommandContext(t.Context(), self, tt.args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Dir = t.TempDir()
		_ = cmd.Run() // an error of exec shows as another code
		if got := cmd.ProcessState.ExitCode(); got != tt.code {
			t.Errorf("%v: exit code %d, want %d", tt.args, got, tt.code)
		}
	}
}
