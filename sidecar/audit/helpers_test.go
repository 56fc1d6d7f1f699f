package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

const hmacKey = "0123456789abcdef0123456789abcdef"

// testClock goes on by a second with each look at it.
func testClock() func() time.Time {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		at = at.Add(time.Second)
		return at
	}
}

func sealKey(t testing.TB) (SealConfig, Key) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal")
	if err := os.WriteFile(path, []byte(hmacKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKey(secret.File(path))
	if err != nil {
		t.Fatal(err)
	}
	return SealConfig{HMAC: secret.File(path)}, k
}

func openFile(t testing.TB, c Config) *Log {
	t.Helper()
	c.To = ToFile
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.WithoutCancel(t.Context())) })
	return l
}

func reveal(n int) Entry {
	return Entry{
		Action: ActionReveal, Outcome: Granted, Actor: "spiffe://example.org/billing", Method: "mtls", Topic: "customers",
		Tenant: "acme", Purpose: fmt.Sprintf("case %d", n), Count: n,
	}
}

func write(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Write(t.Context(), reveal(i+1)); err != nil {
			t.Fatal(err)
		}
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verify reads texts as the files of one trail.
func verify(t testing.TB, c VerifyConfig, texts ...[]byte) Report {
	t.Helper()
	v := NewVerifier(c)
	for i, text := range texts {
		if err := v.Read(fmt.Sprintf("file%d", i), bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return v.Report()
}

func whole(t testing.TB, r Report, lines int) {
	t.Helper()
	if len(r.Faults) > 0 || r.Lines != lines {
		t.Errorf("%d lines, want %d; faults %v", r.Lines, lines, r.Faults)
	}
}

// parsed returns the lines of a text that can be read.
func parsed(t testing.TB, text []byte) []Line {
	t.Helper()
	var out []Line
	for line := range strings.Lines(string(text)) {
		if l, err := ParseLine([]byte(line)); err == nil {
			out = append(out, l)
		}
	}
	return out
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

var _ io.Writer = writerFunc(nil)

func fileSecret(t testing.TB, text string) secret.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(path)
}

// writePEM makes an Ed25519 key and writes both halves.
func writePEM(t testing.TB, private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secretDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{private: {Type: "PRIVATE KEY", Bytes: secretDER}, public: {Type: "PUBLIC KEY", Bytes: publicDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
