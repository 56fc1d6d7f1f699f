package kafkabroker

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// roleEnv makes the test binary play a part in a test of processes.
const roleEnv = "KAFKABROKER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "parent": // as a test binary with a broker: it starts a child and goes on
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleEnv+"=child")
		cmd.Stdout = os.Stdout
		if _, err := start(cmd); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {}
	case "child": // as a broker: it would run on, but not for ever if the test fails
		fmt.Println("running")
		<-time.After(time.Minute)
		fmt.Println("outlived its parent")
	default:
		m.Run()
	}
}

func TestAChildDiesWithAParentThatIsKilled(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), roleEnv+"=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if line != "running\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Parent and child both hold the other end of this pipe, so its end comes
	// when both are gone; a child that lives on has a word to say before.
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after the end of the parent: %q, %v", rest, err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent ended by itself")
	}
}
