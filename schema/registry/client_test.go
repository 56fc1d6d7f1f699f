package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/schema"
)

func TestASchemaComesWithItsTagsAndDemands(t *testing.T) {
	f, c := serve(t, map[string]any{id7: `{"schema":"\"string\"","maxId":9,
		"metadata":{"tags":{"b.**.*":["Z","A","Z"],"a.b":["PII"],"c":[]},"properties":{"owner":"x"},"sensitive":null},
		"ruleSet":{"domainRules":[
			{"name":"fields","kind":"TRANSFORM","mode":"WRITEREAD","type":"ENCRYPT","tags":["PII","A"],"disabled":false},
			{"name":"all","type":"encrypt","mode":null,"tags":null},
			{"name":"off","type":"ENCRYPT","disabled":true},
			{"name":"read","type":"ENCRYPT","mode":"READ"},
			{"name":"check","type":"CEL","mode":"WRITE"}],
		"encodingRules":[{"name":"whole","type":"ENCRYPT_PAYLOAD","mode":"WRITE","params":{"encrypt.kek.name":"k"}}],
		"futureRules":[{"name":"new","type":"ENCRYPT","mode":"WRITE","tags":["N"]}]}}`})
	for range 2 {
		got, err := c.Schema(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		want := schema.Text{
			Format: schema.Avro, Schema: `"string"`,
			Tags: []schema.TagRule{{Pattern: "a.b", Tags: []string{"PII"}}, {Pattern: "b.**", Tags: []string{"A", "Z"}}},
			Demands: []schema.Demand{
				{Name: "fields", Tags: []string{"A", "PII"}}, {Name: "all"}, {Name: "whole", Payload: true}, {Name: "new", Tags: []string{"N"}},
			},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if n := f.count(id7); n != 1 {
		t.Errorf("asked %d times", n)
	}
	full, err := c.ByID(t.Context(), 7)
	if err != nil || full.ID != 7 || full.RuleSet.EncodingRules[0].Params["encrypt.kek.name"] != "k" || full.Metadata.Properties["owner"] != "x" {
		t.Errorf("%+v, %v", full, err)
	}
}

func TestRulesThatOthersRunDemandNothing(t *testing.T) {
	for at, want := range map[string]int{"": 1, "ALL": 1, "CLIENT": 1, "client": 1, "SOMEBODY": 1, "GATEWAY": 0, "SERVER": 0, "NONE": 0} {
		got := demands(&RuleSet{EnableAt: at, DomainRules: []Rule{{Name: "r", Type: "ENCRYPT"}}})
		if len(got) != want {
			t.Errorf("%q: %v", at, got)
		}
	}
}

func TestAGUIDLeadsToItsSchema(t *testing.T) {
	guid := [16]byte{0x89, 0x79, 0x17, 0x62, 0x23, 0x36, 0x41, 0x86, 0x96, 0x74, 15: 1}
	const name = "89791762-2336-4186-9674-000000000001"
	f, c := serve(t, map[string]any{"GET /schemas/guids/" + name: `{"schemaType":"JSON","schema":"{}","guid":"` + name + `"}`})
	for range 2 {
		got, err := c.SchemaByGUID(t.Context(), guid)
		if err != nil || got.Format != schema.JSONSchema || got.Schema != "{}" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if s, err := c.ByGUID(t.Context(), guid); err != nil || s.GUID != name || f.total() != 1 {
		t.Errorf("%+v, %v after %d calls", s, err, f.total())
	}
	if _, err := c.SchemaByGUID(t.Context(), [16]byte{1}); !errors.Is(err, schema.ErrNotFound) {
		t.Error(err)
	}
	f.set("GET /schemas/guids/"+formatGUID([16]byte{2}), `{"schemaType":"JSON","schema":"{}","guid":"`+name+`"}`)
	if _, err := c.SchemaByGUID(t.Context(), [16]byte{2}); !errors.Is(err, ErrAnswer) {
		t.Errorf("another GUID: %v", err)
	}
}

func TestAnAnswerThatIsNotOneIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   error
	}{
		"nothing":                         {``, ErrAnswer},
		"a page":                          {`<html>welcome</html>`, ErrAnswer},
		"a null":                          {`null`, ErrAnswer},
		"a list":                          {`[]`, ErrAnswer},
		"no schema":                       {`{}`, ErrAnswer},
		"an empty schema":                 {`{"schema":""}`, ErrAnswer},
		"a schema that is an object":      {`{"schema":{"type":"string"}}`, ErrAnswer},
		"half an answer":                  {`{"schema":"\"string\""`, ErrAnswer},
		"two answers":                     {`{"schema":"\"string\""}{}`, ErrAnswer},
		"a member twice":                  {`{"schema":"\"string\"","metadata":{"tags":{"a":["PII"]}},"metadata":null}`, ErrAnswer},
		"a member twice by escapes":       {`{"schema":"\"string\"","ruleSet":{},"ruleSe\u0074":null}`, ErrAnswer},
		"a member twice where none reads": {`{"schema":"\"string\"","x":[{"a":1,"a":2}]}`, ErrAnswer},
		"text that is not UTF-8":          {"{\"schema\":\"\xff\"}", ErrAnswer},
		"half a surrogate pair":           {`{"schema":"\"\ud83d\""}`, ErrAnswer},
		"the other half":                  {`{"schema":"\ude00"}`, ErrAnswer},
		"halves apart":                    {`{"schema":"\ud83dx\ude00"}`, ErrAnswer},
		"an id in quotes":                 {`{"schema":"\"string\"","id":"7"}`, ErrAnswer},
		"an id with a fraction":           {`{"schema":"\"string\"","id":7.0}`, ErrAnswer},
		"an id of 64 bits":                {`{"schema":"\"string\"","id":4294967303}`, ErrAnswer},
		"another id":                      {`{"schema":"\"string\"","id":8}`, ErrAnswer},
		"a tag that is a number":          {`{"schema":"\"string\"","metadata":{"tags":{"a":[1]}}}`, ErrAnswer},
		"a tag that is null":              {`{"schema":"\"string\"","metadata":{"tags":{"a":[null]}}}`, ErrAnswer},
		"tags that are a list":            {`{"schema":"\"string\"","metadata":{"tags":["a"]}}`, ErrAnswer},
		"rules that are an object":        {`{"schema":"\"string\"","ruleSet":{"domainRules":{}}}`, ErrAnswer},
		"disabled in quotes":              {`{"schema":"\"string\"","ruleSet":{"domainRules":[{"disabled":"false"}]}}`, ErrAnswer},
		"a reference to the latest":       {`{"schema":"\"string\"","references":[{"name":"a","subject":"a","version":-1}]}`, ErrAnswer},
		"deep nesting":                    {`{"schema":"\"string\"","x":` + repeat("[", 5000) + repeat("]", 5000) + `}`, ErrAnswer},
		"a type that nobody knows":        {`{"schema":"x","schemaType":"THRIFT"}`, ErrUnsupported},
		"a pattern with a class":          {`{"schema":"\"string\"","metadata":{"tags":{"a[bc]":["PII"]}}}`, ErrUnsupported},
		"a pattern with a backslash":      {`{"schema":"\"string\"","metadata":{"tags":{"a\\b":["PII"]}}}`, ErrUnsupported},
		"a text over a megabyte":          {`{"schema":"` + repeat("x", maxText+1) + `"}`, ErrLimit},
		"an answer over the limit":        {`{"schema":"x","y":"` + repeat("x", 4<<20) + `"}`, ErrLimit},
		"257 references":                  {`{"schema":"x","references":[` + repeat(`{"name":"a","subject":"a","version":1},`, 256) + `{"name":"a","subject":"a","version":1}]}`, ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, map[string]any{id7: tt.answer})
			got, err := c.Schema(t.Context(), 7)
			if !errors.Is(err, tt.want) || !reflect.DeepEqual(got, schema.Text{}) {
				t.Errorf("%+v, %v", got, err)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestAPairOfSurrogatesIsText(t *testing.T) {
	_, c := serve(t, map[string]any{id7: `{"schema":"\ud83d\ude00 \u00e9 \\ud83d \/"}`})
	if got, err := c.Schema(t.Context(), 7); err != nil || got.Schema != "\U0001F600 \u00e9 \\ud83d /" {
		t.Errorf("%q, %v", got.Schema, err)
	}
}

func TestThousandCallersShareOneRequest(t *testing.T) {
	release := make(chan struct{})
	f, c := serve(t, map[string]any{id7: func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = fmt.Fprint(w, `{"schema":"\"string\""}`)
	}})
	var wg sync.WaitGroup
	impatient, leave := context.WithCancel(t.Context())
	for i := range 1000 {
		wg.Go(func() {
			ctx := t.Context()
			if i%10 == 0 {
				ctx = impatient
			}
			got, err := c.Schema(ctx, 7)
			switch {
			case i%10 == 0 && err != nil && !errors.Is(err, context.Canceled):
				t.Errorf("caller %d: %v", i, err)
			case i%10 != 0 && (err != nil || got.Schema != `"string"`):
				t.Errorf("caller %d: %q, %v", i, got.Schema, err)
			}
		})
	}
	leave() // including the one that may have begun
	close(release)
	wg.Wait()
	if n := f.count(id7); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestOneWhoLeavesDoesNotEndTheFetchOfOthers(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	_, c := serve(t, map[string]any{id7: func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		_, _ = fmt.Fprint(w, `{"schema":"\"string\""}`)
	}})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := c.Schema(ctx, 7); left <- err }()
	<-asked
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if _, err := c.Schema(t.Context(), 7); err != nil {
		t.Error(err)
	}
}

func TestRefusalsStandForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(map[string]any{})
		c := inside(t, f)
		for range 3 {
			if _, err := c.Schema(t.Context(), 7); !errors.Is(err, schema.ErrNotFound) || Retryable(err) {
				t.Error(err)
			}
		}
		f.set(id7, `{"schema":"\"string\""}`)
		time.Sleep(10*time.Second - time.Nanosecond) //nolint:forbidigo // a clock of the test's own
		if _, err := c.Schema(t.Context(), 7); !errors.Is(err, schema.ErrNotFound) {
			t.Error(err)
		}
		if n := f.count(id7); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(time.Nanosecond) //nolint:forbidigo // see above
		if _, err := c.Schema(t.Context(), 7); err != nil {
			t.Error(err)
		}
		for _, id := range []int{0, -1} {
			if _, err := c.Schema(t.Context(), id); !errors.Is(err, schema.ErrNotFound) {
				t.Error(err)
			}
		}
		if n := f.total(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestAnOutageStopsNothingThatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(map[string]any{
			id7:                                  `{"schema":"\"string\""}`,
			"GET /subjects/s/versions/latest":    version("s", 3, 7, `"string"`),
			"GET /schemas/ids/7/versions":        `[{"subject":"s","version":3}]`,
			"GET /subjects/gone/versions/latest": version("gone", 1, 8, `"bytes"`),
		})
		c := inside(t, f)
		ask := func(when string, wantStale bool) {
			t.Helper()
			if _, err := c.Schema(t.Context(), 7); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			s, err := c.Latest(t.Context(), "s")
			if wantStale != (err == nil) || err == nil && s.Version != 3 || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: latest is %+v, %v", when, s, err)
			}
			subjects, err := c.SubjectsOf(t.Context(), 7)
			if wantStale != (err == nil) || err == nil && !reflect.DeepEqual(subjects, []string{"s"}) {
				t.Errorf("%s: subjects are %v, %v", when, subjects, err)
			}
		}
		ask("up", true)
		if _, err := c.Latest(t.Context(), "gone"); err != nil {
			t.Error(err)
		}
		for k := range f.answers {
			f.set(k, 503)
		}
		f.set("GET /subjects/gone/versions/latest", 404)
		before := f.total()
		ask("at once", true)
		if f.total() != before {
			t.Error("asked although all was fresh")
		}
		time.Sleep(time.Minute) //nolint:forbidigo // a clock of the test's own
		ask("after a minute", true)
		asked := f.total()
		ask("and again", true)
		if f.total() != asked {
			t.Error("asks again at once although the registry is away")
		}
		if _, err := c.Latest(t.Context(), "gone"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("a subject that is gone: %v", err)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // see above
		ask("after an hour", false)
		f.set("GET /subjects/s/versions/latest", version("s", 4, 9, `"bytes"`))
		time.Sleep(time.Second) //nolint:forbidigo // see above
		if s, err := c.Latest(t.Context(), "s"); err != nil || s.Version != 4 {
			t.Errorf("back again: %+v, %v", s, err)
		}
	})
}

func TestOtherContentUnderAnIDIsNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clear := `{"schema":"\"string\""}`
		tagged := `{"schema":"\"string\"","metadata":{"tags":{"a":["PII"]}}}`
		f := newFake(map[string]any{
			id7: tagged, "GET /schemas/ids/8": clear,
			"GET /subjects/s/versions/latest":             version("s", 1, 7, `"bytes"`),
			"GET /subjects/s/versions/2?deleted=true":     version("s", 2, 7, `"string"`),
			"GET /subjects/:.c:s/versions/1?deleted=true": version(":.c:s", 1, 7, `"bytes"`),
		})
		c := inside(t, f, WithCache(1, 1<<20))
		evict := func() {
			t.Helper()
			if _, err := c.Schema(t.Context(), 8); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Schema(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		evict()
		f.set(id7, clear) // the tag is gone
		if got, err := c.Schema(t.Context(), 7); !errors.Is(err, ErrChanged) || Retryable(err) || got.Schema != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if n := f.count(id7); n != 2 {
			t.Errorf("asked %d times", n)
		}
		f.set(id7, tagged)
		time.Sleep(10 * time.Second) //nolint:forbidigo // a clock of the test's own
		if _, err := c.Schema(t.Context(), 7); err != nil {
			t.Errorf("what it was: %v", err)
		}
		evict()
		f.set(id7, `{"schema":"\"string\"","metadata":{"tags":{"a":["PII"]},"new":1},"ruleSet":null,"new":1,"guid":"g"}`)
		if _, err := c.Schema(t.Context(), 7); err != nil {
			t.Errorf("with members of a later release: %v", err)
		}
		if _, err := c.Latest(t.Context(), "s"); !errors.Is(err, ErrChanged) {
			t.Errorf("another text by version: %v", err)
		}
		if _, err := c.Version(t.Context(), "s", 2); err != nil {
			t.Errorf("the same text by version: %v", err)
		}
		if _, err := c.Version(t.Context(), ":.c:s", 1); err != nil {
			t.Errorf("an id of another context: %v", err)
		}
	})
}

// Rules take part in what an id stands for, with all that they say, and without
// what only later releases of a registry tell.
func TestRulesBelongToAnID(t *testing.T) {
	rules := func(kek, more string) string {
		return `{"schema":"\"string\"","ruleSet":{"domainRules":[{"name":"r","type":"ENCRYPT","params":{"encrypt.kek.name":"` + kek + `"}` + more + `}]` + more + `}}`
	}
	f, c := serve(t, map[string]any{id7: rules("a", ""), "GET /schemas/ids/8": rules("a", "")}, WithCache(1, 1<<20))
	ask := func(id int) error {
		_, err := c.Schema(t.Context(), id)
		return err
	}
	if err := errors.Join(ask(7), ask(8)); err != nil {
		t.Fatal(err)
	}
	f.set(id7, rules("a", `,"later":1`))
	if err := errors.Join(ask(7), ask(8)); err != nil {
		t.Errorf("a later release: %v", err)
	}
	f.set(id7, rules("b", ""))
	if err := ask(7); !errors.Is(err, ErrChanged) {
		t.Errorf("another key: %v", err)
	}
}

// What was asked before a registration and answered after it is old.
func TestARegistrationOvertakesTheLatestVersion(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	f, c := serve(t, map[string]any{"POST /subjects/s/versions": `{"id":8}`, "GET /subjects/s/versions/latest": func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		_, _ = fmt.Fprint(w, `{"subject":"s","version":1,"id":7,"schema":"\"string\""}`)
	}})
	done := make(chan error)
	go func() { _, err := c.Latest(t.Context(), "s"); done <- err }()
	<-asked
	if _, err := c.RegisterSchema(t.Context(), "s", Schema{Text: `"bytes"`}); err != nil {
		t.Fatal(err)
	}
	f.set("GET /subjects/s/versions/latest", version("s", 2, 8, `"bytes"`))
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s, err := c.Latest(t.Context(), "s"); err != nil || s.Version != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheCacheIsBoundedInBytes(t *testing.T) {
	answers := map[string]any{}
	for id := 1; id <= 20; id++ {
		answers[fmt.Sprintf("GET /schemas/ids/%d", id)] = map[string]any{"schema": repeat("x", 1000)}
	}
	f, c := serve(t, answers, WithCache(100, 5*1600))
	for range 2 {
		for id := 1; id <= 20; id++ {
			if _, err := c.Schema(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := f.total(); n != 40 {
		t.Errorf("%d requests", n)
	}
	if n := len(c.ids.items()); n != 5 {
		t.Errorf("%d schemas are kept", n)
	}
	for _, id := range []int{16, 1, 16} { // 16 is the oldest of the last five until it is used
		if _, err := c.Schema(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if f.total() != 41 {
		t.Error("what was used last was dropped")
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	asked := make(chan struct{})
	f := newFake(map[string]any{id7: func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}})
	c := inside(t, f)
	done := make(chan error)
	go func() { _, err := c.Schema(t.Context(), 7); done <- err }()
	<-asked
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	for name, f := range map[string]func() error{
		"Schema":   func() error { _, err := c.Schema(t.Context(), 8); return err },
		"Subjects": func() error { _, err := c.Subjects(t.Context(), ""); return err },
		"Text":     func() error { _, err := c.Text(t.Context(), Schema{Text: "x"}); return err },
	} {
		if err := f(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.total() != 1 {
		t.Error("asked after Close")
	}
}

func TestSubjectsAreEscaped(t *testing.T) {
	for subject, path := range map[string]string{
		"orders-value": "orders-value", ":.ctx:orders": ":.ctx:orders", "a/b": "a%2Fb", "a b?c#d%e": "a%20b%3Fc%23d%25e", "é": "%C3%A9", "...": "...",
	} {
		f, c := serve(t, map[string]any{"GET /subjects/" + path + "/versions": `[1,2]`})
		got, err := c.Versions(t.Context(), subject)
		if err != nil || !reflect.DeepEqual(got, []int{1, 2}) {
			t.Errorf("%q: %v, %v, asked for %v", subject, got, err, f.calls)
		}
	}
	f, c := serve(t, nil)
	for _, subject := range []string{"", ".", "..", "a\nb", "a\x00", "\xff", repeat("x", maxSubject+1)} {
		_, versions := c.Versions(t.Context(), subject)
		_, latest := c.Latest(t.Context(), subject)
		_, version := c.Version(t.Context(), subject, 1)
		_, register := c.Register(t.Context(), subject, schema.Text{Format: schema.Avro, Schema: "x"})
		_, _, compatible := c.Compatible(t.Context(), subject, 1, Schema{Text: "x"})
		remove := c.DeleteVersion(t.Context(), subject, 1, false)
		for _, err := range []error{versions, latest, version, register, compatible, remove} {
			if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "xxx") {
				t.Errorf("%.10q: %v", subject, err)
			}
		}
	}
	if f.total() != 0 {
		t.Errorf("asked for %v", f.calls)
	}
}
