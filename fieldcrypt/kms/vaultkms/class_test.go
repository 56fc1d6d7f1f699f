package vaultkms_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

func TestClassesOfAnswers(t *testing.T) {
	text := func(s ...string) []string { return s }
	for _, tt := range []struct {
		name   string
		status int
		errors []string
		class  error
		reason string
	}{
		{"401 is denied", 401, nil, kms.ErrDenied, "permission denied"},
		{"403 is denied", 403, text("permission denied"), kms.ErrDenied, "permission denied"},
		{"404 is not found", 404, text("no handler for route"), kms.ErrNotFound, "no such mount"},
		{"405 is no transit engine", 405, text("unsupported operation"), kms.ErrInvalid, "no transit engine"},
		{"413 is no transit engine", 413, nil, kms.ErrInvalid, "no transit engine"},
		{"412 of a standby that lags passes", 412, text("required index state not present"), kms.ErrUnavailable, "nothing known"},
		{"429 throttles", 429, text("rate limit quota exceeded"), kms.ErrThrottled, "rate limit"},
		{"472 is a standby of disaster recovery", 472, nil, kms.ErrUnavailable, "standby"},
		{"473 is a performance standby", 473, nil, kms.ErrUnavailable, "standby"},
		{"500 passes", 500, text("internal error"), kms.ErrUnavailable, "nothing known"},
		{"500 that names a key passes", 500, text("encryption key not found"), kms.ErrUnavailable, "nothing known"},
		{"502 passes", 502, nil, kms.ErrUnavailable, "nothing known"},
		{"503 is sealed", 503, text("Vault is sealed"), kms.ErrUnavailable, "sealed"},
		{"a redirect is not followed", 307, nil, kms.ErrUnavailable, "redirect"},
		{"400 of an unknown text passes", 400, text("something new"), kms.ErrUnavailable, "nothing known"},
		{"400 without a text passes", 400, nil, kms.ErrUnavailable, "nothing known"},
		{"no such key", 400, text("encryption key not found"), kms.ErrNotFound, "no such key"},
		{"archived", 400, text("ciphertext or signature version is disallowed by policy (too old)"), kms.ErrDisabled, "min_decryption_version"},
		{"below the minimum", 400, text("requested version for encryption is less than the minimum encryption key version"), kms.ErrDisabled, "min_encryption_version"},
		{"soft-deleted", 400, text("refusing to use soft-deleted key"), kms.ErrDisabled, "soft-deleted"},
		{"wrong context", 400, text("cipher: message authentication failed"), kms.ErrCorrupt, "authenticate"},
		{"too new", 400, text("invalid ciphertext: version is too new"), kms.ErrCorrupt, "no such version"},
		{"no ciphertext", 400, text("invalid ciphertext: no prefix"), kms.ErrCorrupt, "no ciphertext"},
		{"short", 400, text("invalid ciphertext length"), kms.ErrCorrupt, "no ciphertext"},
		{"RSA", 400, text("'[0].associated_data' provided for non-AEAD cipher suite rsa-2048"), kms.ErrInvalid, "no associated data"},
		{"signing", 400, text("message decryption not supported for key type ed25519"), kms.ErrInvalid, "does not encrypt"},
		{"no token", 400, text("missing client token"), kms.ErrDenied, "no token"},
		{"the second of two messages", 400, text("odd", "1 error occurred: encryption key not found"), kms.ErrNotFound, "no such key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t)
			k := root(t, s)
			_, wrapped := generate(t, k, plainKey)
			for _, op := range []string{"encrypt", "decrypt"} {
				s.Fault(kmstest.VaultFault{Op: op, Status: tt.status, Errors: tt.errors})
			}
			err := tryGenerate(t, k, plainKey)
			wants(t, err, tt.class, tt.reason)
			got, err := k.Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
			wants(t, err, tt.class, tt.reason)
			if got != nil {
				t.Error("a key beside the error")
			}
			e, ok := errors.AsType[*vaultkms.Error](err)
			if !ok || e.Status != tt.status || e.Op != "decrypt" || e.Via != "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// oneOff makes answers that no message goes with.
func TestBrokenAnswersPassAndShowNothing(t *testing.T) {
	const canary = "CANARY-OF-THE-ANSWER"
	for name, f := range map[string]kmstest.VaultFault{
		"cut":                   {Cut: true},
		"cut in the middle":     {CutBody: true},
		"over 64 KiB":           {Oversized: 64 << 10},
		"no JSON":               {Body: []byte(canary)},
		"an error without JSON": {Status: http.StatusBadGateway, Body: []byte("<html>" + canary)},
		"nothing":               {Body: []byte{}},
		"null":                  {Body: []byte("null")},
		"no ciphertext":         {Body: []byte(`{"data":{}}`)},
		"another ciphertext":    {Body: []byte(`{"data":{"ciphertext":"` + canary + `"}}`)},
		"one that derives":      {Body: []byte(`{"data":{"ciphertext":"context:vault:v1:AAAA"}}`)},
		"an empty ciphertext":   {Answer: kmstest.EmptyWrapped},
		"a huge ciphertext":     {Answer: kmstest.HugeWrapped},
		"messages of no type":   {Status: http.StatusBadRequest, Body: []byte(`{"errors":"` + canary + `"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			k := root(t, s)
			generate(t, k, plainKey)
			f.Op = "encrypt"
			s.Fault(f)
			err := tryGenerate(t, k, plainKey)
			wants(t, err, kms.ErrUnavailable, "vaultkms: encrypt at 127.0.0.1:")
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Errorf("err shows the answer: %#v", err)
			}
		})
	}
}

func TestAnAnswerWithoutADataKeyOfItsSizeIsCorrupt(t *testing.T) {
	for name, f := range map[string]kmstest.VaultFault{
		"one byte less": {Answer: kmstest.ShortPlain}, "one byte more": {Answer: kmstest.LongPlain}, "none": {Answer: kmstest.EmptyPlain},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			k := root(t, s)
			_, wrapped := generate(t, k, plainKey)
			f.Op = "decrypt"
			s.Fault(f)
			got, err := k.Unwrap(t.Context(), plainKey, wrapped, contextOf("acme"))
			wants(t, err, kms.ErrCorrupt, "no data key of 32 bytes")
			if got != nil {
				t.Error("a key beside the error")
			}
		})
	}
}

func TestAnAnswerOfRewrapMustBeACiphertext(t *testing.T) {
	s := server(t)
	k := root(t, s)
	_, wrapped := generate(t, k, derivedKey)
	s.Fault(kmstest.VaultFault{Op: "rewrap", Answer: kmstest.EmptyWrapped})
	got, err := k.ReEncrypt(t.Context(), derivedKey, derivedKey, wrapped, contextOf("acme"))
	wants(t, err, kms.ErrUnavailable, "no ciphertext")
	if got != nil {
		t.Error("a wrapped key beside the error")
	}
}

func TestABodyOfExactlySixtyFourKilobytesIsRead(t *testing.T) {
	answer := func(n int) []byte {
		head := []byte(`{"data":{"ciphertext":"vault:v1:AAAA"},"x":"`)
		return append(append(head, bytes.Repeat([]byte("x"), n-len(head)-2)...), `"}`...)
	}
	for n, ok := range map[int]bool{64 << 10: true, 64<<10 + 1: false} {
		s := server(t)
		k := root(t, s)
		generate(t, k, plainKey)
		s.Fault(kmstest.VaultFault{Op: "encrypt", Body: answer(n)})
		if err := tryGenerate(t, k, plainKey); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// longer says that its answers are very long.
type longer struct{ http.RoundTripper }

func (l longer) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(req)
	if err == nil {
		res.ContentLength = 1 << 60
	}
	return res, err
}

func TestAnAnswerThatSaysThatItIsLongIsNotRead(t *testing.T) {
	s := server(t)
	err := tryGenerate(t, root(t, s, vaultkms.WithTransport(longer{direct{s}})), plainKey)
	wants(t, err, kms.ErrUnavailable, "longer than 64 KiB")
}
