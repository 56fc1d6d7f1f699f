package jsondoc

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestNewRefusesShapesThatMakeNoSense(t *testing.T) {
	none := &Shape{Field: NoField}
	tests := []struct {
		name   string
		fields []schema.Field
		root   *Shape
		want   string
	}{
		{"no root", nil, nil, "no shape"},
		{"a field that is not there", nil, &Shape{Field: 0}, "field 0, there are 0"},
		{"a negative field", nil, &Shape{Field: -2}, "field -2"},
		{"a field that is not there, far inside", nil, &Shape{Field: NoField, Items: &Shape{Field: NoField, Prefix: []*Shape{{Field: 3}}}}, "field 3"},
		{"a member without a shape", nil, &Shape{Field: NoField, Members: map[string]*Shape{"a": nil}}, "member has no shape"},
		{"an item without a shape", nil, &Shape{Field: NoField, Prefix: []*Shape{none, nil}}, "item has no shape"},
		{"a name that is not UTF-8", nil, &Shape{Field: NoField, Members: map[string]*Shape{"\xff": none}}, "UTF-8"},
		{"a container that ends before it begins", []schema.Field{{}, {Path: "/a", End: 1}}, none, "ends before"},
		{"a container that ends behind the last field", []schema.Field{{Path: "/a", End: 2}}, none, "ends before"},
		{"a field wrapped as bytes", []schema.Field{{Path: "/a", Wrapped: schema.TypeBytes}}, none, "strings only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New("n", schema.JSONSchema, tt.fields, tt.root)
			if err == nil || !strings.Contains(err.Error(), tt.want) || s != nil {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestEditsThatDoNotFit(t *testing.T) {
	fields := []schema.Field{
		{Path: "/s", Type: schema.TypeString},
		{Path: "/o", Type: schema.TypeRecord, End: 3, Wrapped: schema.TypeString, Nullable: true},
		{Path: "/o/n", Type: schema.TypeInteger, Wrapped: schema.TypeString},
		{Path: "/nowhere", Type: schema.TypeString},
	}
	s := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{
		"s": {Field: 0}, "o": {Field: 1, Members: map[string]*Shape{"n": {Field: 2}}},
	}}, fields...)
	tests := []struct {
		name  string
		edits []schema.Edit
		want  string
	}{
		{"a field that is not there", []schema.Edit{{Field: 4, Op: schema.Replace}}, "edit of field 4"},
		{"a negative field", []schema.Edit{{Field: -1, Op: schema.Replace}}, "edit of field -1"},
		{"an integer is replaced", []schema.Edit{{Field: 2, Op: schema.Replace}}, "/o/n: integer: only strings"},
		{"an object is replaced", []schema.Edit{{Field: 1, Op: schema.Replace}}, "/o: record: only strings"},
		{"what cannot be null is", []schema.Edit{{Field: 0, Op: schema.Nullify}}, "/s: string: cannot be null"},
		{"what cannot be wrapped is", []schema.Edit{{Field: 0, Op: schema.Wrap}}, "/s: string: cannot be wrapped"},
		{"no operation", []schema.Edit{{Field: 0}}, "unknown operation"},
		{"an operation of the future", []schema.Edit{{Field: 0, Op: 9}}, "unknown operation"},
		{"one field twice", []schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 0, Op: schema.Replace}}, "edited twice"},
		{"a container and what it holds", []schema.Edit{{Field: 2, Op: schema.Wrap}, {Field: 1, Op: schema.Wrap}}, "/o: record: edited together with /o/n"},
		{"a field that no shape holds", []schema.Edit{{Field: 3, Op: schema.Replace}}, "/nowhere: string: no value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, make := range []func([]schema.Edit, schema.Unknown) (schema.Program, error){s.Compile, s.Restore} {
				p, err := make(tt.edits, schema.RejectUnknown)
				if _, ok := errors.AsType[*FitError](err); !ok || p != nil || !strings.Contains(err.Error(), tt.want) && !strings.Contains(err.Error(), "cannot be restored") {
					t.Errorf("error is %v, want %q", err, tt.want)
				}
			}
		})
	}
	if _, err := s.Restore([]schema.Edit{{Field: 1, Op: schema.Nullify}}, schema.RejectUnknown); err == nil || !strings.Contains(err.Error(), "cannot be restored") {
		t.Errorf("restoring what was made null: %v", err)
	}
}

func TestSchemaTellsWhatItWasGiven(t *testing.T) {
	s := newSchema(t, &Shape{Field: 0}, field("/a"))
	var _ schema.Schema = s
	text, changed, err := s.Derive(all(s, schema.Wrap), schema.Origin{})
	if s.Name() != "test" || s.Format() != schema.JSONSchema || len(s.Fields()) != 1 || text.Schema != "" || changed || err != nil {
		t.Errorf("%q %q %v %v %v %v", s.Name(), s.Format(), s.Fields(), text, changed, err)
	}
}

// unknowns is a schema of {"a": ..., "l": [x, y, y...], "o": {}, "t": [x], "any": ...}.
func unknowns(t *testing.T) *Schema {
	t.Helper()
	leaf := &Shape{Field: 0}
	none := &Shape{Field: NoField}
	return newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{
		"a": leaf, "none": none, "l": {Field: NoField, Items: none}, "t": {Field: NoField, Prefix: []*Shape{none}},
		"any": {Field: NoField, Any: true}, "open": {Field: NoField, Any: true, Members: map[string]*Shape{"s": leaf}},
		"m": {Field: NoField, Match: func(name []byte) (*Shape, bool) { return none, name[0] == 'x' }},
		"r": {Field: NoField, Match: func([]byte) (*Shape, bool) { return nil, true }},
	}}, field("/a"))
}

func TestUnknownContent(t *testing.T) {
	tests := []struct{ name, in, reason string }{
		{"a member beside others", `{"a":1,"b":2}`, reasonMember},
		{"a member before others", `{"b":2,"a":1}`, reasonMember},
		{"a member whose name is a part of another", `{"an":2}`, reasonMember},
		{"a member in another case than one that nobody protects", `{"A":2}`, reasonMember},
		{"a member of an object where no object is told of", `{"l":{"x":1}}`, reasonMember},
		{"a member of an item", `{"l":[{"x":1}]}`, reasonMember},
		{"a member where nothing is told", `{"none":{"x":1}}`, reasonMember},
		{"an item where nothing is told", `{"none":[1]}`, reasonItem},
		{"an item of an array where an object is told of", `[1]`, reasonItem},
		{"an item behind the prefix", `{"t":[1,2]}`, reasonItem},
		{"a member that Match does not tell of", `{"m":{"x":1,"y":1}}`, reasonMember},
		{"a member that Match tells of without a shape", `{"r":{"y":1}}`, reasonMember},

		{"a member of a field", `{"a":{"x":[{"y":1}]}}`, ""},
		{"a member of anything", `{"any":{"x":[{"y":1}]}}`, ""},
		{"a member beside told ones, of anything", `{"open":{"s":1,"x":[{"y":1}]}}`, ""},
		{"an item of anything", `{"open":[[1]]}`, ""},
		{"items", `{"l":[1,[],"x",{}]}`, ""},
		{"an item of the prefix", `{"t":[1]}`, ""},
		{"members that Match tells of", `{"m":{"x1":1,"x2":1}}`, ""},
		{"empty containers", `{"none":{},"t":[],"m":{},"r":{}}`, ""},
		{"a value that is no object", `"x"`, ""},
	}
	s := unknowns(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reject, err := s.Compile(nil, schema.RejectUnknown)
			if err != nil {
				t.Fatal(err)
			}
			keep, err := s.Compile(nil, schema.KeepUnknown)
			if err != nil {
				t.Fatal(err)
			}
			if got := rewrite(t, keep, tt.in, identity); got != tt.in {
				t.Errorf("with unknown content kept, %q became %q", tt.in, got)
			}
			if tt.reason != "" {
				wantMalformed(t, reject, tt.in, tt.reason, identity)
			} else if got := rewrite(t, reject, tt.in, identity); got != tt.in {
				t.Errorf("%q became %q", tt.in, got)
			}
		})
	}
	other, err := s.Compile(nil, schema.Unknown(7))
	if err != nil {
		t.Fatal(err)
	}
	wantMalformed(t, other, `{"b":1}`, reasonMember, identity)
}

func TestNamesThatDifferOnlyInCaseFromProtectedOnes(t *testing.T) {
	leaf := func(f int) *Shape { return &Shape{Field: f} }
	s := newSchema(t, &Shape{Field: NoField, Any: true, Members: map[string]*Shape{
		"ssn": leaf(0), "desk": leaf(0), "élan": leaf(0), "Tax": leaf(0), "tax": leaf(1), "free": leaf(1), "twelve letters, k in the middle": leaf(0),
		"person": {Field: NoField, Any: true, Members: map[string]*Shape{"a rather long name of it": leaf(0)}},
		"list":   {Field: NoField, Items: &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"ssn": leaf(0)}}},
		"map":    {Field: NoField, Match: func([]byte) (*Shape, bool) { return leaf(0), true }},
	}}, field("/p"), field("/q"))
	tests := []struct {
		name, in string
		refused  bool
	}{
		{"capitals", `{"SSN":1}`, true},
		{"one capital", `{"ssN":1}`, true},
		{"capitals in escapes", `{"\u0053SN":1}`, true},
		{"beside the right one", `{"ssn":1,"Ssn":1}`, true},
		{"a long s", `{"ſſn":1}`, true},
		{"a long s in escapes", `{"\u017fsn":1}`, true},
		{"the sign for kelvin", "{\"des\u212a\":1}", true},
		{"the sign for kelvin in the middle of a long name", "{\"twelve letters, \u212a in the middle\":1}", true},
		{"a letter with an accent", `{"ÉLAN":1}`, true},
		{"an object above the edit", `{"Person":{}}`, true},
		{"an array above the edit", `{"LIST":[]}`, true},
		{"a map that may hold it", `{"MAP":{}}`, true},
		{"inside", `{"person":{"a rather long name of IT":1}}`, true},
		{"inside an item", `{"list":[{},{"sSn":1}]}`, true},
		{"a third spelling of two that are told", `{"TAX":1}`, true},

		{"the name itself", `{"ssn":1,"desk":1}`, false},
		{"two spellings that are both told", `{"Tax":1,"tax":2}`, false},
		{"a name that nobody protects", `{"FREE":1}`, false},
		{"another letter", `{"ssm":1}`, false},
		{"full folding, which no decoder does", `{"eßsn":1,"ẞ":2}`, false},
		{"elsewhere", `{"free":{"SSN":1}}`, false},
		{"bits like those of the other case", "{\"33N\":1,\"\u0013\":2}", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Contains(tt.in, "\x13") {
				tt.in = strings.ReplaceAll(tt.in, "\x13", `\u0013`)
			}
			for _, p := range []schema.Program{compile(t, s, schema.Edit{Field: 0, Op: schema.Wrap}), restore(t, s, schema.Edit{Field: 0, Op: schema.Wrap})} {
				if tt.refused {
					wantMalformed(t, p, tt.in, reasonCase, identity)
				} else if _, err := p.Rewrite(nil, []byte(tt.in), visit(func(_ int, dst, value []byte) ([]byte, error) { return append(dst, '1'), nil })); err != nil {
					t.Errorf("%s is refused: %v", tt.in, err)
				}
			}
			// Nothing is protected without edits.
			rewrite(t, compile(t, s), tt.in, identity)
		})
	}
}

func TestMatchMayGiveShapesThatNothingElseLeadsTo(t *testing.T) {
	inner := &Shape{Field: NoField, Members: map[string]*Shape{"pan": {Field: 0}}}
	inner.Members["again"] = inner
	root := &Shape{Field: NoField, Match: func(name []byte) (*Shape, bool) { return inner, name[0] == 'x' }}
	inner.Members["root"] = root
	s := newSchema(t, root, field("/x/pan"))
	p := compile(t, s, all(s, schema.Wrap)...)
	const in = `{"x1":{"pan":1,"again":{"pan":2,"root":{"x":{"pan":3}}}},"x2":{"pan":4}}`
	const want = `{"x1":{"pan":"0:1","again":{"pan":"0:2","root":{"x":{"pan":"0:3"}}}},"x2":{"pan":"0:4"}}`
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				out, err := p.Rewrite(nil, []byte(in), visit(numbered))
				if err != nil || string(out) != want {
					t.Errorf("got %s, %v", out, err)
				}
			}
		})
	}
	group.Wait()
	wantMalformed(t, p, `{"x1":{"PAN":1}}`, reasonCase, numbered)
	wantMalformed(t, p, `{"x1":{"other":1}}`, reasonMember, numbered)
}

func TestMatchMustKeepToItsContract(t *testing.T) {
	tests := []struct {
		name  string
		match func([]byte) (*Shape, bool)
		want  string
	}{
		{"a field that is not there", func([]byte) (*Shape, bool) { return &Shape{Field: 5}, true }, "field 5"},
		{"shapes without end", func([]byte) (*Shape, bool) { return &Shape{Field: NoField}, true }, "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, newSchema(t, &Shape{Field: NoField, Items: &Shape{Field: NoField, Match: tt.match}}))
			var err error
			doc := []byte("[" + strings.Repeat(`{"a":1},`, 1000) + "{}]")
			for range 100 {
				if _, err = p.Rewrite(nil, doc, nil); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNamesThatLookAlikeAreNotTaken(t *testing.T) {
	const told = "12345678 told 12345678"
	s := newSchema(t, &Shape{Field: NoField, Members: map[string]*Shape{told: {Field: 0}, "short": {Field: 0}, "eight888": {Field: 0}}}, field("/f"))
	p := compile(t, s, all(s, schema.Wrap)...)
	for _, name := range []string{"12345678 gold 12345678", told + " ", told[1:], "shor", "short1", "shoru", `short\u0000`, "eight889", "eight8888", ""} {
		wantMalformed(t, p, `{"`+name+`":1}`, reasonMember, identity)
		wantMalformed(t, p, `{"`+told+`":1,"`+name+`":1}`, reasonMember, identity)
	}
	if got := rewrite(t, p, `{"`+told+`":1,"short":2,"eight888":3}`, numbered); got != `{"`+told+`":"0:1","short":"0:2","eight888":"0:3"}` {
		t.Errorf("got %s", got)
	}
}

func TestNamesAreProtectedThroughShapesOfMatch(t *testing.T) {
	root := &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"pan": {Field: 0}}}
	between := &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"back": root}}
	given := &Shape{Field: NoField, Any: true, Members: map[string]*Shape{"between": between}}
	root.Match = func(name []byte) (*Shape, bool) { return given, name[0] == 'x' }
	s := newSchema(t, root, field("/pan"))
	p := compile(t, s, all(s, schema.Wrap)...)
	wantMalformed(t, p, `{"x":{"between":{"Back":1}}}`, reasonCase, identity)
	wantMalformed(t, p, `{"x":{"Between":1}}`, reasonCase, identity)
	if got := rewrite(t, p, `{"x":{"between":{"back":{"pan":1}},"Other":{}}}`, numbered); got != `{"x":{"between":{"back":{"pan":"0:1"}},"Other":{}}}` {
		t.Errorf("got %s", got)
	}
}
