package registrytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// An exchange file holds scenarios that hold of any registry of this protocol:
// no number in it is known before, and each scenario uses names of its own. So
// the file can be replayed against a real one, leaving out the scenarios that
// need an empty registry or an extension which that one has not, and the steps
// whose field "only" says why they hold of this package alone.
type scenario struct {
	Name  string   `json:"name"`
	Fresh bool     `json:"fresh"` // holds of an empty registry alone
	Needs []string `json:"needs"` // extensions
	Steps []step   `json:"steps"`
}

type step struct {
	Do      string          `json:"do"` // method and path, with ${...} filled in
	Body    json.RawMessage `json:"body"`
	Raw     *string         `json:"raw"`  // a body that is no JSON
	Type    string          `json:"type"` // of the body
	Status  int             `json:"status"`
	Code    any             `json:"code"` // one, or a list of those allowed
	Text    string          `json:"text"` // the whole answer
	Want    json.RawMessage `json:"want"` // see matches
	Differs []string        `json:"differs"`
	Only    string          `json:"only"`
}

func loadScenarios(t testing.TB) []scenario {
	t.Helper()
	file, err := os.Open("testdata/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	var all []scenario
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestExchanges(t *testing.T) {
	all := loadScenarios(t)
	for _, sc := range all {
		t.Run(sc.Name, func(t *testing.T) {
			server := New()
			saved := map[string]string{}
			for _, st := range sc.Steps {
				st.run(t, server, saved)
			}
		})
	}
	t.Run("all scenarios one after the other in one registry", func(t *testing.T) {
		server := New()
		for _, sc := range all {
			saved := map[string]string{}
			for _, st := range sc.Steps {
				if !sc.Fresh {
					st.run(t, server, saved)
				}
			}
		}
	})
}

func (st step) run(t *testing.T, server http.Handler, saved map[string]string) {
	t.Helper()
	method, path, _ := strings.Cut(st.Do, " ")
	body := st.Body
	if st.Raw != nil {
		body = []byte(*st.Raw)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, fill(path, saved), bytes.NewReader(body))
	r.Header.Set("Content-Type", ContentType)
	if st.Type != "" {
		r.Header.Set("Content-Type", st.Type)
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	if w.Code != st.Status {
		t.Fatalf("%s: status %d, want %d: %s", st.Do, w.Code, st.Status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != ContentType {
		t.Errorf("%s: content type %q", st.Do, got)
	}
	if st.Text != "" {
		if w.Body.String() != st.Text {
			t.Errorf("%s: answer %s, want %s", st.Do, w.Body, st.Text)
		}
		return
	}
	var got any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: answer is no JSON: %s", st.Do, w.Body)
	}
	if st.Status >= 400 {
		checkError(t, st, got)
	}
	if len(st.Want) > 0 {
		var want any
		if err := json.Unmarshal(st.Want, &want); err != nil {
			t.Fatal(err)
		}
		if why := matches(got, want, saved); why != "" {
			t.Errorf("%s: %s in %s", st.Do, why, w.Body)
		}
	}
	if d := st.Differs; len(d) == 2 && fill(d[0], saved) == fill(d[1], saved) {
		t.Errorf("%s: %s and %s are the same", st.Do, d[0], d[1])
	}
}

// checkError looks at the body of an error: clients decide by the head of the
// code, or by the status, so both must agree.
func checkError(t *testing.T, st step, got any) {
	t.Helper()
	m, _ := got.(map[string]any)
	code, _ := m["error_code"].(float64)
	message, _ := m["message"].(string)
	if message == "" || !strings.HasPrefix(fmt.Sprint(int(code)), fmt.Sprint(st.Status)) {
		t.Errorf("%s: error is %v", st.Do, got)
	}
	switch want := st.Code.(type) {
	case nil:
	case []any:
		if !slices.Contains(want, any(code)) {
			t.Errorf("%s: code %v, want one of %v: %s", st.Do, code, want, message)
		}
	default:
		if want != any(code) {
			t.Errorf("%s: code %v, want %v: %s", st.Do, code, want, message)
		}
	}
}

func fill(s string, saved map[string]string) string {
	for name, value := range saved {
		s = strings.ReplaceAll(s, name, value)
	}
	return s
}

// matches compares an answer with what is wanted of it. A wanted object names
// some of the keys, null standing for one that must not be there. "*" is
// anything, and "${name}" whatever it was when it was met first.
func matches(got, want any, saved map[string]string) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return "no object"
		}
		for key, w := range want {
			g, ok := m[key]
			switch {
			case w == nil && ok:
				return key + " is there"
			case w != nil && !ok:
				return "no " + key
			case w != nil:
				if why := matches(g, w, saved); why != "" {
					return key + ": " + why
				}
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("not the list %v", want)
		}
		for i := range want {
			if why := matches(list[i], want[i], saved); why != "" {
				return why
			}
		}
		return ""
	case string:
		if want == "*" {
			return ""
		}
		if strings.HasPrefix(want, "${") {
			if seen, ok := saved[want]; ok {
				if seen != fmt.Sprint(got) {
					return fmt.Sprintf("%v, but %s was %s", got, want, seen)
				}
				return ""
			}
			saved[want] = fmt.Sprint(got)
			return ""
		}
	}
	if got != want {
		return fmt.Sprintf("%v, want %v", got, want)
	}
	return ""
}
