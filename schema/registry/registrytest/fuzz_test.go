package registrytest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever is asked, the answer is JSON with a status that its code agrees
// with, and the registry is in order afterwards.
func FuzzHandler(f *testing.F) {
	for _, sc := range loadScenarios(f) {
		for _, st := range sc.Steps {
			method, path, _ := strings.Cut(st.Do, " ")
			body := string(st.Body)
			if st.Raw != nil {
				body = *st.Raw
			}
			f.Add(method, strings.NewReplacer("${a}", "1", "${b}", "2", "${in}", "1", "${user}", "2").Replace(path), body)
		}
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip("no path of a request")
		}
		r := &http.Request{Method: method, URL: u, Header: http.Header{}, Body: http.NoBody, Host: "registry", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
		r = r.WithContext(t.Context())
		r.Body = readCloser{strings.NewReader(body)}

		s := New()
		seed(t, s)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		checkAnswer(t, w, u.EscapedPath())
		checkStore(t, s.store)
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// seed registers what the paths of the corpus speak of.
func seed(t *testing.T, s *Server) {
	t.Helper()
	mustRegister(t, s, "a1-value", Schema{Text: `{"type":"record","name":"A1","fields":[{"name":"x","type":"string"}]}`})
	mustRegister(t, s, "f1-user", Schema{
		Text:       `{"type":"record","name":"F1User","fields":[{"name":"a","type":"A1"}]}`,
		References: []Reference{{Name: "A1", Subject: "a1-value", Version: 1}},
	})
	mustRegister(t, s, "h1", Schema{Text: `{"type":"object","properties":{"a":{"type":"integer"}}}`, Format: JSON})
	mustRegister(t, s, ":.k1:k", Schema{Text: `"int"`})
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, path string) {
	t.Helper()
	if strings.HasSuffix(strings.TrimSuffix(path, "/"), "/schema") && w.Code == http.StatusOK {
		return
	}
	var got any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("status %d, no JSON: %s", w.Code, w.Body)
	}
	if w.Code == http.StatusOK {
		return
	}
	m, _ := got.(map[string]any)
	code, _ := m["error_code"].(float64)
	for code > 999 {
		code = float64(int(code / 10))
	}
	if int(code) != w.Code || w.Code >= 500 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

// checkStore looks at what must always hold of the store.
func checkStore(t *testing.T, st *store) {
	t.Helper()
	for context, sp := range st.contexts {
		used := map[*entry]bool{}
		for name, sub := range sp.subjects {
			last := 0
			for _, v := range sub.versions {
				if v.number <= last || v.subject != sub || sp.byID[v.entry.id] != v.entry || sp.byKey[v.entry.key] != v.entry {
					t.Errorf("version %d of %s in %s is out of order", v.number, name, context)
				}
				last = v.number
				used[v.entry] = true
				for _, r := range v.entry.schema.References {
					if _, fail := st.find(within(context, r.Subject).String(), r.Version, true); fail != nil && !v.deleted {
						t.Errorf("a reference of version %d of %s leads nowhere", v.number, name)
					}
				}
			}
			if len(sub.versions) == 0 {
				t.Errorf("%s in %s has no versions", name, context)
			}
		}
		if len(used) != len(sp.byID) || len(used) != len(sp.byKey) {
			t.Errorf("%d schemas are in use in %s, %d have ids and %d keys", len(used), context, len(sp.byID), len(sp.byKey))
		}
		for id, e := range sp.byID {
			if e.id != id || id > sp.lastID {
				t.Errorf("id %d in %s is wrong", id, context)
			}
		}
	}
}

// A schema that is taken is compatible with itself, whatever it is, and
// comparing two of them ends.
func FuzzJSONChecker(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/$defs/d"}},"$defs":{"d":{"enum":[1,"x"]}}}`, `{"additionalProperties":{"maximum":1e999999999}}`)
	f.Add(`true`, `{"items":[{}],"not":{"$ref":"#"}}`)
	f.Add(`{"minimum":0.1e-9,"exclusiveMaximum":true}`, `false`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if problems, err := JSONChecker(Document{Text: a}, Document{Text: a}); err == nil && len(problems) > 0 {
			t.Fatalf("with itself: %q", problems)
		}
		_, errA := JSONChecker(Document{Text: a}, Document{Text: b})
		_, errB := JSONChecker(Document{Text: b}, Document{Text: a})
		if (errA == nil) != (errB == nil) {
			t.Fatalf("%v one way, %v the other", errA, errB)
		}
	})
}
