package registry

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func at(subject string, n int) string {
	return fmt.Sprintf("GET /subjects/%s/versions/%d?deleted=true", subject, n)
}

func ref(name, subject string, version int) Reference {
	return Reference{Name: name, Subject: subject, Version: version}
}

func TestReferencesComeInTheOrderInWhichTheyAreNeeded(t *testing.T) {
	street, city, address := avro("Street"), avro("City"), avro("Address")
	tagged := version("city", 1, 2, city)
	tagged.Metadata = &Metadata{Tags: map[string][]string{"com.acme.City.name": {"PII"}}}
	f, c := serve(t, map[string]any{
		id7: Schema{Text: avro("Person"), References: []Reference{ref("Address", "address", 3), ref("City", "city", 1)},
			Metadata: &Metadata{Tags: map[string][]string{"a": {"B"}}}},
		at("address", 3): version("address", 3, 4, address, ref("Street", "street", 2), ref("City", "city", 1)),
		at("street", 2):  version("street", 2, 3, street, ref("City", "city", 1)),
		at("city", 1):    tagged,
	})
	want := schema.Text{
		Format: schema.Avro, Schema: avro("Person"), References: []string{city, street, address}, Names: []string{"City", "Street", "Address"},
		Tags: []schema.TagRule{{Pattern: "a", Tags: []string{"B"}}, {Pattern: "com.acme.City.name", Tags: []string{"PII"}}},
	}
	got, err := c.Schema(t.Context(), 7)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if f.total() != 4 {
		t.Errorf("asked %v", f.calls)
	}
	full, err := c.ByID(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Text(t.Context(), full); err != nil || !reflect.DeepEqual(got, want) || f.total() != 4 {
		t.Errorf("got  %+v, %v, asked %v", got, err, f.calls)
	}
}

func TestReferencesThatCannotBe(t *testing.T) {
	chain := func(n int) map[string]any {
		m := map[string]any{id7: Schema{Text: avro("R"), References: []Reference{ref("n0", "n0", 1)}}}
		for i := range n {
			s := version(fmt.Sprintf("n%d", i), 1, 100+i, avro(fmt.Sprintf("N%d", i)))
			if i+1 < n {
				next := fmt.Sprintf("n%d", i+1)
				s.References = []Reference{ref(next, next, 1)}
			}
			m[at(s.Subject, 1)] = s
		}
		return m
	}
	// Two thousand ways to the last of eleven.
	web := map[string]any{id7: Schema{Text: avro("R"), References: []Reference{ref("w0", "w0", 1)}}}
	for i := range 11 {
		s := version(fmt.Sprintf("w%d", i), 1, 100+i, avro(fmt.Sprintf("W%d", i)))
		for j := i + 1; j < 11; j++ {
			s.References = append(s.References, ref(fmt.Sprintf("w%d", j), fmt.Sprintf("w%d", j), 1))
		}
		web[at(s.Subject, 1)] = s
	}
	many := map[string]any{id7: Schema{Text: avro("R"), References: []Reference{ref("a", "a", 1), ref("b", "b", 1)}}}
	for _, half := range []string{"a", "b"} {
		s := version(half, 1, int(half[0]), avro("H"+half))
		for i := range 150 {
			name := fmt.Sprintf("%s%d", half, i)
			s.References = append(s.References, ref(name, name, 1))
			many[at(name, 1)] = version(name, 1, int(half[0])*1000+i, avro("X"+name))
		}
		many[at(half, 1)] = s
	}
	root := func(refs ...Reference) Schema { return Schema{Text: avro("R"), References: refs} }
	jsonRoot := root(ref("a", "a", 1))
	jsonRoot.Type = "JSON"
	jsonRef := version("a", 1, 2, "{}")
	jsonRef.Type, jsonRef.Metadata = "JSON", &Metadata{Tags: map[string][]string{"$.a": {"PII"}}}
	anywhere := jsonRef
	anywhere.Metadata = &Metadata{Tags: map[string][]string{"**.a": {"PII"}}}
	big := repeat(" ", maxText-100)
	for name, tt := range map[string]struct {
		answers map[string]any
		opts    []Option
		want    error
	}{
		"64 levels":                       {chain(64), nil, nil},
		"65 levels":                       {chain(65), nil, ErrLimit},
		"a web":                           {web, nil, nil},
		"302 in all":                      {many, nil, ErrLimit},
		"one that is missing":             {map[string]any{id7: root(ref("a", "a", 1))}, nil, schema.ErrNotFound},
		"a cycle":                         {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 1, 2, avro("A"), ref("b", "b", 1)), at("b", 1): version("b", 1, 3, avro("B"), ref("a", "a", 1))}, nil, ErrUnsupported},
		"itself":                          {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 1, 2, avro("A"), ref("self", "a", 1))}, nil, ErrUnsupported},
		"a name for two":                  {map[string]any{id7: root(ref("a", "a", 1), ref("a", "a", 2)), at("a", 1): version("a", 1, 2, avro("A")), at("a", 2): version("a", 2, 3, avro("A"))}, nil, ErrUnsupported},
		"a name for two, one inside":      {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 1, 2, avro("A"), ref("a", "b", 1)), at("b", 1): version("b", 1, 3, avro("B"))}, nil, ErrUnsupported},
		"a name twice":                    {map[string]any{id7: root(ref("a", "a", 1), ref("a", "a", 1)), at("a", 1): version("a", 1, 2, avro("A"))}, nil, nil},
		"another language":                {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): jsonRef}, nil, ErrUnsupported},
		"another version":                 {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 2, 2, avro("A"))}, nil, ErrAnswer},
		"no version":                      {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 0, 2, avro("A"))}, nil, ErrAnswer},
		"no id":                           {map[string]any{id7: root(ref("a", "a", 1)), at("a", 1): version("a", 1, 0, avro("A"))}, nil, ErrAnswer},
		"too much text":                   {map[string]any{id7: root(ref("a", "a", 1), ref("b", "b", 1)), at("a", 1): version("a", 1, 2, big), at("b", 1): version("b", 1, 3, big+"x")}, []Option{WithMaxAnswer(maxText + 1000)}, ErrLimit},
		"JSON tags by path":               {map[string]any{id7: jsonRoot, at("a", 1): jsonRef}, nil, ErrUnsupported},
		"JSON tags by path, ignored":      {map[string]any{id7: jsonRoot, at("a", 1): jsonRef}, []Option{WithoutReferenceTags()}, nil},
		"JSON tags that hold anywhere":    {map[string]any{id7: jsonRoot, at("a", 1): anywhere}, nil, nil},
		"a subject that no path can name": {map[string]any{id7: root(ref("a", "..", 1))}, nil, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, tt.answers, tt.opts...)
			got, err := c.Schema(t.Context(), 7)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v", err)
			}
			if (tt.want == nil) == (got.Schema == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAReferenceThatChangesIsNoticed(t *testing.T) {
	f, c := serve(t, map[string]any{
		id7: Schema{Text: avro("R"), References: []Reference{ref("a", "a", 1)}}, at("a", 1): version("a", 1, 2, avro("A")),
		"GET /schemas/ids/8": Schema{Text: avro("S"), References: []Reference{ref("b", "b", 1)}}, at("b", 1): version("b", 1, 3, avro("B")),
	}, WithCache(1, 1<<20))
	for _, id := range []int{7, 8} {
		if _, err := c.Schema(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	f.set(at("a", 1), version("a", 1, 4, avro("Other"))) // deleted for good, and registered again
	if _, err := c.Schema(t.Context(), 7); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
}

func TestReferencesStayInTheirContext(t *testing.T) {
	const in = ":.c:"
	f, c := serve(t, map[string]any{
		at(in+"s", 1):      version(in+"s", 1, 7, avro("S"), ref("a", "a", 1), ref("b", ":.other:b", 1)),
		at(in+"a", 1):      version(in+"a", 1, 8, avro("A"), ref("c", "c", 1)),
		at(in+"c", 1):      version(in+"c", 1, 9, avro("C")),
		at(":.other:b", 1): version(":.other:b", 1, 7, avro("B")),
	})
	s, err := c.Version(t.Context(), in+"s", 1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Text(t.Context(), s)
	if err != nil || !reflect.DeepEqual(text.Names, []string{"c", "a", "b"}) {
		t.Errorf("%v, %v, asked %v", text.Names, err, f.calls)
	}
}
