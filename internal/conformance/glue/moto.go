package glue

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

//go:embed requirements.txt
var requirements []byte

//go:embed serde.py
var serde string

// Moto is a running AWS Glue of moto's, with the Python that runs it.
type Moto struct {
	URL    string
	python string
}

// install makes a virtual environment, once per process: without network it may
// take its whole timeout to fail, and the next test would wait as long for the
// same answer.
var install = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python is installed: %w", err)
	}
	sum := sha256.Sum256(requirements)
	dir, err := process.Cached(fmt.Sprintf("moto-%x", sum[:4]), func(dir string) error {
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o600); err != nil {
			return err
		}
		_, err := process.Run(exec.CommandContext(ctx, venvPython(dir), "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", "--requirement", list))
		if err != nil {
			return fmt.Errorf("install moto with pip: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return venvPython(dir), nil
})

// venvPython returns the Python of a virtual environment. Only that works after
// the environment has been renamed; its scripts hold the old path.
func venvPython(dir string) string { return filepath.Join(dir, "bin", "python") }

// StartMoto runs moto's server until the test is over, or skips the test.
func StartMoto(t *testing.T) *Moto {
	t.Helper()
	python, err := install()
	if err != nil {
		process.Missing(t, "moto", "FIELDVEIL_REQUIRE_MOTO", err)
	}
	addr := process.FreeAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	p := process.Start(t, exec.CommandContext(context.WithoutCancel(t.Context()), python, "-m", "moto.server", "-H", host, "-p", port))
	m := &Moto{URL: "http://" + addr, python: python}
	p.WaitReady(t, m.URL+"/moto-api/data.json", time.Minute)
	return m
}

// Python runs the script that writes and reads records, and returns what it
// prints.
func (m *Moto) Python(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.python, append([]string{"-W", "ignore", "-c", serde, m.URL}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := process.Run(cmd)
	if err != nil {
		t.Fatalf("the Python library: %v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}
