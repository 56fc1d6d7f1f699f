package vaultkms_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// scripted answers every call with the same.
type scripted struct {
	status int
	body   []byte
}

func (s scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: s.status, Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: -1, Header: http.Header{}, Request: req,
	}, nil
}

// Whatever a server answers, a call ends with a data key of its size or with an
// error of a class that shows nothing of the answer.
func FuzzNoAnswerOfAServerBreaksACall(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", `{}`, `{"errors":["encryption key not found"]}`, `{"errors":[1]}`, `{"data":{"ciphertext":"vault:v1:AAAA"}}`,
		`{"data":{"plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`, `{"data":{"plaintext":"AAAA"}}`, `{"data":{"plaintext":1}}`,
		`{"auth":{"client_token":"s.x","lease_duration":-1,"renewable":true}}`, `{"data":{"ttl":9223372036854775807}}`,
		`{"errors":["missing 'context' for key derivation"]}`, `{"errors":["associated_data illegal base64"]}`,
	} {
		for _, status := range []int{200, 204, 301, 400, 403, 500} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		k, err := vaultkms.New("https://vault.example", vaultkms.Token("s.token"), vaultkms.WithTransport(scripted{status, body}))
		if err != nil {
			t.Fatal(err)
		}
		check := func(err error) {
			if err == nil {
				return
			}
			e, ok := errors.AsType[*vaultkms.Error](err)
			if !ok {
				t.Fatalf("%T", err)
			}
			if len(body) > 40 && bytes.Contains(fmt.Appendf(nil, "%v %#v", err, *e), body) {
				t.Fatalf("the error shows the answer: %v", err)
			}
		}
		plain, wrapped, err := k.Generate(t.Context(), plainKey, contextOf("acme"))
		check(err)
		if (err == nil) != (len(plain) == kms.DataKeySize) || (err == nil) != (len(wrapped) > 0) {
			t.Fatalf("%d and %d bytes, %v", len(plain), len(wrapped), err)
		}
		for _, in := range []string{"vault:v1:AAAA", "context:vault:v1:AAAA"} {
			plain, err = k.Unwrap(t.Context(), plainKey, []byte(in), contextOf("acme"))
			check(err)
			if (err == nil) != (len(plain) == kms.DataKeySize) {
				t.Fatalf("%d bytes, %v", len(plain), err)
			}
		}
		moved, err := k.ReEncrypt(t.Context(), plainKey, plainKey, []byte("context:vault:v1:AAAA"), contextOf("acme"))
		check(err)
		if (err == nil) != (len(moved) > 0) {
			t.Fatalf("%d bytes, %v", len(moved), err)
		}
	})
}
