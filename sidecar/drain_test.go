package sidecar

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// slow makes the requests of w wait: each tells that it is there, and goes on when
// goOn is closed. stopping is closed by the generation's Stop.
func slow(w *world) (there chan bool, goOn, stopping chan struct{}) {
	there, goOn, stopping = make(chan bool), make(chan struct{}), make(chan struct{})
	inner := w.build
	w.opts.Build = func(ctx context.Context, cfg *config.Config) (*Generation, error) {
		gen, err := inner(ctx, cfg)
		gen.REST = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			there <- true
			select {
			case <-goOn:
				_, _ = io.WriteString(rw, "acknowledged")
			case <-r.Context().Done():
				http.Error(rw, "cut off", http.StatusServiceUnavailable)
			}
		})
		gen.Stop = func() { close(stopping) }
		return gen, err
	}
	return there, goOn, stopping
}

// ask sends a request in the background, and returns what came of it.
func (w *world) ask() chan string {
	out := make(chan string, 1)
	go func() {
		res, err := w.client.Get(w.url("rest", "/"))
		if err != nil {
			out <- err.Error()
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			out <- err.Error()
			return
		}
		out <- string(b)
	}()
	return out
}

func TestWhatIsInFlightGetsItsAnswer(t *testing.T) {
	w := newWorld(t)
	there, goOn, stopping := slow(w)
	var drained bool
	w.opts.Drain = func(context.Context) (Drained, error) { drained = true; return Drained{}, nil }
	w.start()
	answers := make([]chan string, 20)
	for i := range answers {
		answers[i] = w.ask()
		<-there
	}
	w.signals <- syscall.SIGTERM
	<-stopping
	close(goOn)
	for _, a := range answers {
		if got := <-a; got != "acknowledged" {
			t.Error(got)
		}
	}
	if err := <-w.done; err != nil || !drained {
		t.Error(err, drained)
	}
}

func TestWhatIsLeftIsTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		what Drained
		err  error
		want string
	}{
		{"records of unknown outcome", Drained{Unknown: 3}, nil, "0 records dropped, 3 of unknown outcome"},
		{"records that were dropped", Drained{Dropped: 2}, nil, "2 records dropped"},
		{"a pipeline that failed", Drained{}, errors.New("no broker"), "no broker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.opts.Drain = func(context.Context) (Drained, error) { return tt.what, tt.err }
			w.start()
			err := w.end()
			lost, ok := errors.AsType[*DrainError](err)
			if !ok || lost.Drained != tt.what || lost.Requests || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
			if !strings.Contains(w.log.String(), tt.want) {
				t.Error("the log does not say so")
			}
		})
	}
}

// ticks gives w a clock that waits to be told the time, since some moment, each
// time that it is looked at.
func ticks(w *world) (at func(time.Duration)) {
	times := make(chan time.Time)
	w.opts.Now = func() time.Time { return <-times }
	begin := time.Now()
	return func(d time.Duration) {
		w.t.Helper()
		select {
		case times <- begin.Add(d):
		case err := <-w.done:
			w.t.Fatalf("it ended: %v", err)
		}
	}
}

// Some programs that end others send the signal twice, to the process and to its
// group.
func TestASignalThatComesTogetherWithTheFirstDoesNotCutTheDrainShort(t *testing.T) {
	w := newWorld(t)
	there, goOn, stopping := slow(w)
	at := ticks(w)
	w.start()
	answer := w.ask()
	<-there
	w.signals <- syscall.SIGTERM
	at(0)
	for _, after := range []time.Duration{0, time.Millisecond, time.Second - 1} {
		w.signals <- syscall.SIGTERM
		at(after)
	}
	<-stopping
	close(goOn)
	if got := <-answer; got != "acknowledged" {
		t.Error(got)
	}
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

func TestTheDelayOfADrainServesAndASecondSignalCutsItShort(t *testing.T) {
	w := newWorld(t)
	w.write("fieldveil.yaml", strings.Replace(goodConfig, "drain_delay: 0s", "drain_delay: 10m", 1))
	not := make(chan bool, 2)
	w.opts.Serving = func(on bool) { not <- on }
	at := ticks(w)
	w.start()
	<-not
	w.signals <- syscall.SIGTERM
	at(0)
	if <-not {
		t.Error("it says that it serves")
	}
	// Callers have not noticed yet, so they are served.
	if status, _ := w.get("rest", "/"); status != 200 {
		t.Errorf("while callers notice: %d", status)
	}
	if status, body := w.get("admin", "/readyz"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := w.get("admin", "/livez"); status != 200 {
		t.Errorf("alive: %d", status)
	}
	w.signals <- syscall.SIGHUP // is no reason to hurry
	w.signals <- syscall.SIGTERM
	at(time.Second)
	if err := <-w.done; !errors.Is(err, ErrForced) {
		t.Error(err)
	}
}

func TestASecondSignalEndsARequestThatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	there, _, stopping := slow(w)
	at := ticks(w)
	w.start()
	answer := w.ask()
	<-there
	w.signals <- syscall.SIGTERM
	at(0)
	<-stopping
	w.signals <- syscall.SIGINT
	at(time.Hour)
	if err := <-w.done; !errors.Is(err, ErrForced) {
		t.Error(err)
	}
	if got := <-answer; got == "acknowledged" {
		t.Error("a request that was cut off was acknowledged")
	}
	if w.open.Load() != 0 {
		t.Error("a generation stays open")
	}
}

func TestTheEndOfTheContextDrains(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	up := make(chan bool, 2)
	w.opts.Serving = func(on bool) { up <- on }
	go func() { w.done <- Run(ctx, w.opts) }()
	<-up
	cancel()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}
