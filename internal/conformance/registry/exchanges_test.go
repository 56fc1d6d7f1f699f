package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The exchanges are what the registry in this repository is tested with, and
// here they meet one that others wrote. Where the real one differs, its file in
// testdata says so, by scenario and step, with the reason. A difference that is
// not listed fails the test, and so does one that is listed and gone.
const exchanges = "../../../schema/registry/registrytest/testdata/exchanges.json"

type scenario struct {
	Name  string   `json:"name"`
	Fresh bool     `json:"fresh"` // holds of an empty registry alone
	Needs []string `json:"needs"` // extensions
	Steps []step   `json:"steps"`
}

type step struct {
	Do      string          `json:"do"` // method and path, with ${...} filled in
	Body    json.RawMessage `json:"body"`
	Raw     *string         `json:"raw"`
	Type    string          `json:"type"`
	Status  int             `json:"status"`
	Code    any             `json:"code"` // one, or a list of those allowed
	Text    string          `json:"text"`
	Want    json.RawMessage `json:"want"`
	Differs []string        `json:"differs"`
	Only    string          `json:"only"` // why the step holds of the repository's registry alone
}

// differences of one release: scenario, then the step, then why. A step is known
// by its method, path and body, and has " #2" and so on behind them when it is
// repeated within its scenario.
type differences map[string]map[string]string

func load(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestExchanges(t *testing.T) {
	var all []scenario
	load(t, exchanges, &all)
	release := Releases()[0]
	var known differences
	load(t, filepath.Join("testdata", "apicurio-"+release.Version+".json"), &known)
	c := newCaller(release.Start(t))
	// It checks nothing by default, where Confluent's checks BACKWARD.
	c.call(t, 200, "PUT", "/config", object{"compatibility": "BACKWARD"})
	counts := map[string]int{}
	met := map[string]bool{}
	for _, sc := range all {
		met[sc.Name] = true
		t.Run(sc.Name, func(t *testing.T) { replay(t, c, sc, known[sc.Name], counts) })
	}
	for name := range known {
		if !met[name] {
			t.Errorf("differences of a scenario that does not exist: %s", name)
		}
	}
	t.Logf("of the steps %v", counts)
}

// replay runs the steps of one scenario and compares every answer.
func replay(t *testing.T, c *caller, sc scenario, known map[string]string, counts map[string]int) {
	t.Helper()
	if len(sc.Needs) > 0 {
		t.Skipf("skipped: needs %s, which Apicurio has not", strings.Join(sc.Needs, ", "))
	}
	reasons := maps.Clone(known)
	saved := map[string]string{}
	seen := map[string]int{}
	for _, st := range sc.Steps {
		key := st.key()
		seen[key]++
		if n := seen[key]; n > 1 {
			key = fmt.Sprintf("%s #%d", key, n)
		}
		reason, listed := reasons[key]
		delete(reasons, key)
		if st.Only != "" {
			counts["not meant for others"]++
			continue
		}
		if do := fill(st.Do, saved); strings.Contains(do, "${") {
			counts["not reached"]++
			if listed {
				t.Errorf("step %s: listed as different (%s) and not reached", key, reason)
			}
			continue
		}
		why := st.compare(t, c, saved)
		switch {
		case why == "" && !listed:
			counts["same"]++
		case why != "" && listed:
			counts["different, with a reason"]++
		case why != "":
			t.Errorf("step %s\n\t%s", key, why)
		default:
			t.Errorf("step %s: listed as different (%s) and is the same", key, reason)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(reasons)) {
		t.Errorf("step %s: listed as different, and there is no such step", key)
	}
}

// key names a step.
func (st step) key() string {
	switch {
	case st.Raw != nil:
		return st.Do + " " + *st.Raw
	case len(st.Body) > 0:
		var b bytes.Buffer
		if err := json.Compact(&b, st.Body); err != nil {
			return st.Do // it was read as JSON before
		}
		return st.Do + " " + b.String()
	default:
		return st.Do
	}
}

// compare makes the call of a step and tells how the answer differs.
func (st step) compare(t *testing.T, c *caller, saved map[string]string) string {
	t.Helper()
	method, path, _ := strings.Cut(fill(st.Do, saved), " ")
	body := []byte(fill(string(st.Body), saved))
	if st.Raw != nil {
		body = []byte(*st.Raw)
	}
	mediaType := contentType
	if st.Type != "" {
		mediaType = st.Type
	}
	status, out := c.do(t, method, path, mediaType, body)
	short := string(out[:min(len(out), 200)])
	var got any
	parsed := json.Unmarshal(out, &got) == nil
	if st.Status < 400 && len(st.Want) > 0 && parsed { // values for the steps that follow
		var want any
		if err := json.Unmarshal(st.Want, &want); err != nil {
			t.Fatal(err)
		}
		why := matches(got, want, saved)
		if status == st.Status {
			if why != "" {
				return fmt.Sprintf("%s in %s", why, short)
			}
			return st.unlike(saved)
		}
	}
	switch {
	case status != st.Status:
		return fmt.Sprintf("status %d, want %d: %s", status, st.Status, short)
	case st.Text != "":
		if string(out) != st.Text {
			return fmt.Sprintf("answer %s, want %s", short, st.Text)
		}
	case !parsed:
		return "answer is no JSON: " + short
	case status >= 400:
		m, ok := got.(object)
		if !ok {
			return "error is no object: " + short
		}
		if !allowed(m["error_code"], st.Code) {
			return fmt.Sprintf("code %v, want %v: %v", m["error_code"], st.Code, m["message"])
		}
	}
	return st.unlike(saved)
}

// unlike tells if two values are the same that must not be.
func (st step) unlike(saved map[string]string) string {
	if d := st.Differs; len(d) == 2 && fill(d[0], saved) == fill(d[1], saved) {
		return fmt.Sprintf("%s and %s are the same", d[0], d[1])
	}
	return ""
}

func allowed(code, want any) bool {
	switch want := want.(type) {
	case nil:
		return true
	case []any:
		return slices.Contains(want, code)
	default:
		return code == want
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
	case object:
		m, ok := got.(object)
		if !ok {
			return "no object"
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			w := want[key]
			g, there := m[key]
			switch {
			case w == nil && there && g != nil:
				return key + " is there"
			case w != nil && !there:
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
		switch {
		case want == "*":
			return ""
		case strings.HasPrefix(want, "${"):
			if seen, ok := saved[want]; ok && seen != fmt.Sprint(got) {
				return fmt.Sprintf("%v, but %s was %s", got, want, seen)
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
