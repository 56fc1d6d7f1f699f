package jsondoc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// Values of kinds that a shape does not have would pass by the edits inside. Where
// there are none, they may stay.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		name          string
		kinds         Kinds
		taken, passed []string
	}{
		{"all", 0, []string{`{}`, `[]`, `"x"`, `1`, `-1`, `true`, `false`, `null`}, nil},
		{"objects", KindObject, []string{`{}`, `null`, `{"a":"x"}`}, []string{`[]`, `"x"`, `1`, `-1`, `true`, `false`}},
		{"arrays and strings", KindArray | KindString, []string{`[]`, `"x"`, `null`}, []string{`{}`, `1`, `-1`, `true`, `false`}},
		{"numbers", KindNumber, []string{`0`, `-1`, `null`}, []string{`{}`, `[]`, `"x"`, `true`, `false`}},
		{"booleans", KindBoolean, []string{`true`, `false`, `null`}, []string{`{}`, `[]`, `"x"`, `1`}},
		{"null", KindNull, []string{`null`}, []string{`{}`, `[]`, `"x"`, `1`, `true`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &Shape{Field: NoField, Kinds: c.kinds, Members: map[string]*Shape{"a": {Field: 0}}, Items: &Shape{Field: NoField}}
			root := &Shape{Field: NoField, Members: map[string]*Shape{"m": in}, Items: in, Match: func([]byte) (*Shape, bool) { return in, true }}
			s, err := New("", "", []schema.Field{{Path: "/m/a", Type: schema.TypeString}}, root)
			if err != nil {
				t.Fatal(err)
			}
			inside, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Replace}}, schema.KeepUnknown)
			if err != nil {
				t.Fatal(err)
			}
			none, err := s.Compile(nil, schema.KeepUnknown)
			if err != nil {
				t.Fatal(err)
			}
			v := visit(func(_ int, dst, _ []byte) ([]byte, error) { return dst, nil })
			for _, around := range [][2]string{{`{"m":`, `}`}, {`[`, `]`}, {`{"other" : `, ` }`}} {
				for _, value := range c.taken {
					if _, err := inside.Rewrite(nil, []byte(around[0]+value+around[1]), v); err != nil {
						t.Errorf("%s%s%s: %v", around[0], value, around[1], err)
					}
				}
				for _, value := range c.passed {
					record := []byte(around[0] + value + around[1])
					_, err := inside.Rewrite(nil, record, v)
					fault, ok := errors.AsType[*schema.MalformedError](err)
					if !ok || fault.Reason != reasonKind || fault.Offset != len(around[0]) {
						t.Errorf("%s: %v", record, err)
					}
					if out, err := none.Rewrite(nil, record, v); err != nil || !bytes.Equal(out, record) {
						t.Errorf("%s without edits: %s, %v", record, out, err)
					}
				}
			}
		})
	}
}
