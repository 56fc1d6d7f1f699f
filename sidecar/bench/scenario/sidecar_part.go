package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/serve"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// IsJSON tells whether records are JSON documents.
func IsJSON(s *input.Set) bool { return s.Text.Format == schema.JSONSchema || s.Text.Schema == "" }

// writeConfig writes the files of the sidecar and returns the path of its
// configuration. maxBuffered is how many records its client of Kafka holds, most how
// many are under way in all; 0 leaves the defaults.
func writeConfig(ctx context.Context, dir string, p *Params, at addresses, maxBuffered, most int) (string, error) {
	// The KEK is in a file, for both processes: domain keys are made here, where the
	// records tell for which tenants.
	kek := filepath.Join(dir, "bench.kek")
	if err := localkms.Create(kek); err != nil {
		return "", err
	}
	set := *p.Set // its policy names other keys there
	if err := set.Rekey(ctx, localkms.New(), localkms.Scheme+":"+kek); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), set.Policy, 0o600); err != nil {
		return "", err
	}
	section := map[string]any{}
	properties := map[string]any{"bootstrap.servers": at["brokers"], "linger.ms": 0}
	if k := p.Kafka; k != nil {
		clear(properties)
		for name, value := range k.Properties {
			properties[name] = value
		}
		section["insecure"] = k.Insecure
		secrets := map[string]any{}
		for name, file := range p.SecretFiles {
			if file, err := filepath.Abs(file); err == nil {
				secrets[name] = map[string]string{"file": file}
			}
		}
		section["secrets"] = secrets
	}
	section["properties"] = properties
	if p.Linger > 0 {
		properties["linger.ms"] = int(p.Linger.Milliseconds())
	}
	if p.Compression != "" {
		properties["compression.type"] = p.Compression
	}
	if maxBuffered > 0 {
		properties["queue.buffering.max.messages"] = maxBuffered
	}
	if p.BatchBytes > 0 {
		properties["message.max.bytes"] = int(p.BatchBytes)
	}
	config := map[string]any{
		"version":  1,
		"kafka":    section,
		"listen":   map[string]any{"rest": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
		"admin":    map[string]any{"addr": "127.0.0.1:0"},
		"shutdown": map[string]any{"drain_delay": "0s", "timeout": "5s"},
		"schemas":  map[string]any{"registry": map[string]any{"urls": []string{at["registry"]}}, "register_derived": true},
	}
	if most > 0 {
		// A search says how much room its settings need.
		config["limits"] = map[string]any{"in_flight_records": most}
	}
	if p.MaxScopes > 0 {
		config["keys"] = map[string]any{"max_scopes": p.MaxScopes}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "fieldveil.yaml")
	return path, os.WriteFile(path, text, 0o600)
}

// playSidecar runs the sidecar as "fieldveil serve" does, with everything around
// it.
func playSidecar(o order) (role, error) {
	ctx := context.Background()
	kms := newStandIn(localkms.New(), o.Latency)
	signals, ended := make(chan os.Signal, 1), make(chan error, 1)
	listening := make(chan map[string]net.Addr, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Options{
			Config: o.Config, Out: io.Discard, Signals: signals, KMS: kms, Build: telemetry.Build{Version: "v0.0.0"},
			Listening: func(a map[string]net.Addr) { listening <- a },
		})
	}()
	select {
	case err := <-ended:
		return role{}, err
	case found := <-listening:
		addrs := addresses{}
		for name, a := range found {
			addrs[name] = a.String()
		}
		end := func() {
			signals <- syscall.SIGTERM
			if err := <-ended; err != nil {
				_, _ = fmt.Fprintln(os.Stderr, "fieldveil bench: sidecar:", err)
			}
		}
		return role{addrs: addrs, calls: kms.calls.Load, end: end}, nil
	}
}
