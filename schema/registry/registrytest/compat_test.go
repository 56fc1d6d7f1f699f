package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// versions of one Avro record, each by what it says.
func avroTexts() map[string]string {
	record := func(fields string) string {
		return `{"type":"record","name":"R","fields":[` + fields + `]}`
	}
	x := `{"name":"x","type":"int"}`
	return map[string]string{
		"x":                  record(x),
		"x, y":               record(x + `,{"name":"y","type":"string"}`),
		"x, y with default":  record(x + `,{"name":"y","type":"string","default":""}`),
		"x as long":          record(`{"name":"x","type":"long"}`),
		"x as string":        record(`{"name":"x","type":"string"}`),
		"x or null":          record(`{"name":"x","type":["null","int"]}`),
		"nothing":            record(""),
		"x tagged":           record(`{"name":"x","type":"int","confluent:tags":["PII"]}`),
		"z with alias x":     record(`{"name":"z","type":"int","aliases":["x"]}`),
		"x with y recursive": record(x + `,{"name":"y","type":["null","R"],"default":null}`),
		"another name":       `{"type":"record","name":"S","fields":[` + x + `]}`,
	}
}

func TestAvroCompatibility(t *testing.T) {
	text := avroTexts()
	tests := []struct {
		old, new          string
		backward, forward bool
	}{
		{"x", "x", true, true},
		{"x", "x tagged", true, true},
		{"x", "x, y", false, true},
		{"x", "x, y with default", true, true},
		{"x", "nothing", true, false},
		{"x", "x as long", true, false},
		{"x", "x as string", false, false},
		{"x", "x or null", true, false},
		{"x", "z with alias x", true, false},
		{"x", "x with y recursive", true, true},
		{"x", "another name", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.old+" becomes "+tt.new, func(t *testing.T) {
			for level, want := range map[string]bool{
				LevelNone: true, LevelBackward: tt.backward, LevelForward: tt.forward, LevelFull: tt.backward && tt.forward,
			} {
				for _, name := range []string{level, level + "_TRANSITIVE"} {
					if name == "NONE_TRANSITIVE" {
						continue
					}
					s := New(WithCompatibility(name))
					mustRegister(t, s, "s", Schema{Text: text[tt.old]})
					_, err := s.Register("s", Schema{Text: text[tt.new]})
					if got := !incompatibleError(t, err); got != want {
						t.Errorf("level %s: compatible %v, want %v: %v", name, got, want, err)
					}
				}
			}
		})
	}
}

func mustRegister(t *testing.T, s *Server, subject string, schema Schema) int {
	t.Helper()
	id, err := s.Register(subject, schema)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// incompatibleError tells an incompatibility from success, and fails the test
// for any other error.
func incompatibleError(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeIncompatible || e.Status != 409 {
		t.Fatalf("error %v", err)
	}
	return true
}

func TestTransitiveLevelsCompareAllVersions(t *testing.T) {
	text := avroTexts()
	for level, want := range map[string]bool{LevelBackward: true, LevelBackwardTransitive: false, LevelFull: true, LevelFullTransitive: false, LevelNone: true} {
		t.Run(level, func(t *testing.T) {
			s := New(WithCompatibility(level))
			// y comes with a default, and loses it when all but one have it.
			mustRegister(t, s, "s", Schema{Text: text["x"]})
			mustRegister(t, s, "s", Schema{Text: text["x, y with default"]})
			_, err := s.Register("s", Schema{Text: text["x, y"]})
			if got := !incompatibleError(t, err); got != want {
				t.Errorf("compatible %v, want %v: %v", got, want, err)
			}
			if want {
				return
			}
			if !strings.Contains(err.Error(), "version 1:") || strings.Contains(err.Error(), "version 2:") {
				t.Errorf("the wrong version is named: %v", err)
			}
		})
	}
}

func TestDeletedVersionsAreNotCompared(t *testing.T) {
	text := avroTexts()
	s := New()
	mustRegister(t, s, "s", Schema{Text: text["x"]})
	if w := send(t, s, "DELETE", "/subjects/s/versions/1", ""); w.Code != 200 {
		t.Fatal(w.Body)
	}
	mustRegister(t, s, "s", Schema{Text: text["x as string"]})
}

func TestReferencesTakePartInComparisons(t *testing.T) {
	s := New()
	inner := func(fields string) Schema {
		return Schema{Text: `{"type":"record","name":"Inner","fields":[` + fields + `]}`}
	}
	outer := func(version int) Schema {
		return Schema{
			Text:       `{"type":"record","name":"Outer","fields":[{"name":"i","type":"Inner"}]}`,
			References: []Reference{{Name: "Inner", Subject: "inner", Version: version}},
		}
	}
	mustRegister(t, s, "inner", inner(`{"name":"x","type":"int"}`))
	mustRegister(t, s, "inner", inner(`{"name":"x","type":"long"}`))
	one := mustRegister(t, s, "outer", outer(1))
	two := mustRegister(t, s, "outer", outer(-1))
	if one == two {
		t.Error("the same id for other references")
	}
	if got, err := s.Schema(two); err != nil || got.References[0].Version != 2 {
		t.Errorf("the latest version was not pinned: %v, %v", got, err)
	}
	if _, err := s.Register("outer", outer(1)); err != nil {
		t.Errorf("registered before: %v", err)
	}
	fresh := New()
	mustRegister(t, fresh, "inner", inner(`{"name":"x","type":"int"}`))
	mustRegister(t, fresh, "inner", inner(`{"name":"x","type":"long"}`))
	mustRegister(t, fresh, "outer", outer(2))
	if _, err := fresh.Register("outer", outer(1)); !incompatibleError(t, err) {
		t.Error("a narrower reference is taken")
	}
}

func TestReferencesOfReferences(t *testing.T) {
	s := New()
	mustRegister(t, s, "a", Schema{Text: `{"type":"enum","name":"A","symbols":["X"]}`})
	a := Reference{Name: "A", Subject: "a", Version: 1}
	mustRegister(t, s, "b", Schema{Text: `{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}`, References: []Reference{a}})
	b := Reference{Name: "B", Subject: "b", Version: 1}
	mustRegister(t, s, "c", Schema{
		Text:       `{"type":"record","name":"C","fields":[{"name":"b","type":"B"},{"name":"a","type":"A"}]}`,
		References: []Reference{b, a},
	})
	_, err := s.Register("c", Schema{Text: `{"type":"record","name":"C","fields":[]}`, References: []Reference{{Subject: "a", Version: 1}}})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeInvalidSchema {
		t.Errorf("a reference without a name: %v", err)
	}
	_, err = s.Register("j", Schema{Text: `{}`, Format: JSON, References: []Reference{a}})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeInvalidSchema {
		t.Errorf("a reference to another format: %v", err)
	}
}

func TestCompatibilityGroups(t *testing.T) {
	s := New()
	if w := send(t, s, "PUT", "/config/s", `{"compatibilityGroup": "major"}`); w.Code != 200 {
		t.Fatal(w.Body)
	}
	of := func(major, text string) Schema {
		return Schema{Text: text, Metadata: &Metadata{Properties: map[string]string{"major": major}}}
	}
	mustRegister(t, s, "s", of("1", `"string"`))
	mustRegister(t, s, "s", of("2", `"int"`))
	mustRegister(t, s, "s", of("1", `{"type":"string","doc":"x"}`))
	if _, err := s.Register("s", of("2", `"boolean"`)); !incompatibleError(t, err) {
		t.Error("a group is not compared within itself")
	}
}

// A plugged-in checker decides, and is told what to compare.
func TestWithChecker(t *testing.T) {
	var calls []string
	check := func(newer, older Document) ([]string, error) {
		calls = append(calls, older.Text+" -> "+newer.Text+fmt.Sprint(len(newer.References)))
		switch {
		case newer.Text == "broken":
			return nil, errors.New("syntax error")
		case newer.Text == "b" && older.Text == "a":
			return []string{"b cannot read a"}, nil
		default:
			return nil, nil
		}
	}
	s := New(WithChecker(Protobuf, check), WithChecker("THRIFT", check))
	if w := send(t, s, "GET", "/schemas/types", ""); !strings.Contains(w.Body.String(), `["JSON","PROTOBUF","AVRO","THRIFT"]`) {
		t.Errorf("types are %s", w.Body)
	}
	for _, format := range []string{Protobuf, "THRIFT"} {
		calls = nil
		_, err := s.Register(format, Schema{Text: "broken", Format: format})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeInvalidSchema || !strings.Contains(e.Message, "syntax error") {
			t.Errorf("error %v", err)
		}
	}
	calls = nil
	mustRegister(t, s, "s", Schema{Text: "a", Format: Protobuf})
	if _, err := s.Register("s", Schema{Text: "b", Format: Protobuf}); !incompatibleError(t, err) {
		t.Error("the problem was not heard")
	}
	if !slices.Contains(calls, "a -> b0") || slices.Contains(calls, "b -> a0") {
		t.Errorf("backward: calls %q", calls)
	}
	calls = nil
	if err := s.SetCompatibility("s", LevelForward); err != nil {
		t.Fatal(err)
	}
	mustRegister(t, s, "s", Schema{Text: "b", Format: Protobuf})
	if !slices.Contains(calls, "b -> a0") || slices.Contains(calls, "a -> b0") {
		t.Errorf("forward: calls %q", calls)
	}
}

func TestCheckerThatFailsOnAPair(t *testing.T) {
	s := New(WithChecker(Protobuf, func(newer, older Document) ([]string, error) {
		if newer.Text != older.Text {
			return nil, errors.New("out of order")
		}
		return nil, nil
	}))
	mustRegister(t, s, "s", Schema{Text: "a", Format: Protobuf})
	_, err := s.Register("s", Schema{Text: "b", Format: Protobuf})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeStore || e.Status != 500 {
		t.Errorf("error %v", err)
	}
}
