package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
	"github.com/fieldveil/fieldveil/sidecar/serve"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

func policyText() string {
	var b strings.Builder
	b.WriteString("version: 1\ndataset: bench\nkeys: {pii: {kek: \"local:bench\"}}\nrules:\n- {tag: PII, action: encrypt, key: pii}\ntopics:\n")
	b.WriteString("- {match: " + topicAvro + "}\n- match: " + topicJSON + "\n  format: json\n  fields:\n")
	for _, path := range workload.JSONPaths() {
		_, _ = fmt.Fprintf(&b, "  - {path: %q, action: encrypt, key: pii}\n", path)
	}
	return b.String()
}

// whole runs the sidecar as "fieldveil serve" does, with everything around it.
func whole(o order) (addresses, func(), error) {
	dir, err := os.MkdirTemp("", "fieldveil-bench")
	if err != nil {
		return nil, nil, err
	}
	config := `version: 1
kafka: {properties: {bootstrap.servers: "` + o.Brokers + `", linger.ms: ` + strconv.Itoa(o.Linger) + `}}
listen: {rest: "127.0.0.1:0", grpc: "127.0.0.1:0"}
admin: {addr: "127.0.0.1:0"}
schemas: {registry: {urls: ["` + o.Registry + `"]}}
shutdown: {drain_delay: 0s, timeout: 5s}
`
	for name, text := range map[string]string{"policy.yaml": policyText(), "fieldveil.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	signals, ended := make(chan os.Signal, 1), make(chan error, 1)
	listening := make(chan map[string]net.Addr, 1)
	go func() {
		ended <- serve.Run(context.Background(), serve.Options{
			Config: filepath.Join(dir, "fieldveil.yaml"), Out: io.Discard, Signals: signals,
			KMS: localkms.NewInMemory(), Build: telemetry.Build{Version: "v0.0.0"},
			Listening: func(a map[string]net.Addr) { listening <- a },
		})
	}()
	select {
	case err := <-ended:
		return nil, nil, err
	case addrs := <-listening:
		out := addresses{}
		for name, a := range addrs {
			out[name] = a.String()
		}
		end := func() {
			signals <- syscall.SIGTERM
			if err := <-ended; err != nil {
				_, _ = fmt.Fprintln(os.Stderr, "sidecar:", err)
			}
			_ = os.RemoveAll(dir) // what is left there hurts nobody
		}
		return out, end, nil
	}
}

// nothing is a Protector that sends records as they came. It is here and nowhere
// else: the product has no such mode.
type nothing struct{}

func (nothing) Protect(_ context.Context, _ []byte, rec *produce.Record) (produce.Record, error) {
	return *rec, nil
}

// open is a Guard that lets everybody in.
type open struct{}

func (open) Authenticate(ctx context.Context, _ *rpc.Caller) (context.Context, error) {
	return ctx, nil
}
func (open) Authorize(context.Context, rpc.Operation, string, string) error { return nil }

// What is never called, since nobody reveals.
type (
	noProtector struct{ rpc.Protector }
	noAudit     struct{ rpc.Audit }
)

// bare serves the surfaces and the pipeline alone, so that servers with and
// without protection differ in nothing else.
func bare(o order, protect bool) (addresses, func(), error) {
	ctx := context.Background()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(o.Brokers, ",")...), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(time.Duration(o.Linger) * time.Millisecond),
	}, produce.ClientOptions(nil, 0)...)...)
	if err != nil {
		return nil, nil, err
	}
	var protector produce.Protector = nothing{}
	if protect {
		if protector, err = newEngine(ctx, o); err != nil {
			return nil, nil, err
		}
	}
	pipeline, err := produce.New(protector, client)
	if err != nil {
		return nil, nil, err
	}
	web, err := rest.New(rest.DefaultConfig(), rest.Deps{Sender: pipeline, Guard: rest.Open{}})
	if err != nil {
		return nil, nil, err
	}
	calls, err := rpc.New(rpc.DefaultConfig(), rpc.Deps{Sender: pipeline, Guard: open{}, Protector: noProtector{}, Audit: noAudit{}})
	if err != nil {
		return nil, nil, err
	}
	g, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	h, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: web, ReadHeaderTimeout: time.Minute}
	go func() { _ = calls.Serve(g) }()
	go func() { _ = server.Serve(h) }()
	end := func() {
		_ = server.Close() // it is the end
		over, cancel := context.WithCancel(ctx)
		cancel()
		_ = calls.Shutdown(over)
		pipeline.Close()
		client.Close()
	}
	return addresses{"grpc": g.Addr().String(), "rest": h.Addr().String()}, end, nil
}

// newEngine opens the engine of the policy.
func newEngine(ctx context.Context, o order) (produce.Protector, error) {
	c := engine.DefaultConfig()
	c.Schemas.Registry = &engine.Registry{URLs: []string{o.Registry}, Timeout: 10 * time.Second}
	base, err := engine.Open(ctx, c, engine.Deps{KMS: localkms.NewInMemory()})
	if err != nil {
		return nil, err
	}
	policy, err := fieldcrypt.ParsePolicy([]byte(policyText()))
	if err != nil {
		return nil, err
	}
	e, err := base.NewEngine(ctx, engine.Rules{Policy: policy})
	if err != nil {
		return nil, err
	}
	return engine.NewSwap(e), nil
}
