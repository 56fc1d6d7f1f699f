package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script returns the script of a shell, in a file.
func script(t *testing.T, shell string) (path, text string) {
	t.Helper()
	code, text, stderr := fieldveil(t, "completion", shell)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	path = filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, text
}

func TestBashCompletesCommandsFlagsAndValues(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	path, _ := script(t, "bash")
	for _, tt := range []struct {
		name string
		line []string // the last word is the one to complete
		want []string
	}{
		{"a command", []string{"se"}, []string{"serve"}},
		{"commands that begin alike", []string{"p"}, []string{"person", "plan", "policy", "protect"}},
		{"a command of a group", []string{"audit", ""}, []string{"verify", "show", "--help"}},
		{"a command of a group, begun", []string{"kek", "cr"}, []string{"create"}},
		{"flags", []string{"demo", "--"}, []string{"--help", "--keep"}},
		{"flags behind other words", []string{"audit", "verify", "--many", "audit", "--from"}, []string{"--from-seq", "--from-hash"}},
		{"values of an argument", []string{"completion", "z"}, []string{"zsh"}},
		{"nothing, which is a file", []string{"audit", "verify", "trail"}, nil},
		{"a word of another place", []string{"demo", "ver"}, nil},
		{"the word of a flag as a value", []string{"serve", "--config", "s"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-c", `source "$0"; COMP_WORDS=(fieldveil "$@"); COMP_CWORD=$#; _fieldveil; printf '%s\n' "${COMPREPLY[@]}"`, path}, tt.line...)
			out, err := exec.CommandContext(t.Context(), bash, args...).CombinedOutput()
			if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// offers are what shells offer for a line whose last word is not finished.
func offers() map[string]struct {
	line string
	want []string
} {
	return map[string]struct {
		line string
		want []string
	}{
		"a command":                   {"se", []string{"serve"}},
		"commands that begin alike":   {"p", []string{"person", "plan", "policy", "protect"}},
		"a command of a group":        {"audit ", []string{"show", "verify"}},
		"a command of a group, begun": {"kek cr", []string{"create"}},
		"flags":                       {"demo --", []string{"--help", "--keep"}},
		"flags behind other words":    {"audit verify --many audit --from", []string{"--from-hash", "--from-seq"}},
		"values of an argument":       {"completion z", []string{"zsh"}},
		"a word of another place":     {"demo ver", nil},
		"a file":                      {"audit verify tra", []string{"trail"}},
	}
}

func TestZshCompletesCommandsFlagsAndValues(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("there is no zsh")
	}
	path, _ := script(t, "zsh")
	driver, err := filepath.Abs(filepath.Join("testdata", "complete.zsh"))
	if err != nil {
		t.Fatal(err)
	}
	dir := home(t)
	for name, tt := range offers() {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			cmd := exec.CommandContext(t.Context(), zsh, "-f", driver, path, out, "fieldveil "+tt.line)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			text, err := os.ReadFile(out)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			same(t, strings.Fields(string(text)), tt.want)
		})
	}
}

func TestFishCompletesCommandsFlagsAndValues(t *testing.T) {
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("there is no fish")
	}
	path, _ := script(t, "fish")
	for name, tt := range offers() {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			cmd := exec.CommandContext(t.Context(), fish, "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, path, "fieldveil "+tt.line)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(string(out)) {
				word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t") // a help text may stand behind it
				got = append(got, word)
			}
			same(t, got, tt.want)
		})
	}
}

// home returns a directory with one file, where no shell has settings.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// same compares words in any order. Fish does not offer --help for a group.
func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Contains(want, "--help") {
		got = slices.DeleteFunc(got, func(s string) bool { return s == "--help" })
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheScriptsAreOnesThatTheirShellsRead(t *testing.T) {
	for shell, flag := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "-n"} {
		t.Run(shell, func(t *testing.T) {
			path, text := script(t, shell)
			for _, want := range []string{"serve", "allow-weakening", "zsh"} {
				if !strings.Contains(text, want) {
					t.Errorf("it does not know %s", want)
				}
			}
			program, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("there is no " + shell)
			}
			if out, err := exec.CommandContext(t.Context(), program, flag, path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestEachCommandIsInEachScript(t *testing.T) {
	_, bash := script(t, "bash")
	_, fish := script(t, "fish")
	_, help, _ := fieldveil(t, "--help")
	n := 0
	for line := range strings.Lines(help) {
		rest, ok := strings.CutPrefix(line, "  ")
		if !ok || rest == "" || rest[0] < 'a' || rest[0] > 'z' {
			continue
		}
		command := ""
		for word := range strings.FieldsSeq(rest) {
			if word[0] < 'a' || word[0] > 'z' {
				break
			}
			command += " " + word
		}
		n++
		if !strings.Contains(bash, `"`+command+`")`) || !strings.Contains(fish, `= "`+command+`"`) {
			t.Errorf("the scripts lack %q", command)
		}
	}
	if n < 20 {
		t.Errorf("the help has only %d commands", n)
	}
}

func TestAShellThatIsNotKnownIsRefused(t *testing.T) {
	if code, _, stderr := fieldveil(t, "completion", "csh"); code != exitUsage || !strings.Contains(stderr, "bash") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
