package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// seeds adds the bodies of the exchanges whose request has a mark.
func seeds(f *testing.F, mark string) {
	f.Helper()
	for _, path := range exchangeFiles(f) {
		for _, x := range readExchanges(f, path) {
			if head, body, ok := strings.Cut(x.request, "\n\n"); ok && strings.Contains(head, mark) {
				f.Add([]byte(body))
			}
		}
	}
}

// exchangeBytes sends a body to a surface and checks what must hold for any.
func exchangeBytes(t *testing.T, path, media string, body []byte) (*httptest.ResponseRecorder, []produce.Record) {
	t.Helper()
	sender := &fakeSender{}
	seen := &fakeObserver{}
	s, err := New(Config{MaxRecords: 100, MaxBatchEntries: 100}, Deps{Sender: sender, Guard: Open{}, Encoders: fakeEncoders{}, Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(bytes.Clone(body)))
	r.Header.Set("Content-Type", media)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if len(seen.stacks) > 0 {
		t.Fatalf("panic: %s", seen.stacks[0])
	}
	if sender.taken != 0 {
		t.Errorf("%d rooms are still taken", sender.taken)
	}
	switch w.Code {
	case 200, 207, 400, 408, 413, 422, 500:
	default:
		t.Errorf("status %d", w.Code)
	}
	for part := range bytes.SplitSeq(w.Body.Bytes(), []byte("\r\n")) {
		if len(part) > 0 && !json.Valid(part) {
			t.Errorf("answer %q", part)
		}
	}
	return w, sender.sent
}

func FuzzV2(f *testing.F) {
	seeds(f, "POST /topics/customers\n")
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range []string{"json", "binary", "text", "avro"} {
			w, sent := exchangeBytes(t, "/topics/customers", "application/vnd.kafka."+format+".v2+json", body)
			if w.Code != 200 {
				if len(sent) > 0 {
					t.Errorf("%d, and %d records were sent", w.Code, len(sent))
				}
				continue
			}
			// What is accepted is what encoding/json reads in it.
			var in struct {
				Records []struct{ Value json.RawMessage } `json:"records"`
			}
			if err := json.Unmarshal(body, &in); err != nil || len(in.Records) != len(sent) {
				t.Fatalf("accepted %d records, encoding/json %d: %v", len(sent), len(in.Records), err)
			}
			for i, rec := range in.Records {
				checkValue(t, format, rec.Value, sent[i].Value)
			}
		}
	})
}

func checkValue(t *testing.T, format string, raw json.RawMessage, got []byte) {
	t.Helper()
	if len(raw) == 0 || string(raw) == "null" {
		if got != nil {
			t.Errorf("null became %q", got)
		}
		return
	}
	var want []byte
	var s string
	switch format {
	case "json":
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			t.Fatal(err)
		}
		want = b.Bytes()
	case "text", "binary":
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		want = []byte(s)
		if format == "binary" {
			var err error
			if want, err = base64.StdEncoding.DecodeString(s); err != nil {
				t.Fatal(err)
			}
		}
	default:
		return
	}
	if got == nil || !bytes.Equal(got, want) {
		t.Errorf("%s %q became %q, want %q", format, raw, got, want)
	}
}

func FuzzV3Stream(f *testing.F) {
	seeds(f, "/records\n")
	f.Fuzz(func(t *testing.T, body []byte) {
		w, sent := exchangeBytes(t, recordsPath, "application/json", body)
		if got := strings.Count(w.Body.String(), `{"error_code":200,`); got != len(sent) {
			t.Errorf("%d records were sent, %d have a receipt", len(sent), got)
		}
	})
}

func FuzzV3Batch(f *testing.F) {
	seeds(f, "/records:batch\n")
	f.Fuzz(func(t *testing.T, body []byte) {
		w, sent := exchangeBytes(t, recordsPath+":batch", "application/json", body)
		if w.Code != http.StatusMultiStatus {
			if len(sent) > 0 {
				t.Errorf("%d, and %d records were sent", w.Code, len(sent))
			}
			return
		}
		var in struct{ Entries []any }
		var out struct{ Successes, Failures []any }
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Successes)+len(out.Failures) != len(in.Entries) || len(out.Successes) != len(sent) {
			t.Errorf("%d entries, %d successes, %d failures, %d sent", len(in.Entries), len(out.Successes), len(out.Failures), len(sent))
		}
	})
}

func FuzzScanner(f *testing.F) {
	seeds(f, "POST")
	for _, s := range []string{`"\u00e9\ud83d\ude00"`, `[1,-0,0.5e+7,1E2]`, `{"a":{"b":[{},[]]}}`, `"\ud83d"`, "\"\x1f\"", `{"a":1,"\u0061":2}`, `-`, `01`, `1.`, `tru`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s scanner
		fl := s.reset(body)
		var v value
		if fl == faultNone {
			if v, fl = s.value(0); fl == faultNone && !s.end() {
				fl = faultSyntax
			}
		}
		valid := json.Valid(body)
		switch {
		case fl == faultNone && (!valid || !utf8.Valid(body)):
			t.Fatalf("accepted %q", body)
		case fl == faultSyntax && valid:
			t.Fatalf("refused %q", body)
		case fl != faultNone:
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, body); err != nil {
			t.Fatal(err)
		}
		if got := compact(nil, v.raw); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("compact %q, want %q", got, want.Bytes())
		}
		if v.spaced != (want.Len() != len(v.raw)) {
			t.Errorf("%q: spaced %v", v.raw, v.spaced)
		}
		if v.kind == '"' {
			var text string
			if err := json.Unmarshal(body, &text); err != nil {
				t.Fatal(err)
			}
			if got := inner(v); string(got) != text {
				t.Errorf("text %q, want %q", got, text)
			}
		}
	})
}
