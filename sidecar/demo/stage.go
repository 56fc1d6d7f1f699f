package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/sidecar/serve"
)

// The topics: JSON under paths of the policy, and Avro under tags of its schema.
const (
	topicJSON = "customers"
	topicAvro = "signups"
)

// The files of the demo.
const (
	fileKEK    = "demo.kek"
	filePolicy = "policy.yaml"
	fileConfig = "fieldveil.yaml"
	fileAudit  = "audit.jsonl"
	fileLog    = "sidecar.log"
)

const signupSchema = `{"type":"record","name":"Signup","namespace":"demo","fields":[
  {"name":"id","type":"string"},
  {"name":"name","type":"string","confluent:tags":["PII.NAME"]},
  {"name":"email","type":"string","confluent:tags":["PII.EMAIL"]}]}`

// A stage is all that runs.
type stage struct {
	dir      string
	broker   *kfake.Cluster
	registry *registrytest.Server
	avro     *avro.Schema
	log      *os.File
	addrs    map[string]string // of the sidecar, by the name of the listener

	signals chan os.Signal
	ended   chan struct{}
	err     error // of the sidecar, once ended is closed
}

// open starts everything. What it started is gone again when it fails.
func open(ctx context.Context, o Options) (_ *stage, err error) {
	s := &stage{signals: make(chan os.Signal, 1)}
	if s.dir, err = os.MkdirTemp("", "fieldveil-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topicJSON, topicAvro)); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if s.registry, err = registrytest.Start(); err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	if _, err = s.registry.Register(topicAvro+"-value", registrytest.Schema{Format: registrytest.Avro, Text: signupSchema}); err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	if s.avro, err = avro.Parse(signupSchema); err != nil {
		return nil, err
	}
	if err := s.writeFiles(o.Keep); err != nil {
		return nil, err
	}
	if s.log, err = os.OpenFile(filepath.Join(s.dir, fileLog), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err := s.serve(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// serve starts the sidecar and waits until it listens.
func (s *stage) serve(ctx context.Context, o Options) error {
	s.ended = make(chan struct{})
	listening := make(chan map[string]net.Addr, 1)
	go func() {
		defer close(s.ended)
		// It ends by a signal, as everywhere, and so in its orderly way.
		s.err = serve.Run(context.WithoutCancel(ctx), serve.Options{
			Config: filepath.Join(s.dir, fileConfig), Out: s.log, Signals: s.signals, Build: o.Build,
			Listening: func(a map[string]net.Addr) { listening <- a },
		})
	}()
	select {
	case all := <-listening:
		s.addrs = make(map[string]string, len(all))
		for name, a := range all {
			s.addrs[name] = a.String()
		}
		return nil
	case <-s.ended:
		return fmt.Errorf("the sidecar did not start: %w", s.failure())
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnded = errors.New("it was told to end")

// failure returns why the sidecar ended.
func (s *stage) failure() error {
	if s.err == nil {
		return errEnded
	}
	return s.err
}

// close ends everything and removes the files.
func (s *stage) close() error {
	var errs []error
	if s.ended != nil {
		select {
		case s.signals <- syscall.SIGTERM:
		default: // it was told before
		}
		<-s.ended
		errs = append(errs, s.err)
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.registry != nil {
		s.registry.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *stage) writeFiles(keep bool) error {
	if err := localkms.Create(filepath.Join(s.dir, fileKEK)); err != nil {
		return err
	}
	kek, err := quoted("local:" + filepath.Join(s.dir, fileKEK))
	if err != nil {
		return err
	}
	config := strings.NewReplacer(
		"BROKER", s.broker.ListenAddrs()[0], "REGISTRY", s.registry.URL(),
		"REST", address(keep, "127.0.0.1:8082"), "GRPC", address(keep, "127.0.0.1:9095"), "ADMIN", address(keep, "127.0.0.1:9191"),
	).Replace(configText)
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, filePolicy), []byte(strings.Replace(policyText, "KEK", kek, 1)), 0o600),
		os.WriteFile(filepath.Join(s.dir, fileConfig), []byte(config), 0o600),
	)
}

// quoted returns text as a string of YAML, whatever is in it.
func quoted(text string) (string, error) {
	b, err := json.Marshal(text)
	return string(b), err
}

// address returns the address to listen on: any that is free, or the usual one
// where that is wanted and free. Somebody else may take it in between; then the
// sidecar does not start and says so.
func address(usual bool, addr string) string {
	const anyPort = "127.0.0.1:0"
	if !usual {
		return anyPort
	}
	l, err := net.Listen("tcp", addr) //nolint:noctx // nothing to wait for
	if err != nil {
		return anyPort
	}
	_ = l.Close() // it was only to see whether it is free
	return addr
}

const policyText = `version: 1
keys:
  pii: {kek: KEK}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - match: customers
    format: json
    dataset: customers
    fields:
      - {path: /full_name, action: mask, keep_first: 1}
      - {path: /email, action: encrypt, key: pii}
      - {path: /phone, action: mask, keep_last: 3}
      - {path: /cvv, action: reject}
  - match: signups
`

const configText = `version: 1
policy: {path: policy.yaml}
kafka: {properties: {bootstrap.servers: "BROKER", linger.ms: "0"}}
schemas: {registry: {urls: ["REGISTRY"]}}
listen: {rest: "REST", grpc: "GRPC"}
admin: {addr: "ADMIN"}
auth:
  rules:
    - {principals: [local], operations: [produce, check, protect, metadata]}
    - {principals: [local], operations: [reveal], topics: [customers]}
audit: {to: file, path: audit.jsonl}
shutdown: {drain_delay: 0s, timeout: 10s}
`
