package registrytest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
)

// model is what a registry without compatibility does, as short as it can be
// said: for each subject the versions with their texts, and for each text an
// id while some version has it.
type model struct {
	last     int
	ids      map[string]int
	subjects map[string][]modelVersion
}

type modelVersion struct {
	number  int
	text    string
	deleted bool
}

func (m *model) find(subject string, keep func(modelVersion) bool) []modelVersion {
	var out []modelVersion
	for _, v := range m.subjects[subject] {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

func isLive(v modelVersion) bool { return !v.deleted }

func (m *model) register(subject, text string) int {
	if same := m.find(subject, func(v modelVersion) bool { return !v.deleted && v.text == text }); len(same) > 0 {
		return m.ids[text]
	}
	next := 1
	if all := m.subjects[subject]; len(all) > 0 {
		next = all[len(all)-1].number + 1
	}
	if m.ids[text] == 0 {
		m.last++
		m.ids[text] = m.last
	}
	kept := m.find(subject, func(v modelVersion) bool { return v.text != text })
	m.subjects[subject] = append(kept, modelVersion{number: next, text: text})
	return m.ids[text]
}

func (m *model) forget() {
	for text := range m.ids {
		used := false
		for _, all := range m.subjects {
			used = used || slices.ContainsFunc(all, func(v modelVersion) bool { return v.text == text })
		}
		if !used {
			delete(m.ids, text)
		}
	}
}

// deleteVersion returns the status and code.
func (m *model) deleteVersion(subject string, number int, permanent bool) (status, code int) {
	all := m.subjects[subject]
	at := slices.IndexFunc(all, func(v modelVersion) bool { return v.number == number })
	switch {
	case len(all) == 0:
		return 404, CodeSubjectNotFound
	case at < 0:
		return 404, CodeVersionNotFound
	case all[at].deleted && !permanent:
		return 404, CodeVersionSoftDeleted
	case !all[at].deleted && permanent:
		return 404, CodeVersionNotSoftDeleted
	case permanent:
		m.subjects[subject] = slices.Delete(all, at, at+1)
		m.forget()
	default:
		all[at].deleted = true
	}
	return 200, 0
}

func (m *model) deleteSubject(subject string, permanent bool) (status, code int) {
	all, live := m.subjects[subject], m.find(subject, isLive)
	switch {
	case len(all) == 0:
		return 404, CodeSubjectNotFound
	case permanent && len(live) > 0:
		return 404, CodeSubjectNotSoftDeleted
	case !permanent && len(live) == 0:
		return 404, CodeSubjectSoftDeleted
	case permanent:
		delete(m.subjects, subject)
		m.forget()
	default:
		for i := range all {
			all[i].deleted = true
		}
	}
	return 200, 0
}

type errorBody struct {
	Code int `json:"error_code"`
}

// Random sequences of registrations, look-ups and deletions leave the server as
// they leave the model.
func TestServerDoesWhatTheModelDoes(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s := New(WithCompatibility(LevelNone))
		m := &model{ids: map[string]int{}, subjects: map[string][]modelVersion{}}
		for i := range 120 {
			subject := pick(rnd, "a", "b", "c")
			text := fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, 1+rnd.IntN(4))
			body := string(encode(map[string]string{"schema": text}))
			number, permanent := 1+rnd.IntN(6), rnd.IntN(2) == 0
			what := fmt.Sprintf("seed %d, step %d", seed, i)
			switch rnd.IntN(8) {
			case 0, 1, 2:
				w := send(t, s, "POST", "/subjects/"+subject+"/versions", body)
				check(t, what+": register", w, 200, 0)
				if got, want := decoded[answer](t, w).ID, m.register(subject, text); got != want {
					t.Fatalf("%s: id %d, want %d", what, got, want)
				}
			case 3, 4:
				status, code := m.deleteVersion(subject, number, permanent)
				check(t, what+": delete version", send(t, s, "DELETE", fmt.Sprintf("/subjects/%s/versions/%d?permanent=%v", subject, number, permanent), ""), status, code)
			case 5:
				status, code := m.deleteSubject(subject, permanent)
				check(t, what+": delete subject", send(t, s, "DELETE", fmt.Sprintf("/subjects/%s?permanent=%v", subject, permanent), ""), status, code)
			default:
				w := send(t, s, "POST", "/subjects/"+subject, body)
				found := m.find(subject, func(v modelVersion) bool { return !v.deleted && v.text == text })
				switch {
				case len(m.find(subject, isLive)) == 0:
					check(t, what+": look up", w, 404, CodeSubjectNotFound)
				case len(found) == 0:
					check(t, what+": look up", w, 404, CodeSchemaNotFound)
				default:
					check(t, what+": look up", w, 200, 0)
					if got := decoded[answer](t, w); got.Version != found[0].number || got.ID != m.ids[text] {
						t.Fatalf("%s: found version %d with id %d, want %d, %d", what, got.Version, got.ID, found[0].number, m.ids[text])
					}
				}
			}
			compareState(t, what, s, m)
		}
	}
}

func check(t *testing.T, what string, w *httptest.ResponseRecorder, status, code int) {
	t.Helper()
	if w.Code != status || decodedCode(w) != code {
		t.Fatalf("%s: %d %s, want %d, %d", what, w.Code, w.Body, status, code)
	}
}

func decodedCode(w *httptest.ResponseRecorder) int {
	var e errorBody
	if json.Unmarshal(w.Body.Bytes(), &e) != nil {
		return 0 // an answer that is no object is no error
	}
	return e.Code
}

func decoded[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func compareState(t *testing.T, what string, s *Server, m *model) {
	t.Helper()
	var names []string
	for _, subject := range []string{"a", "b", "c"} {
		var all, live []int
		for _, v := range m.subjects[subject] {
			all = append(all, v.number)
			if !v.deleted {
				live = append(live, v.number)
			}
			got := decoded[answer](t, send(t, s, "GET", fmt.Sprintf("/subjects/%s/versions/%d?deleted=true", subject, v.number), ""))
			if got.Text != v.text || got.ID != m.ids[v.text] || got.Deleted != v.deleted {
				t.Fatalf("%s: version %d of %s is %+v, want %+v", what, v.number, subject, got, v)
			}
		}
		if len(live) > 0 {
			names = append(names, subject)
		}
		for query, want := range map[string][]int{"": live, "?deleted=true": all} {
			w := send(t, s, "GET", "/subjects/"+subject+"/versions"+query, "")
			if len(want) == 0 {
				check(t, what, w, 404, CodeSubjectNotFound)
			} else if got := decoded[[]int](t, w); !slices.Equal(got, want) {
				t.Fatalf("%s: versions of %s are %v, want %v", what, subject, got, want)
			}
		}
	}
	if got := s.Subjects(); !slices.Equal(got, names) {
		t.Fatalf("%s: subjects %v, want %v", what, got, names)
	}
	for id := range m.last {
		got, err := s.Schema(id + 1)
		want := ""
		for text, has := range m.ids {
			if has == id+1 {
				want = text
			}
		}
		if (err == nil) != (want != "") || got.Text != want {
			t.Fatalf("%s: id %d is %q, %v, want %q", what, id+1, got.Text, err, want)
		}
	}
}
