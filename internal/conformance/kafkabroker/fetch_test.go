package kafkabroker

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestThePomNamesAKafka4(t *testing.T) {
	version, err := kafkaVersion(pom)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version, "4.") {
		t.Errorf("version %q is no 4.x", version)
	}
}

func TestAPomWithoutAVersionIsRefused(t *testing.T) {
	for _, text := range []string{"", "<project>", "<project><properties/></project>"} {
		if version, err := kafkaVersion([]byte(text)); err == nil {
			t.Errorf("%q gives version %q", text, version)
		}
	}
}

func TestJavaMajor(t *testing.T) {
	tests := []struct {
		name, in string
		want     int
		bad      bool
	}{
		{name: "a version since Java 9 is one number", in: "Property settings:\n    java.specification.version = 17\n    java.version = 17.0.15\n", want: 17},
		{name: "a version before Java 9 begins with 1", in: "    java.specification.version = 1.8\n", want: 8},
		{name: "other properties do not count", in: "    java.vm.specification.version = 17\n", bad: true},
		{name: "a word is no version", in: "    java.specification.version = new\n", bad: true},
		{name: "silence is no version", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := javaMajor(tt.in)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("javaMajor = %d, %v; want %d, an error: %t", got, err, tt.want, tt.bad)
			}
		})
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the stand-ins for Java and Maven are shell scripts")
	}
	const java17 = "echo '    java.specification.version = 17'"
	tests := []struct {
		name      string
		java, mvn string // shell scripts; none means not installed
		want      string
	}{
		{name: "no Java", mvn: "exit 0", want: "no Java is installed"},
		{name: "a Java that does not run", java: "echo; echo Picked up JAVA_TOOL_OPTIONS:; echo no runtime; exit 1", want: "does not run: exit status 1: no runtime"},
		{name: "a Java that fails without a word", java: "exit 1", want: "exit status 1: it says nothing"},
		{name: "a Java too old", java: "echo '    java.specification.version = 11'", want: "is version 11, and Kafka needs 17 or newer"},
		{name: "no Maven", java: java17, want: "Maven to fetch them is not installed"},
		{name: "no network", java: java17, mvn: "echo 'Picked up JAVA_TOOL_OPTIONS:'; echo '[WARNING] slow'; printf '\\033[0m[ERROR] unknown host\\n'; echo '[ERROR] more'; exit 1", want: "exit status 1: unknown host"},
		{name: "a Maven that copies nothing", java: java17, mvn: "exit 0", want: "it made no folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin := t.TempDir()
			for name, script := range map[string]string{"java": tt.java, "mvn": tt.mvn} {
				if script != "" {
					writeScript(t, filepath.Join(bin, name), script)
				}
			}
			cache := isolate(t, bin)
			_, err := findInstallation(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("err = %v, want it to say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the reason is not one line: %q", err)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "fieldveil", "*")); len(left) > 0 {
				t.Errorf("a failed fetch leaves %v", left)
			}
		})
	}
}

func TestWhatWasFetchedIsUsedAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the stand-in for Maven is a shell script")
	}
	bin := t.TempDir()
	// It does as Maven: makes the folder that the last argument names.
	writeScript(t, filepath.Join(bin, "mvn"), `for last; do :; done; dir=${last#-DoutputDirectory=}; /bin/mkdir "$dir"; echo jar > "$dir/a.jar"`)
	isolate(t, bin)
	first, err := fetch(t.Context(), "4.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(bin, "mvn")); err != nil {
		t.Fatal(err)
	}
	second, err := fetch(t.Context(), "4.0.0")
	if err != nil || second != first {
		t.Fatalf("the second fetch gives %q, %v; the first gave %q", second, err, first)
	}
	if content, err := os.ReadFile(filepath.Join(second, "a.jar")); err != nil || string(content) != "jar\n" {
		t.Errorf("the jar holds %q, %v", content, err)
	}
	if _, err := fetch(t.Context(), "4.0.1"); err == nil {
		t.Error("the jars of one version are taken for those of another")
	}
}

func TestAFetchThatTakesTooLongIsGivenUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the stand-in for Maven is a shell script")
	}
	bin := t.TempDir()
	// Reading from a pipe that nobody writes to takes for ever.
	pipe := filepath.Join(bin, "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Fatal(err)
	}
	writeScript(t, filepath.Join(bin, "mvn"), `read never < "`+pipe+`"`)
	isolate(t, bin)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := fetch(ctx, "4.0.0")
		failed <- err
	}()
	// Its other end opens when the script has come to read: now Maven runs.
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cancel()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "not done within") {
		t.Errorf("err = %v", err)
	}
}

// isolate makes bin the whole PATH and gives the test an empty cache folder,
// which it returns.
func isolate(t *testing.T, bin string) string {
	t.Helper()
	t.Setenv("PATH", bin)
	t.Setenv("JAVA_HOME", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func writeScript(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}
