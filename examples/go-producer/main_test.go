package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// asProgram makes the test binary the program itself.
const asProgram = "FIELDVEIL_EXAMPLE_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// newProgram returns the program as a command that is ready to start in a
// folder with its files, and the address of its broker.
func newProgram(t *testing.T) (cmd *exec.Cmd, broker string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "signups"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	dir := t.TempDir()
	for _, name := range []string{"policy.yaml", "signup.avsc"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := localkms.Create(filepath.Join(dir, "dev.kek")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	broker = cluster.ListenAddrs()[0]
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "BROKERS="+broker)
	return cmd, broker
}

const ada = `{"id": "1", "name": "Ada Example", "email": "ada@example.com"}` + "\n"

func TestASignupLeavesProtected(t *testing.T) {
	cmd, broker := newProgram(t)
	cmd.Stdin = strings.NewReader(ada)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkRecord(t, broker)
}

func TestASignalEndsTheProgramWithoutLoss(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no signals to send")
	}
	cmd, broker := newProgram(t)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	logged, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, ada); err != nil {
		t.Fatal(err)
	}
	// The input stays open: without the signal the program would wait for more.
	line, err := bufio.NewReader(logged).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "produced sign-up 1\n") {
		t.Fatalf("logged %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	checkRecord(t, broker)
}

func TestALineThatIsNoSignupEndsTheProgramAndIsNotShown(t *testing.T) {
	for _, line := range []string{
		`{"id": "1", "name": "Ada Example"`,
		`}`,
		`["Ada Example"]`,
		`{"id": "1", "name": "Ada Example"}`,
		`{"id": "1", "name": "Ada Example", "email": 12345678901234567890}`,
		`{"name": "Ada Example` + strings.Repeat(" Example", 10_000) + `"}`,
	} {
		cmd, _ := newProgram(t)
		cmd.Stdin = strings.NewReader(line)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%.40s: it is accepted", line)
		}
		if bytes.Contains(out, []byte("Example")) || bytes.Contains(out, []byte("12345")) {
			t.Errorf("%.40s: it is quoted in %s", line, out)
		}
	}
}

// checkRecord checks that the first record of the topic is Ada's, protected.
func checkRecord(t *testing.T, broker string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("signups"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fetches := client.PollFetches(t.Context())
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	rec := fetches.Records()[0]
	for _, secret := range []string{"Example", "ada@example.com"} {
		if bytes.Contains(rec.Value, []byte(secret)) {
			t.Errorf("the record holds %q", secret)
		}
	}
	if !bytes.Contains(rec.Value, []byte("A**********")) || !bytes.Contains(rec.Value, []byte("fv1:")) {
		t.Errorf("the record has no mask or no envelope: %q", rec.Value)
	}
}
