package azurekms

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

//go:embed requirements.txt
var requirements []byte

//go:embed client.py
var script []byte

// Python runs client.py against a server.
type Python struct {
	path, script, bundle string
	proxy                *httptest.Server
}

// install makes a virtual environment, once per process: without network it may
// take its whole timeout to fail, and the next test would wait as long for the
// same answer.
var install = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python is installed: %w", err)
	}
	sum := sha256.Sum256(requirements)
	dir, err := process.Cached(fmt.Sprintf("azure-python-%x", sum[:4]), func(dir string) error {
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o600); err != nil {
			return err
		}
		// Only the Python stays where it is when the environment is renamed.
		_, err := process.Run(exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", "--requirement", list))
		if err != nil {
			return fmt.Errorf("install the clients of Azure with pip: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "bin", "python"), nil
})

// NewPython returns a Python for which s is all of Azure, or skips the test.
func NewPython(t *testing.T, s *kmstest.AzureServer) *Python {
	t.Helper()
	path, err := install()
	if err != nil {
		process.Missing(t, "clients of Azure for Python", "FIELDVEIL_REQUIRE_AZURE_PYTHON", err)
	}
	dir := t.TempDir()
	p := &Python{path: path, script: filepath.Join(dir, "client.py"), bundle: filepath.Join(dir, "ca.pem")}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate()})
	for name, content := range map[string][]byte{p.script: script, p.bundle: certificate} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.proxy = httptest.NewServer(tunnel(s.Addr()))
	t.Cleanup(func() {
		p.proxy.CloseClientConnections()
		p.proxy.Close()
	})
	return p
}

// tunnel is an HTTP proxy from which all ways lead to one address, so that Python
// calls the hosts of Azure by their names.
func tunnel(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close() //nolint:errcheck // it is over
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close() //nolint:errcheck // it is over
		if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		var wg sync.WaitGroup
		for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
			wg.Go(func() {
				// It ends with either side, and both are closed then.
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
			})
		}
		wg.Wait()
	}
}

// An Answer is that of client.py.
type Answer struct {
	Plain   []byte `json:"plain"`
	Wrapped []byte `json:"wrapped"`
	Error   string `json:"error"`
	Code    string `json:"code"`
	Status  int    `json:"status"`
}

// Do runs client.py once, with all questions: to start Python and its imports
// takes longer than they do.
func (p *Python) Do(t *testing.T, questions ...map[string]any) []Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, p.path, p.script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HTTPS_PROXY=" + p.proxy.URL, "REQUESTS_CA_BUNDLE=" + p.bundle, "HOME=" + filepath.Dir(p.script)}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("client.py: %v\n%s", err, stderr.String())
	}
	var a []Answer
	if err := json.Unmarshal(out, &a); err != nil || len(a) != len(questions) {
		t.Fatalf("client.py: %v: %s", err, out)
	}
	return a
}
