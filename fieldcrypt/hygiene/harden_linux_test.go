package hygiene

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The job of the child of a test, in its environment.
const childJob = "FIELDVEIL_TEST_HYGIENE_CHILD"

// TestMain lets a child do its job: what Harden does lasts, and must not meet the
// other tests.
func TestMain(m *testing.M) {
	switch os.Getenv(childJob) {
	case "":
		os.Exit(m.Run())
	case "read back":
		debug.SetTraceback("all") // as a program may have done before
		before := state()
		gaps := Harden()
		again := Harden()
		fmt.Printf("before: %s\nafter: %s\ngaps: %v\nagain: %v\n", before, state(), gaps, again)
	case "raise":
		Harden()
		err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1})
		fmt.Printf("raised: %v, root: %v\n", err, os.Geteuid() == 0)
	case "wait":
		Harden()
		fmt.Println("ready")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	case "crash":
		debug.SetTraceback("all")
		if os.Getenv("HARDEN") != "" {
			Harden()
		}
		started, block := make(chan bool), make(chan bool)
		go func() { close(started); <-block }()
		<-started
		panic("told")
	}
}

// state is what the kernel says of this process.
func state() string {
	limits, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		limits = []byte("Max core file size " + err.Error())
	}
	core := ""
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			core = strings.Join(strings.Fields(rest), " ")
		}
	}
	dumpable, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	if errno != 0 {
		return errno.Error()
	}
	return fmt.Sprintf("core %s, dumpable %d", core, dumpable)
}

func child(t *testing.T, job string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOTRACEBACK=") })
	cmd.Env = append(append(cmd.Env, childJob+"="+job), env...)
	return cmd
}

func TestTheKernelConfirmsWhatHardenDid(t *testing.T) {
	out, err := child(t, "read back").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	if !strings.Contains(text, "after: core 0 0 bytes, dumpable 0\ngaps: []\nagain: []\n") {
		t.Errorf("%s", text)
	}
	before, _, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(before, "before: core ") || strings.Contains(before, "dumpable 0") {
		t.Errorf("the child was hardened before: %s", text)
	}
}

func TestTheLimitOnCoreDumpsCannotBeRaisedAgain(t *testing.T) {
	out, err := child(t, "raise").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := strings.TrimSpace(string(out))
	if !slices.Contains([]string{"raised: operation not permitted, root: false", "raised: <nil>, root: true", "raised: operation not permitted, root: true"}, text) {
		t.Error(text)
	}
}

// Whoever is not root reads nothing of the process. Root does, so the test looks
// at the owner of the files instead.
func TestTheMemoryOfTheProcessBelongsToRoot(t *testing.T) {
	cmd := child(t, "wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, 6)
	if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
		t.Errorf("%q, %v", ready, err)
	}
	name := fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid)
	info, err := os.Stat(name)
	if err != nil {
		t.Error(err)
	} else if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 {
		t.Errorf("%s: %+v", name, info.Sys())
	}
	if os.Geteuid() != 0 {
		if f, err := os.Open(name); !errors.Is(err, os.ErrPermission) {
			t.Errorf("the memory can be opened: %v", err)
			_ = f.Close()
		}
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

func TestACrashPrintsOneGoroutineAndLeavesNoCore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		env    []string
		stacks int
	}{
		{"as it comes", nil, 2},
		{"hardened", []string{"HARDEN=1"}, 1},
		{"hardened, and the environment says none", []string{"HARDEN=1", "GOTRACEBACK=none"}, 0},
		{"hardened, and the environment asks for a core dump", []string{"HARDEN=1", "GOTRACEBACK=crash"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := child(t, "crash", tt.env...)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("panic: told")) {
				t.Fatalf("%v\n%s", err, out)
			}
			got := bytes.Count(out, []byte("\ngoroutine "))
			if tt.stacks < 2 && got != tt.stacks || got < tt.stacks {
				t.Errorf("%d goroutines:\n%s", got, out)
			}
			files, err := os.ReadDir(cmd.Dir)
			if err != nil || len(files) != 0 && tt.env != nil {
				t.Errorf("left behind: %v, %v", files, err)
			}
		})
	}
}

func TestTheEnvironmentThatAsksForMoreIsAGap(t *testing.T) {
	out, err := child(t, "read back", "GOTRACEBACK=crash").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "gaps: [process hygiene: tracebacks of one goroutine: GOTRACEBACK in the environment") {
		t.Errorf("%v\n%s", err, out)
	}
}
