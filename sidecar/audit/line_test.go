package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// fixed is a line whose bytes never change.
func fixed() Line {
	l := Line{
		Trail: TrailID{0xde, 0xad, 15: 1}, Seq: 7, Time: time.Date(2026, 11, 21, 17, 0, 0, 120, time.UTC),
		Entry: Entry{
			Action: ActionForget, Outcome: Granted, Actor: "uid:1000", Method: "unix", Request: "r-1", Tenant: "acme \"x\"\\",
			Topic: "customers", Scope: "pan", Purpose: "Řízení\n\x7f\x1b[31m", Person: strings.Repeat("ab", 32), Target: "t", Reason: "GDPR 17", Count: 3,
		},
		Prev: Hash{1, 2, 3},
	}
	l.Hash = l.sum()
	return l
}

const fixedLine = `{"fieldveil_audit":1,"trail":"dead0000000000000000000000000001","seq":7,"time":"2026-11-21T17:00:00.000000120Z",` +
	`"action":"forget","outcome":"granted","actor":"uid:1000","method":"unix","request":"r-1","tenant":"acme \"x\"\\","topic":"customers","scope":"pan",` +
	`"purpose":"Řízení\u000a\u007f\u001b[31m","person":"abababababababababababababababababababababababababababababababab","target":"t","reason":"GDPR 17","count":3,` +
	`"prev":"0102030000000000000000000000000000000000000000000000000000000000"`

// FV-110, FV-111: the spelling of a line, and its hash, made here by hand.
func TestALineHasOneSpelling(t *testing.T) {
	sum := sha256.Sum256([]byte("fieldveil/1 audit line" + fixedLine))
	want := fixedLine + `,"hash":"` + hex.EncodeToString(sum[:]) + "\"}\n"
	l := fixed()
	if got := string(l.append(nil)); got != want {
		t.Fatalf("a line is\n%s\nwant\n%s", got, want)
	}
	back, err := ParseLine([]byte(want))
	if err != nil || back.Entry != l.Entry || back.head() != l.head() || !back.Time.Equal(l.Time) || back.Prev != l.Prev {
		t.Errorf("read back: %+v, %v", back, err)
	}
	id := TrailID{5}
	first := sha256.Sum256(append([]byte("fieldveil/1 audit trail"), id[:]...))
	if begin(id).Hash != first {
		t.Error("the first prev is another")
	}
}

// FV-110
func TestOtherSpellingsAreNoLines(t *testing.T) {
	l := fixed()
	good := string(l.append(nil))
	for name, text := range map[string]string{
		"a space":           strings.Replace(good, `,"seq"`, `, "seq"`, 1),
		"another order":     strings.Replace(strings.Replace(good, `"scope":"pan",`, "", 1), `"topic":`, `"scope":"pan","topic":`, 1),
		"a member twice":    strings.Replace(good, `"seq":7`, `"seq":7,"seq":7`, 1),
		"a member too many": strings.Replace(good, `"count":3`, `"count":3,"x":1`, 1),
		"an empty member":   strings.Replace(good, `"scope":"pan"`, `"scope":""`, 1),
		"another escape":    strings.Replace(good, `\u000a`, `\n`, 1),
		"upper-case hex":    strings.Replace(good, "dead", "DEAD", 1),
		"an offset":         strings.Replace(good, "120Z", "120+00:00", 1),
		"fewer digits":      strings.Replace(good, ".000000120Z", ".00000012Z", 1),
		"another version":   strings.Replace(good, `_audit":1`, `_audit":2`, 1),
		"no line feed":      strings.TrimSuffix(good, "\n"),
		"CR LF":             strings.TrimSuffix(good, "\n") + "\r\n",
		"two line feeds":    good + "\n",
		"something behind":  strings.TrimSuffix(good, "\n") + " {}\n",
		"a key and no seal": strings.Replace(good, `,"prev"`, `,"key":"hmac:00","prev"`, 1),
		"a seal and no key": strings.Replace(good, "\"}\n", "\",\"seal\":\"00\"}\n", 1),
		"no outcome":        strings.Replace(good, `"outcome":"granted",`, "", 1),
		"an identifier":     strings.Replace(good, strings.Repeat("ab", 32), "jane@example.com", 1),
		"no UTF-8":          strings.Replace(good, "uid", "\xff", 1),
		"nothing":           "",
		"a number":          "1\n",
		"too long":          strings.Replace(good, "GDPR 17", strings.Repeat("x", MaxLine), 1),
	} {
		if text == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := ParseLine([]byte(text)); !errors.Is(err, errLine) {
			t.Errorf("%s was read: %v", name, err)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	l := fixed()
	f.Add(l.append(nil))
	l.Key, l.Seal = "hmac:0011223344556677", []byte{1, 2}
	f.Add(l.append(nil))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLine(text)
		if err != nil {
			return
		}
		if again := l.append(nil); !bytes.Equal(again, text) {
			t.Errorf("read %q, and it is written %q", text, again)
		}
	})
}

func FuzzVerifier(f *testing.F) {
	l := fixed()
	f.Add(l.append(nil), []byte("rest"))
	f.Add([]byte("\n\n"), bytes.Repeat([]byte("x"), MaxLine+2))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		r := verify(t, VerifyConfig{Many: true}, one, two)
		if len(r.Faults) == 0 && r.Lines == 0 {
			t.Error("nothing was read, and nothing is wrong")
		}
		// Of two texts that differ in a byte of a line, one is wrong.
		if len(r.Faults) == 0 && len(one) > 0 {
			changed := bytes.Clone(one)
			changed[len(changed)/2] ^= 1
			if r := verify(t, VerifyConfig{Many: true}, changed, two); len(r.Faults) == 0 {
				t.Error("a change was not found")
			}
		}
	})
}
