package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/schema"
)

// The oracle says slowly what a Program does: it takes the grammar from
// encoding/json, makes a tree of a document, and walks shapes and patterns by
// their definition.

type tree struct {
	start, end int
	members    []branch
	items      []*tree
	object     bool
	array      bool
}

type branch struct {
	start int
	name  string
	value *tree
}

// treeOf reads a document, or tells false where one is refused whatever the schema.
func treeOf(doc []byte) (*tree, bool) {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return nil, false
	}
	g := grower{doc: doc}
	g.space()
	root := g.value(0)
	return root, !g.bad
}

// grower makes the tree of a text that is JSON.
type grower struct {
	doc []byte
	at  int
	bad bool
}

func (g *grower) space() {
	for g.at < len(g.doc) && strings.IndexByte(" \t\r\n", g.doc[g.at]) >= 0 {
		g.at++
	}
}

func (g *grower) value(depth int) *tree {
	t := &tree{start: g.at}
	switch g.doc[g.at] {
	case '{', '[':
		t.object = g.doc[g.at] == '{'
		t.array = !t.object
		g.bad = g.bad || depth == 64
		names := map[string]bool{}
		for g.at++; ; {
			g.space()
			if c := g.doc[g.at]; c == '}' || c == ']' {
				g.at++
				break
			}
			if g.doc[g.at] == ',' {
				g.at++
				g.space()
			}
			var b branch
			b.start = g.at
			if t.object {
				b.name = g.text()
				g.bad = g.bad || names[b.name]
				names[b.name] = true
				g.space()
				g.at++ // the colon
				g.space()
			}
			b.value = g.value(depth + 1)
			if t.object {
				t.members = append(t.members, b)
			} else {
				t.items = append(t.items, b.value)
			}
		}
	case '"':
		g.text()
	default:
		for g.at < len(g.doc) && !strings.ContainsRune(" \t\r\n,]}", rune(g.doc[g.at])) {
			g.at++
		}
	}
	t.end = g.at
	return t
}

// text reads a string by hand as far as encoding/json would mend it.
func (g *grower) text() string {
	start := g.at
	var units []uint16
	for g.at++; g.doc[g.at] != '"'; {
		if g.doc[g.at] != '\\' {
			units = append(units, 0)
			g.at++
			continue
		}
		if g.doc[g.at+1] != 'u' {
			units = append(units, 0)
			g.at += 2
			continue
		}
		u, err := strconv.ParseUint(string(g.doc[g.at+2:g.at+6]), 16, 16)
		if err != nil {
			panic(err)
		}
		units = append(units, uint16(u))
		g.at += 6
	}
	g.at++
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == utf8.RuneError {
			g.bad = true
			break
		}
		i++
	}
	return unquote(g.doc[start:g.at])
}

func unquote(lexeme []byte) string {
	var s string
	if err := json.Unmarshal(lexeme, &s); err != nil {
		panic(err)
	}
	return s
}

// quote writes a string with no escapes but those that are needed.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if i := strings.IndexRune("\"\\\b\f\n\r\t", r); i >= 0 {
			b.WriteString(`\` + `"\bfnrt`[i:i+1])
		} else if r < ' ' {
			b.WriteString(`\u00` + strconv.FormatInt(int64(r)+0x100, 16)[1:])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

var errOracle = errors.New("the oracle refuses")

type oracle struct {
	edits   map[int]schema.Edit // by field
	numbers map[int]int         // field to edit
	keep    bool
	back    bool
	visit   visit
	doc     []byte
}

func newOracle(edits []schema.Edit, unknown schema.Unknown, back bool, v visit) *oracle {
	o := &oracle{edits: map[int]schema.Edit{}, numbers: map[int]int{}, keep: unknown == schema.KeepUnknown, back: back, visit: v}
	for i, e := range edits {
		o.edits[e.Field], o.numbers[e.Field] = e, i
	}
	return o
}

// A spot is what the oracle knows of a place: what it is there, and inside.
type spot interface {
	field() int
	omit() bool
	integral() bool
	// member and item return nil where nothing describes them.
	member(name string) spot
	item(i int) spot
	// protected tells whether name differs only in case from another that leads
	// to an edit.
	protected(o *oracle, name string) bool
}

// anything is inside of what is described without fields.
type anything struct{}

func (anything) field() int                     { return NoField }
func (anything) omit() bool                     { return false }
func (anything) integral() bool                 { return false }
func (anything) member(string) spot             { return anything{} }
func (anything) item(int) spot                  { return anything{} }
func (anything) protected(*oracle, string) bool { return false }

// shapeSpot is a place of a shape.
type shapeSpot struct{ *Shape }

func (s shapeSpot) field() int     { return s.Field }
func (s shapeSpot) omit() bool     { return s.Omit }
func (s shapeSpot) integral() bool { return s.Integral }
func (s shapeSpot) open() bool {
	return s.Any || s.Field != NoField && s.Members == nil && s.Match == nil && s.Prefix == nil && s.Items == nil
}

func (s shapeSpot) member(name string) spot {
	if m, ok := s.Members[name]; ok {
		return shapeSpot{m}
	}
	if s.Match != nil {
		if m, ok := s.Match([]byte(name)); ok {
			return shapeSpot{m}
		}
	}
	if s.open() {
		return anything{}
	}
	return nil
}

func (s shapeSpot) item(i int) spot {
	switch {
	case i < len(s.Prefix):
		return shapeSpot{s.Prefix[i]}
	case s.Items != nil:
		return shapeSpot{s.Items}
	case s.open():
		return anything{}
	default:
		return nil
	}
}

func (s shapeSpot) protected(o *oracle, name string) bool {
	if _, ok := s.Members[name]; ok {
		return false
	}
	for other, m := range s.Members {
		if strings.EqualFold(other, name) && o.above(m, map[*Shape]bool{}) {
			return true
		}
	}
	return false
}

func (o *oracle) above(s *Shape, seen map[*Shape]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	if _, ok := o.edits[s.Field]; ok || s.Match != nil && len(o.edits) > 0 {
		return true
	}
	for _, m := range s.Members {
		if o.above(m, seen) {
			return true
		}
	}
	for _, m := range s.Prefix {
		if o.above(m, seen) {
			return true
		}
	}
	return o.above(s.Items, seen)
}

// pathSpot is a place by its path, for a list of patterns of names, each segment
// as it is written.
type pathSpot struct {
	patterns [][]string
	path     []string // "n" and a name, or "i"
}

func matches(pattern, path []string) bool {
	switch {
	case len(pattern) == 0:
		return len(path) == 0
	case pattern[0] == "**" && len(pattern) == 1:
		return len(path) > 0
	case pattern[0] == "**":
		for i := 0; i <= len(path); i++ {
			if matches(pattern[1:], path[i:]) {
				return true
			}
		}
		return false
	case len(path) == 0:
		return false
	}
	var fits bool
	switch pattern[0] {
	case "[]":
		fits = path[0] == "i"
	case "*", "{}":
		fits = path[0] != "i"
	default:
		fits = path[0] == "n"+unescapeSegment(pattern[0])
	}
	return fits && matches(pattern[1:], path[1:])
}

func unescapeSegment(s string) string {
	return strings.NewReplacer("~0", "~", "~1", "/", "~2", "*", "~3", "[", "~4", "]", "~5", "{", "~6", "}").Replace(s)
}

func (s pathSpot) field() int {
	for i, p := range s.patterns {
		if matches(p, s.path) {
			return i
		}
	}
	return NoField
}

func (pathSpot) omit() bool     { return false }
func (pathSpot) integral() bool { return false }

func (s pathSpot) inner(step string) pathSpot {
	return pathSpot{s.patterns, append(append([]string(nil), s.path...), step)}
}
func (s pathSpot) member(name string) spot { return s.inner("n" + name) }
func (s pathSpot) item(int) spot           { return s.inner("i") }

// protected looks for a pattern that goes on with name in another case, and is
// edited. A pattern that is hidden behind others there is none.
func (s pathSpot) protected(o *oracle, name string) bool {
	spelled := map[string]bool{}
	for _, p := range s.patterns {
		for i := range p {
			if p[i] != "**" && p[i] != "*" && p[i] != "[]" && p[i] != "{}" && reaches(p[:i], s.path) {
				spelled[unescapeSegment(p[i])] = true
			}
		}
	}
	if spelled[name] {
		return false
	}
	for other := range spelled {
		if strings.EqualFold(other, name) && s.leads(o, other) {
			return true
		}
	}
	return false
}

// reaches is matches, but for a ** at the end, which may stand for nothing.
func reaches(pattern, path []string) bool {
	for n := len(pattern); n > 0 && pattern[n-1] == "**"; n-- {
		if matches(pattern[:n-1], path) {
			return true
		}
	}
	return matches(pattern, path)
}

// leads tells whether a value at or below the member has a field with an edit,
// trying all paths of the names that there are, three levels deep.
func (s pathSpot) leads(o *oracle, name string) bool {
	steps := []string{"i", "nno such name"}
	for _, p := range s.patterns {
		for _, seg := range p {
			if seg != "**" && seg != "*" && seg != "[]" && seg != "{}" {
				steps = append(steps, "n"+unescapeSegment(seg))
			}
		}
	}
	var try func(path []string, levels int) bool
	try = func(path []string, levels int) bool {
		if _, ok := o.edits[(pathSpot{s.patterns, path}).field()]; ok {
			return true
		}
		if levels == 0 {
			return false
		}
		for _, step := range steps {
			if try(append(append([]string(nil), path...), step), levels-1) {
				return true
			}
		}
		return false
	}
	return try(append(append([]string(nil), s.path...), "n"+name), 3)
}

// rewrite returns what the program makes of a document.
func (o *oracle) rewrite(doc []byte, root spot) ([]byte, error) {
	t, ok := treeOf(doc)
	if !ok {
		return nil, errOracle
	}
	o.doc = doc
	value, err := o.value(t, root, 0)
	if err != nil {
		return nil, err
	}
	return append(append(bytes.Clone(doc[:t.start]), value...), doc[t.end:]...), nil
}

func (o *oracle) value(t *tree, s spot, depth int) ([]byte, error) {
	raw := o.doc[t.start:t.end]
	if e, ok := o.edits[s.field()]; ok {
		if e.Op == schema.Number {
			return o.renumbered(e, raw, s.integral())
		}
		return o.edited(e, raw, depth)
	}
	var out []byte
	at := t.start
	if t.array {
		for i, item := range t.items {
			inner := s.item(i)
			if inner == nil {
				if !o.keep {
					return nil, errOracle
				}
				inner = anything{}
			}
			b, err := o.value(item, inner, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(append(out, o.doc[at:item.start]...), b...)
			at = item.end
		}
	}
	kept := 0
	for i, m := range t.members {
		if s.protected(o, m.name) {
			return nil, errOracle
		}
		inner := s.member(m.name)
		if inner == nil {
			if !o.keep {
				return nil, errOracle
			}
			inner = anything{}
		}
		if e, ok := o.edits[inner.field()]; ok && e.Op == schema.Nullify && inner.omit() {
			switch {
			case kept > 0:
				at = m.value.end
			case i+1 < len(t.members):
				out = append(out, o.doc[at:m.start]...)
				at = t.members[i+1].start
			default:
				out = append(out, o.doc[at:m.start]...)
				at = m.value.end
			}
			continue
		}
		kept++
		b, err := o.value(m.value, inner, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(append(out, o.doc[at:m.value.start]...), b...)
		at = m.value.end
	}
	return append(out, o.doc[at:t.end]...), nil
}

func (o *oracle) renumbered(e schema.Edit, raw []byte, integral bool) ([]byte, error) {
	if string(raw) == "null" {
		return raw, nil
	}
	if _, ok := numberOf(raw); !ok {
		return nil, errOracle
	}
	out, err := o.visit(o.numbers[e.Field], nil, raw)
	switch {
	case o.back && errors.Is(err, schema.ErrKeep):
		return raw, nil
	case err != nil:
		return nil, err
	case !mayStandFor(out, raw, integral):
		return nil, schema.ErrNumber
	}
	return out, nil
}

// numberOf reads a text that is nothing but a number, as encoding/json does.
func numberOf(text []byte) (json.Number, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", false
	}
	n, ok := v.(json.Number)
	return n, ok && string(n) == string(text)
}

// mayStandFor tells whether out is a good answer to an edit by Number of raw.
func mayStandFor(out, raw []byte, integral bool) bool {
	n, ok := numberOf(out)
	return ok && len(out) <= len(raw)+64 && (!integral || isWhole(string(n)))
}

// isWhole tells whether a number has no fraction, by exact arithmetic where the
// exponent leaves room for it. Another number is whole when it is zero or when its
// exponent is so large.
func isWhole(n string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToLower(n), "e")
	if found {
		if e, err := strconv.ParseInt(exponent, 10, 64); err != nil || e < -2000 || e > 2000 {
			r, ok := new(big.Rat).SetString(mantissa)
			return ok && (r.Sign() == 0 || exponent[0] != '-')
		}
	}
	r, ok := new(big.Rat).SetString(n)
	return ok && r.IsInt()
}

func (o *oracle) edited(e schema.Edit, raw []byte, depth int) ([]byte, error) {
	n := o.numbers[e.Field]
	text := raw[0] == '"'
	switch {
	case e.Op == schema.Nullify:
		return []byte("null"), nil
	case string(raw) == "null":
		return raw, nil
	case e.Op == schema.Wrap && !o.back:
		out, err := o.visit(n, nil, raw)
		return []byte(quote(string(out))), err
	case !text && e.Op == schema.Replace:
		return nil, errOracle
	}
	value := raw
	if text {
		value = []byte(unquote(raw))
	}
	out, err := o.visit(n, nil, value)
	switch {
	case o.back && errors.Is(err, schema.ErrKeep):
		return raw, nil
	case err != nil:
		return nil, err
	case e.Op == schema.Replace:
		if !utf8.Valid(out) {
			return nil, errOracle
		}
		return []byte(quote(string(out))), nil
	}
	nested := bytes.Repeat([]byte("["), depth)
	nested = append(append(nested, out...), bytes.Repeat([]byte("]"), depth)...)
	if t, ok := treeOf(out); !ok || t.start != 0 || t.end != len(out) {
		return nil, errOracle
	}
	if _, ok := treeOf(nested); !ok {
		return nil, errOracle
	}
	return out, nil
}
