package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const canary = "correct horse battery"

func TestASecretIsReadFromWhereItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(canary+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET_TEST", canary)
	for _, text := range []string{"{env: SECRET_TEST}", "{file: " + path + "}", "{value: " + canary + "}"} {
		var s Secret
		if err := yaml.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); err != nil || string(got) != canary {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := File(path).Read(); err != nil || string(got) != "another" {
		t.Errorf("a replaced file: %q, %v", got, err)
	}
}

func TestASecretThatIsNotThereIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), MaxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Secret{
		"unset": {}, "no variable": Env("SECRET_TEST_NOT_SET"), "no file": File("/nonexistent"), "a file without end": File(path),
	} {
		if got, err := s.Read(); err == nil {
			t.Errorf("%s: read %q", name, got)
		}
	}
}

func TestOtherFormsAreRefusedAndNotShown(t *testing.T) {
	for _, text := range []string{canary, "[" + canary + "]", "{file: a, env: b}", "{vault: " + canary + "}", "{env: }", "{env: [" + canary + "]}", "{value: {a: " + canary + "}}"} {
		var s Secret
		err := yaml.Unmarshal([]byte(text), &s)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNothingThatPrintsShowsASecret(t *testing.T) {
	s := Value(canary)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S Secret }{s})
	text, err := json.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := yaml.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		log.String(), string(text), string(doc), s.String(),
		fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%v %+v %#v", struct{ S Secret }{s}, []Secret{s}, &s),
	} {
		if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
			t.Errorf("shown: %s", out)
		}
		if !strings.Contains(out, "redacted") {
			t.Errorf("does not say that it is hidden: %s", out)
		}
	}
	doc, err = yaml.Marshal(map[string]Secret{"a": File("/run/x"), "b": Env("X")})
	if err != nil || string(doc) != "a:\n    file: /run/x\nb:\n    env: X\n" {
		t.Errorf("%s, %v", doc, err)
	}
}
