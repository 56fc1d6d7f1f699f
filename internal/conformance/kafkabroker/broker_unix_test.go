//go:build unix

package kafkabroker

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A witness is a test that writes down what it is failed for.
type witness struct {
	testing.TB

	said []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func TestHowABrokerEndsIsChecked(t *testing.T) {
	// These stand in for a broker: each says that it runs and goes on.
	const (
		obeys   = "trap 'exit 143' TERM; echo up; read never"
		breaks  = "trap 'exit 1' TERM; echo up; read never"
		ends    = "echo up"
		unheard = "trap '' TERM; echo up; read never"
	)
	stop := func(t testing.TB, b *Broker) { t.Helper(); b.Stop(t) }
	kill := func(t testing.TB, b *Broker) { t.Helper(); b.Kill(t) }
	leave := func(t testing.TB, b *Broker) { t.Helper(); b.cleanup(t) }
	stopTwice := func(t testing.TB, b *Broker) { t.Helper(); b.Stop(t); b.Stop(t); b.cleanup(t) }
	tests := []struct {
		name, script string
		act          func(testing.TB, *Broker)
		want         string // none means that nothing is wrong
	}{
		{name: "a broker that obeys has stopped", script: obeys, act: stop},
		{name: "a broker that fails on its way out has not stopped in order", script: breaks, act: stop, want: "did not end in order: exit status 1"},
		{name: "a broker that ended before it was stopped ended by itself", script: ends, act: stop, want: "ended by itself"},
		{name: "a broker that ended before it was killed ended by itself", script: ends, act: kill, want: "ended by itself"},
		{name: "a broker that ended before the test did ended by itself", script: ends, act: leave, want: "ended by itself"},
		{name: "a broker that hears nothing can be killed", script: unheard, act: kill},
		{name: "a test may leave its broker running", script: unheard, act: leave},
		{name: "a broker may be stopped twice", script: obeys, act: stopTwice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &witness{TB: t}
			b := &Broker{dir: t.TempDir(), process: standIn(t, tt.script)}
			if tt.script == ends {
				<-b.process.done
			}
			tt.act(w, b)
			if !b.process.ended() {
				t.Error("the process still runs")
			}
			said := strings.Join(w.said, "; ")
			if (said != "") != (tt.want != "") || !strings.Contains(said, tt.want) {
				t.Errorf("the test was failed for %q, want %q", said, tt.want)
			}
		})
	}
}

// standIn runs a script that says one line when it is up, and waits for that.
// Its input stays open, and silent, until the test is over.
func standIn(t *testing.T, script string) *process {
	t.Helper()
	// Pipes of our own: those of exec close when the process ends, which may be
	// before its line was read.
	input, _ := pipe(t)
	output, say := pipe(t)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdin, cmd.Stdout = input, say
	p, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatalf("the stand-in says %q: %v", line, err)
	}
	return p
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}
