package fieldcrypt_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// One tag for each thing that can happen to a field.
const randomPolicy = `
version: 1
untagged_schema: allow
keys:
  a: {kek: "local:a"}
  b: {kek: "local:b", suite: xaes}
ignore_tags: [NOTHING]
rules:
  - {tag: A, action: encrypt, key: a}
  - {tag: B, action: encrypt, key: b}
  - {tag: MASK, action: mask, keep_first: 2, keep_last: 1}
  - {tag: CONST, action: constant, value: "instead"}
  - {tag: DROP, action: drop}
`

// retag gives each tagged field of a schema a random tag of randomPolicy that
// fits all that is below it, and counts them.
func (g *generator) retag(typ any, counts map[string]int) {
	switch s := typ.(type) {
	case []any:
		for _, branch := range s {
			g.retag(branch, counts)
		}
	case map[string]any:
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			f, _ := f.(map[string]any)
			if _, ok := f["confluent:tags"]; !ok {
				g.retag(f["type"], counts)
				continue
			}
			choice := []string{"A", "B", "CONST", "NOTHING"}
			if leaves := leavesOf(f["type"], false); !strings.Contains(leaves, "bytes") {
				choice = append(choice, "MASK")
				if !strings.Contains(leaves, "string!") {
					choice = append(choice, "DROP")
				}
			} else if !strings.Contains(leaves, "!") {
				choice = append(choice, "DROP")
			}
			tag := choice[g.IntN(len(choice))]
			counts[tag]++
			f["confluent:tags"] = []any{tag}
		}
		g.retag(s["items"], counts)
		g.retag(s["values"], counts)
	}
}

// leavesOf names the types of the leaves below typ, those that cannot be null
// with an exclamation mark.
func leavesOf(typ any, nullable bool) string {
	switch s := typ.(type) {
	case string:
		if nullable {
			return s + " "
		}
		return s + "! "
	case []any:
		out := ""
		for _, branch := range s {
			if branch != "null" {
				out += leavesOf(branch, true)
			}
		}
		return out
	case map[string]any:
		out := ""
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			f, _ := f.(map[string]any)
			out += leavesOf(f["type"], false)
		}
		for _, inner := range []any{s["items"], s["values"]} {
			if inner != nil {
				out += leavesOf(inner, false)
			}
		}
		return out
	default:
		return ""
	}
}

// follow checks what became of one value under the tag that covers it.
func follow(t *testing.T, typ, before, after, revealed any, tag string) {
	t.Helper()
	if s, ok := typ.(map[string]any); ok {
		switch s["type"] {
		case "record":
			fields, _ := s["fields"].([]any)
			b, _ := before.(map[string]any)
			a, _ := after.(map[string]any)
			r, _ := revealed.(map[string]any)
			for _, f := range fields {
				f, _ := f.(map[string]any)
				own := tag
				if tags, ok := f["confluent:tags"].([]any); ok {
					own, _ = tags[0].(string)
				}
				name, _ := f["name"].(string)
				follow(t, f["type"], b[name], a[name], r[name], own)
			}
			return
		case "array":
			b, _ := before.([]any)
			a, _ := after.([]any)
			r, _ := revealed.([]any)
			if len(a) != len(b) || len(r) != len(b) {
				t.Fatalf("%d items became %d and %d", len(b), len(a), len(r))
			}
			for i := range b {
				follow(t, s["items"], b[i], a[i], r[i], tag)
			}
			return
		case "map":
			b, _ := before.(map[string]any)
			a, _ := after.(map[string]any)
			r, _ := revealed.(map[string]any)
			if len(a) != len(b) || len(r) != len(b) {
				t.Fatalf("%d entries became %d and %d", len(b), len(a), len(r))
			}
			for k := range b {
				follow(t, s["values"], b[k], a[k], r[k], tag)
			}
			return
		}
	}
	checkLeaf(t, before, after, revealed, tag)
}

func checkLeaf(t *testing.T, before, after, revealed any, tag string) {
	t.Helper()
	fail := func(why string) {
		t.Helper()
		t.Fatalf("under %q %v became %v and then %v: %s", tag, before, after, revealed, why)
	}
	text := func(v any) string {
		if b, ok := v.([]byte); ok {
			return string(b)
		}
		s, _ := v.(string)
		return s
	}
	if before == nil {
		if after != nil || revealed != nil {
			fail("null is never changed")
		}
		return
	}
	switch tag {
	case "A", "B":
		if _, isText := before.(string); isText != strings.HasPrefix(text(after), "fv1:") || reflect.DeepEqual(before, after) {
			fail("not sealed")
		}
		if !reflect.DeepEqual(before, revealed) {
			fail("not the same again")
		}
		return
	case "MASK":
		// Two and one are kept, of four characters and more.
		chars := []rune(text(before))
		for i := range chars {
			if n := len(chars); n <= 3 || i >= 2 && i < n-1 {
				chars[i] = '*'
			}
		}
		if text(after) != string(chars) || utf8.RuneCountInString(text(after)) != len(chars) {
			fail("not masked")
		}
	case "CONST":
		if text(after) != "instead" {
			fail("not the constant")
		}
	case "DROP":
		if after != nil {
			fail("not dropped")
		}
	default:
		if !reflect.DeepEqual(before, after) {
			fail("no rule covers it")
		}
	}
	if !reflect.DeepEqual(after, revealed) {
		fail("what is not encrypted stays as it is")
	}
}

// validText makes the texts in v valid UTF-8: the generator cuts letters in two,
// which encryption carries and a mask refuses.
func validText(v any) any {
	switch x := v.(type) {
	case string:
		return strings.ToValidUTF8(x, "ř")
	case []any:
		for i := range x {
			x[i] = validText(x[i])
		}
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = validText(x[k])
		}
		return out
	}
	return v
}

// Any action on any field of any schema does what it says to the values of that
// field, and nothing to the others; what was encrypted comes back.
func TestRandomActionsDoWhatTheySay(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("FIELDVEIL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d; FIELDVEIL_SEED=%d repeats this run", seed, seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 2))}
	const schemas, records = 800, 4
	w := newWorld(t)
	writer, reader := w.engine(randomPolicy), w.engine(randomPolicy)
	counts, same := make(map[string]int), 0
	for id := 1; id <= schemas; id++ {
		root := g.record(0, false)
		var doc any
		if err := json.Unmarshal([]byte(root.text), &doc); err != nil {
			t.Fatal(err)
		}
		used := make(map[string]int)
		g.retag(doc, used)
		for tag, n := range used {
			counts[tag] += n
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		w.schemas[id] = avroText(string(text))
		onlyEncrypt := used["MASK"]+used["CONST"]+used["DROP"] == 0
		for range records {
			value := w.framed(id, validText(root.value()))
			rec, err := writer.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: value})
			if err != nil {
				t.Fatalf("protect: %v\n%s", err, text)
			}
			back, err := reader.Reveal(t.Context(), rec)
			if err != nil {
				t.Fatalf("reveal: %v\n%s", err, text)
			}
			follow(t, doc, w.decoded(id, value), w.decoded(id, rec.Value), w.decoded(id, back.Value), "")
			if onlyEncrypt {
				same++
				if !bytes.Equal(back.Value, value) {
					t.Fatalf("revealed bytes differ\n%s", text)
				}
			}
		}
	}
	for _, tag := range []string{"A", "B", "CONST", "NOTHING", "MASK", "DROP"} {
		if counts[tag] < 20 {
			t.Errorf("only %d fields under %s", counts[tag], tag)
		}
	}
	if same < 100 {
		t.Errorf("only %d records of %d were compared byte by byte", same, schemas*records)
	}
	t.Logf("fields by tag: %v; %d of %d records compared byte by byte", counts, same, schemas*records)
}
