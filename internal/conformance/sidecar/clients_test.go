//go:build unix

package sidecar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

const (
	examples = "../../../examples/clients"
	others   = "testdata/clients"
	protos   = "../../../sidecar/api/proto"
)

// The topic wrapped is of a client that puts everything below a key of its own.
const customersPolicy = `version: 1
dataset: customers
keys: {pii: {kek: "local:pii.kek"}}
topics:
  - {match: customers, format: json, fields: [{path: /full_name, action: encrypt, key: pii}, {path: /email, action: encrypt, key: pii}]}
  - {match: wrapped, format: json, fields: [{path: /payload/full_name, action: encrypt, key: pii}, {path: /payload/email, action: encrypt, key: pii}]}
`

// A tool runs scripts of one language, or could not be had.
type tool struct {
	name string
	path func() (string, error)
	env  func(path string) []string
}

// fetched gives fill a folder of the user's cache, named by everything that it
// depends on, and returns the folder. It fills once per process: without network
// that may take its whole timeout to fail.
func fetched(name string, files []string, fill func(ctx context.Context, dir string) error) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		sum := sha256.New()
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			sum.Write(text)
		}
		return process.Cached(fmt.Sprintf("clients-%s-%x", name, sum.Sum(nil)[:4]), func(dir string) error { return fill(ctx, dir) })
	})
}

// The Python of a virtual environment, with the clients and the stubs for gRPC.
var environment = fetched("python", []string{others + "/requirements.txt", protos + "/fieldveil/v1/produce.proto"},
	func(ctx context.Context, dir string) error {
		python, err := exec.LookPath("python3")
		if err != nil {
			return fmt.Errorf("no Python is installed: %w", err)
		}
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		// Only the Python stays where it is when the environment is renamed.
		python = filepath.Join(dir, "bin", "python")
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", "--requirement", others+"/requirements.txt")); err != nil {
			return fmt.Errorf("install the clients for Python with pip: %w", err)
		}
		stubs := filepath.Join(dir, "stubs")
		if err := os.Mkdir(stubs, 0o750); err != nil {
			return err
		}
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "grpc_tools.protoc", "-I", protos,
			"--python_out="+stubs, "--grpc_python_out="+stubs, "fieldveil/v1/produce.proto")); err != nil {
			return fmt.Errorf("generate the stubs for Python: %w", err)
		}
		return nil
	})

var modules = fetched("node", []string{others + "/package.json"}, func(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("no npm is installed: %w", err)
	}
	text, err := os.ReadFile(others + "/package.json")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), text, 0o600); err != nil {
		return err
	}
	if _, err := process.Run(exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--silent")); err != nil {
		return fmt.Errorf("install the client for Node with npm: %w", err)
	}
	return nil
})

func installed(name string) func() (string, error) {
	return func() (string, error) { return exec.LookPath(name) }
}

var (
	python = tool{
		"Python", func() (string, error) {
			dir, err := environment()
			return filepath.Join(dir, "bin", "python"), err
		},
		func(path string) []string {
			return []string{"PYTHONPATH=" + filepath.Join(filepath.Dir(filepath.Dir(path)), "stubs")}
		},
	}
	// The script stands elsewhere than the modules.
	nodeModules = tool{
		"Node with npm", func() (string, error) {
			if _, err := modules(); err != nil {
				return "", err
			}
			return exec.LookPath("node")
		},
		func(string) []string {
			dir, _ := modules() // it worked just now
			return []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}
		},
	}
	// The compiler tells whether a single file runs.
	java = tool{"Java", func() (string, error) {
		if _, err := exec.LookPath("javac"); err != nil {
			return "", err
		}
		return exec.LookPath("java")
	}, nil}
	node = tool{"Node", installed("node"), nil}
	bash = tool{"bash with curl", func() (string, error) {
		if _, err := exec.LookPath("curl"); err != nil {
			return "", err
		}
		return exec.LookPath("bash")
	}, nil}
)

var clients = []struct {
	tool   tool
	script string
	topic  string
}{
	{bash, examples + "/produce.sh", "customers"},
	{python, examples + "/produce.py", "customers"},
	{python, examples + "/produce_grpc.py", "customers"},
	{node, examples + "/produce.mjs", "customers"},
	{java, examples + "/Produce.java", "customers"},
	// Code that other people wrote for other proxies.
	{nodeModules, others + "/kafka-rest.js", "customers"},
	{python, others + "/bridge.py", "customers"},
	{python, others + "/nlp.py", "wrapped"},
}

// run runs a script with the sidecar p, or skips the test.
func (tool tool) run(t *testing.T, script string, p *program) (string, error) {
	t.Helper()
	path, err := tool.path()
	if err != nil {
		process.Missing(t, tool.name, "FIELDVEIL_REQUIRE_CLIENTS", err)
	}
	script, err = filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, script)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "FIELDVEIL_URL=http://" + p.rest, "FIELDVEIL_GRPC=" + p.grpc}
	if tool.env != nil {
		cmd.Env = append(cmd.Env, tool.env(path)...)
	}
	return process.Run(cmd)
}

func TestClientsProduceProtectedRecords(t *testing.T) {
	broker := kafkabroker.Start(t)
	newTopic(t, broker.Addr(), "customers")
	newTopic(t, broker.Addr(), "wrapped")
	p := newProgram(t, setup{brokers: broker.Addr(), policy: customersPolicy})
	p.start(t)
	// Here every record is refused, and a client must say so.
	refusing := newProgram(t, setup{brokers: broker.Addr(), policy: strings.ReplaceAll(customersPolicy, "encrypt, key: pii}]", "reject}]")})
	refusing.start(t)
	known := map[string]int{}
	for _, c := range clients {
		t.Run(filepath.Base(c.script), func(t *testing.T) {
			out, err := c.tool.run(t, c.script, p)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, p.tail(t))
			}
			log := readTopic(t, broker.Addr(), c.topic)
			known[c.topic]++
			if len(log) != known[c.topic] {
				t.Fatalf("%d records in the topic, want %d\n%s", len(log), known[c.topic], out)
			}
			for _, r := range log {
				for _, clear := range []string{"Ann Example", "ann@example.org"} {
					if bytes.Contains(r.value, []byte(clear)) || bytes.Contains(r.extra, []byte(clear)) {
						t.Errorf("in clear: %s", r.value)
					}
				}
				if n := bytes.Count(r.value, []byte(`"fv1:`)); n != 2 || !bytes.Contains(r.value, []byte(`"id":7`)) && !bytes.Contains(r.value, []byte(`"id": 7`)) {
					t.Errorf("%d protected fields: %s", n, r.value)
				}
				if key := strings.Trim(r.key, `"`); key != "7" {
					t.Errorf("the key is %s", r.key)
				}
			}
			out, err = c.tool.run(t, c.script, refusing)
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Errorf("a client whose record is refused: %v\n%s", err, out)
			}
			if n := len(readTopic(t, broker.Addr(), c.topic)); n != known[c.topic] {
				t.Errorf("%d records in the topic after one was refused, want %d", n, known[c.topic])
			}
		})
	}
}
