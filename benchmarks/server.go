package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
)

// serverEnv makes this program a server of gRPC for the measurement of latencies:
// the surface and the pipeline of the sidecar and nothing around them, so that a
// server with protection and one without differ in nothing else.
const serverEnv = "FIELDVEIL_BENCH_SERVER"

func isServer() bool { return os.Getenv(serverEnv) != "" }

// What a server is told.
type serverOrder struct {
	Brokers  []string `json:"brokers"`
	Registry string   `json:"registry"`
	Policy   string   `json:"policy"`
	Protect  bool     `json:"protect"`
}

// nothing is a Protector that sends records as they came. It is here and nowhere
// else: the product has no such mode.
type nothing struct{}

// Protect implements [produce.Protector].
func (nothing) Protect(_ context.Context, _ []byte, rec *produce.Record) (produce.Record, error) {
	return *rec, nil
}

// open is a Guard that lets everybody in.
type open struct{}

// Authenticate implements [rpc.Guard].
func (open) Authenticate(ctx context.Context, _ *rpc.Caller) (context.Context, error) {
	return ctx, nil
}

// Authorize implements [rpc.Guard].
func (open) Authorize(context.Context, rpc.Operation, string, string) error { return nil }

// What is never called, since nobody reveals.
type (
	noProtector struct{ rpc.Protector }
	noAudit     struct{ rpc.Audit }
)

// serveBeside is the life of a server. It returns the exit code.
func serveBeside() int {
	err := func() error {
		in := bufio.NewReader(os.Stdin)
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		var o serverOrder
		if err := json.Unmarshal(line, &o); err != nil {
			return err
		}
		return serveUntil(in, o)
	}()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "benchmarks: server:", err)
		return 1
	}
	return 0
}

// serveUntil serves until there is nothing more to read.
func serveUntil(in io.Reader, o serverOrder) error {
	ctx := context.Background()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
	}, produce.ClientOptions(nil, 0)...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	var protector produce.Protector = nothing{}
	if o.Protect {
		if protector, err = newEngine(ctx, o); err != nil {
			return err
		}
	}
	pipeline, err := produce.New(protector, client)
	if err != nil {
		return err
	}
	defer pipeline.Close()
	calls, err := rpc.New(rpc.DefaultConfig(), rpc.Deps{Sender: pipeline, Guard: open{}, Protector: noProtector{}, Audit: noAudit{}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- calls.Serve(l) }()
	_, _ = fmt.Println(l.Addr())   // who asked reads it, or is gone
	_, _ = io.Copy(io.Discard, in) // until the other side is gone
	over, cancel := context.WithCancel(ctx)
	cancel()
	_ = calls.Shutdown(over) // at once
	return ended(<-served)
}

// ended is nil for a server that was told to end.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// newEngine opens the engine of the policy.
func newEngine(ctx context.Context, o serverOrder) (produce.Protector, error) {
	c := engine.DefaultConfig()
	c.Schemas.Registry = &engine.Registry{URLs: []string{o.Registry}, Timeout: 10 * time.Second}
	base, err := engine.Open(ctx, c, engine.Deps{KMS: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	policy, err := fieldcrypt.ParsePolicy([]byte(o.Policy))
	if err != nil {
		return nil, err
	}
	e, err := base.NewEngine(ctx, engine.Rules{Policy: policy})
	if err != nil {
		return nil, err
	}
	return engine.NewSwap(e), nil
}

// A server is one in a process of its own.
type server struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
}

func startServer(o serverOrder) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(self)}
	s.cmd.Env = append(os.Environ(), serverEnv+"=1")
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	err = json.NewEncoder(s.in).Encode(o)
	if err == nil {
		var line string
		line, err = bufio.NewReader(out).ReadString('\n')
		s.addr = strings.TrimSpace(line)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) close() error {
	_ = s.in.Close() // which tells it to end
	killer := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer killer.Stop()
	return s.cmd.Wait()
}
