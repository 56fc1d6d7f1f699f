package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/internal/secret"
)

func TestNothingThatPrintsShowsASecret(t *testing.T) {
	raw := []byte("CANARY-0123456789")
	s := secret.Take(raw)
	type holder struct {
		Key secret.Bytes
		Ptr *secret.Bytes
	}
	h := holder{Key: s, Ptr: &s}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", s, "holder", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s, "holder", h)
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		out += fmt.Sprintf(verb+" "+verb+" "+verb, s, &s, h)
	}
	for _, leak := range []string{"CANARY", fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), "67 65 78", "Q0FOQVJZ"} {
		if strings.Contains(out, leak) {
			t.Errorf("output holds %q: %s", leak, out)
		}
	}
	if !strings.Contains(out, secret.Redacted) {
		t.Error("output never holds the fixed word")
	}
}

func TestWipeOverwritesTheArrayThatWasTaken(t *testing.T) {
	raw := []byte{1, 2, 3}
	s := secret.Take(raw)
	s.Wipe()
	if !bytes.Equal(raw, make([]byte, 3)) || s.Len() != 3 {
		t.Errorf("after Wipe: %v, len %d", raw, s.Len())
	}
}
