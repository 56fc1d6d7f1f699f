package formats_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/wire"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// A typeCase is one type of one format, with a record that has a value of it in
// the field x.
type typeCase struct {
	name string
	// row is the row of the documented table that the type belongs to, with a
	// question mark where the value may be null.
	row  string
	path string      // of JSON without a schema
	text schema.Text // zero without one; the field has the tag T
	// record returns a record, framed with id 1 unless it has no schema, that has
	// the text of the sample wherever x has a text of its own choice.
	record func(t *testing.T, s sample, person string) []byte
	// scalars are the other values in x, however they are encoded.
	scalars []any
	// unit is what numbers count, "float" for one of 32 bits, and "null" when x is
	// a null.
	unit   string
	decode func(t testing.TB, text schema.Text, body []byte) any
}

// The outcomes.
const (
	outRefused   = '-'
	outBack      = 'r'
	outDerived   = 'd'
	outToken     = 't'
	outGone      = 'i'
	outRejected  = 'x'
	outUnfit     = 'u'
	outMalformed = 'm'
	outNull      = 'n'
	outFault     = '!'
)

// outcomes returns the letters of the matrix with what each says.
func outcomes() []struct {
	letter rune
	says   string
} {
	return []struct {
		letter rune
		says   string
	}{
		{outRefused, "refused when the plan is made: policy_mismatch"},
		{outBack, "protected, comes back byte for byte; the field keeps its type"},
		{outDerived, "protected, comes back byte for byte; the field has another type, in a derived schema"},
		{outToken, "a token in a field that keeps its type; comes back for those whom the gate lets pass"},
		{outGone, "protected for good; the field keeps its type"},
		{outRejected, "the record is refused: value_rejected"},
		{outUnfit, "the record is refused: value_unfit, because only the record tells the type"},
		{outMalformed, "the record is refused: record_malformed, because only the record tells the type"},
		{outNull, "a null stays null, and the record comes back byte for byte"},
	}
}

// A bench is what all pairs share: keys, and a person whose times do move.
type bench struct {
	world     *world // of which others have the keys
	domainKey string
	person    string
	groups    [][]action
	columns   []action // the same without groups
	parsed    map[[32]byte]schema.Schema
	policies  map[string]*fieldcrypt.Policy
}

// policy returns the policy for a path, see matrixPolicy.
func (b *bench) policy(t *testing.T, path string) *fieldcrypt.Policy {
	t.Helper()
	if p := b.policies[path]; p != nil {
		return p
	}
	text := matrixPolicy(b.columns, b.domainKey, path)
	p, err := fieldcrypt.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b.policies[path] = p
	return p
}

// parser makes a parser remember: all engines of a type have the same texts.
func (b *bench) parser(parse schema.Parser) schema.Parser {
	return func(text schema.Text) (schema.Schema, error) {
		d := text.Digest()
		if s, ok := b.parsed[d]; ok {
			return s, nil
		}
		s, err := parse(text)
		if err == nil {
			b.parsed[d] = s
		}
		return s, err
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{world: newWorld(t), groups: actions(), parsed: make(map[[32]byte]schema.Schema), policies: make(map[string]*fieldcrypt.Policy)}
	b.columns = slices.Concat(b.groups...)
	block, err := datakey.CreateDomainBlock(t.Context(), b.world.kms, "local:k", "")
	if err != nil {
		t.Fatal(err)
	}
	b.domainKey = strconv.Quote(base64.StdEncoding.EncodeToString(block))
	// One person in 20,001 has times that stay.
	e := b.world.engineOf(b.policy(t, "/x"), fieldcrypt.WithVault("people", tokenize.NewVault(vaulttest.NewMemory())))
	for i := range 100 {
		b.person = fmt.Sprintf("person-%d", i)
		doc := []byte(`{"x":1122334455,"person":"` + b.person + `"}`)
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "shift-seconds", Key: []byte(b.person), Value: doc})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Value, doc) {
			return b
		}
	}
	t.Fatal("nobody's times move")
	return nil
}

// A trial is one type under all actions.
type trial struct {
	*typeCase

	t       *testing.T
	bench   *bench
	world   *world
	protect *fieldcrypt.Engine
	reader  *fieldcrypt.Engine // may use the keys
	trusted *fieldcrypt.Engine // may have the values of tokens too
}

func newTrial(t *testing.T, b *bench, c *typeCase) *trial {
	t.Helper()
	w := newWorld(t)
	w.kms = b.world.kms
	audit, err := tokenize.NewJSONAudit(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := tokenize.NewGate(audit, func(context.Context, tokenize.Request) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.registry.put(1, c.text)
	policy := b.policy(t, c.path)
	store := vaulttest.NewMemory()
	engine := func(more ...fieldcrypt.Option) *fieldcrypt.Engine {
		return w.engineOf(policy, append(more,
			fieldcrypt.WithFormat(schema.JSONSchema, b.parser(func(t schema.Text) (schema.Schema, error) { return jsonschema.Parse(t) })),
			fieldcrypt.WithFormat(schema.Protobuf, b.parser(func(t schema.Text) (schema.Schema, error) { return protobuf.Parse(t) })),
			fieldcrypt.WithVault("people", tokenize.NewVault(store, tokenize.WithGate(gate))),
		)...)
	}
	return &trial{
		typeCase: c, t: t, bench: b, world: w, protect: engine(), reader: engine(),
		trusted: engine(fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"})),
	}
}

// run protects a record by an action and returns the outcome, of which it checks
// everything that the letter says.
func (r *trial) run(a *action) rune {
	r.t.Helper()
	rec := fieldcrypt.Record{Topic: a.name, Key: []byte(r.bench.person), Value: r.record(r.t, a.sample, r.bench.person)}
	original := bytes.Clone(rec.Value)
	body, _ := r.bodyOf(original)
	canaries := r.canaries(a, body)
	out, err := r.protect.Protect(r.t.Context(), rec)
	if !bytes.Equal(rec.Value, original) {
		r.t.Errorf("%s: the record of the caller is changed", a.name)
	}
	if err != nil {
		if out.Value != nil || out.Key != nil || out.Headers != nil {
			r.t.Errorf("%s: something is sent: %+v", a.name, out)
		}
		return r.failure(a, err)
	}
	text, derived := r.schemaOf(out.Value)
	left, _ := r.bodyOf(out.Value)
	before, after := r.tree(r.text, body), r.tree(text, left)
	for _, name := range []string{"before", "person", "after"} {
		if before[name] == nil || !reflect.DeepEqual(before[name], after[name]) {
			r.t.Errorf("%s: %s is %v now", a.name, name, after[name])
		}
	}
	if r.unit == "null" {
		if after["x"] != nil || !r.comesBack(a, r.reader, out, original) {
			r.t.Errorf("%s: a null has become %v", a.name, after["x"])
		}
		return outNull
	}
	for _, c := range canaries {
		if bytes.Contains(left, c) {
			r.t.Errorf("%s: %q is in clear: %q", a.name, c, left)
		}
	}
	r.checkLeaves(a, before["x"], after["x"])
	same := func(e *fieldcrypt.Engine) bool { return r.comesBack(a, e, out, original) }
	stays := func(e *fieldcrypt.Engine) bool { return r.comesBack(a, e, out, out.Value) }
	switch {
	case a.way == byKey && derived && same(r.reader):
		return outDerived
	case derived:
	case a.way == byKey && same(r.reader):
		return outBack
	case a.way == byRequest && stays(r.reader) && same(r.trusted):
		return outToken
	case a.way == never && stays(r.reader) && stays(r.trusted):
		return outGone
	}
	r.t.Errorf("%s: protected as %q, revealed as something else", a.name, left)
	return outFault
}

// failure checks an error.
func (r *trial) failure(a *action, err error) rune {
	r.t.Helper()
	f, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok {
		r.t.Errorf("%s: %v is no *fieldcrypt.Error", a.name, err)
		return outFault
	}
	for _, hidden := range append(r.scalarTexts(), a.sample.secret, a.sample.text, r.bench.person) {
		if strings.Contains(err.Error(), hidden) {
			r.t.Errorf("%s: the text holds a value: %v", a.name, err)
		}
	}
	letters := map[fieldcrypt.Code]rune{
		fieldcrypt.CodePolicy: outRefused, fieldcrypt.CodeRejected: outRejected,
		fieldcrypt.CodeValue: outUnfit, fieldcrypt.CodeMalformed: outMalformed,
	}
	letter, ok := letters[f.Code]
	wantOp := "protect"
	if letter == outRefused {
		wantOp = "compile"
	}
	switch {
	case !ok, f.Op != wantOp, f.Retryable(), (letter == outRejected) != (a.way == refused) && letter != outRefused:
		r.t.Errorf("%s: %v", a.name, err)
		return outFault
	case letter == outMalformed:
		// The value is not of a type that the place is read as; which rule asked
		// for that, the reader of the format does not know.
		return letter
	case !strings.HasPrefix(f.Path, r.under()) || f.Action != a.word || !strings.Contains(err.Error(), f.Action+" "+f.Path):
		r.t.Errorf("%s: path or action is not named: %v", a.name, err)
	}
	return letter
}

// under is the path that all paths of the tested field begin with.
func (c *typeCase) under() string { return cmp.Or(c.path, "/x") }

// comesBack tells whether a reader gets a record with the value.
func (r *trial) comesBack(a *action, e *fieldcrypt.Engine, out fieldcrypt.Record, value []byte) bool {
	r.t.Helper()
	checkKeys(r.t, e, out)
	back, err := e.Reveal(r.t.Context(), out)
	if err != nil {
		r.t.Errorf("%s: reveal: %v", a.name, err)
		return false
	}
	if !bytes.Equal(back.Value, value) {
		r.t.Errorf("%s: revealed %q\nwant     %q", a.name, back.Value, value)
		return false
	}
	return true
}

// schemaOf returns the schema that a protected record follows, and whether it is
// another one than before.
func (r *trial) schemaOf(value []byte) (text schema.Text, derived bool) {
	r.t.Helper()
	_, id := r.bodyOf(value)
	if id == 1 {
		return r.text, false
	}
	text, err := r.world.registry.Schema(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return text, true
}

// bodyOf returns a record without framing, and the id that the framing has.
func (r *trial) bodyOf(value []byte) (body []byte, id int) {
	r.t.Helper()
	if r.path != "" {
		return value, 1
	}
	id, n, err := wire.ParseFrame(value)
	if err != nil {
		r.t.Fatal(err)
	}
	return value[n:], id
}

func (r *trial) tree(text schema.Text, body []byte) map[string]any {
	r.t.Helper()
	m, ok := r.decode(r.t, text, body).(map[string]any)
	if !ok {
		r.t.Fatalf("no record: %q", body)
	}
	return m
}

// checkLeaves checks that each value in x is what the action makes, and no longer
// what it was.
func (r *trial) checkLeaves(a *action, before, after any) {
	r.t.Helper()
	was, is := r.leaves(before), r.leaves(after)
	if a.word == "drop" {
		if len(is) > 0 {
			r.t.Errorf("%s: %v is left", a.name, is)
		}
		return
	}
	if len(is) == 0 {
		r.t.Errorf("%s: nothing is left of %v", a.name, was)
	}
	for _, text := range is {
		if slices.Contains(was, text) || !a.is(r.typeCase, text) {
			r.t.Errorf("%s: %q has become %q", a.name, was, text)
		}
	}
}

// leaves returns the texts of all leaves that are not null.
func (c *typeCase) leaves(v any) []string {
	var out []string
	switch v := v.(type) {
	case nil:
	case []any:
		for _, inner := range v {
			out = append(out, c.leaves(inner)...)
		}
	case map[string]any:
		if strings.Contains(c.row, "timestamp") && v["seconds"] != nil {
			nanos, _ := v["nanos"].(int32)
			out = append(out, strings.TrimSuffix(fmt.Sprintf("%v.%09d", v["seconds"], nanos), ".000000000"))
			break
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, c.leaves(v[name])...)
		}
	default:
		out = append(out, c.show(v))
	}
	return out
}

// show returns a value as text, a time in seconds.
func (c *typeCase) show(v any) string {
	units := map[string]*big.Rat{
		"days": big.NewRat(24*60*60, 1), "millis": big.NewRat(1, 1e3), "micros": big.NewRat(1, 1e6), "nanos": big.NewRat(1, 1e9),
	}
	n := reflect.ValueOf(v)
	switch unit, ok := units[c.unit]; {
	case ok && n.CanInt():
		s := unit.Mul(unit, new(big.Rat).SetInt64(n.Int()))
		if s.IsInt() {
			return s.Num().String()
		}
		return s.FloatString(9)
	case n.CanFloat():
		return strconv.FormatFloat(n.Float(), 'f', -1, 64)
	}
	b, isBytes := v.([]byte)
	switch {
	case isBytes && c.unit == "decimal" && len(b) <= 8:
		return new(big.Rat).SetFrac(new(big.Int).SetBytes(b), big.NewInt(100)).RatString()
	case isBytes:
		return string(b)
	default:
		return fmt.Sprint(v)
	}
}

// scalarTexts returns how the scalars are written down.
func (c *typeCase) scalarTexts() []string {
	var out []string
	for _, v := range c.scalars {
		out = append(out, fmt.Sprint(v))
		if n := reflect.ValueOf(v); n.CanFloat() {
			out = append(out, strconv.FormatFloat(n.Float(), 'f', -1, 64))
		}
	}
	return out
}

// canaries returns what must not be in the protected record: each value in several
// encodings. At least one of them is in the original, unless the values are too
// few to be told.
func (r *trial) canaries(a *action, body []byte) [][]byte {
	r.t.Helper()
	out := [][]byte{[]byte(a.sample.secret)}
	for _, s := range append(r.scalarTexts(), a.sample.text) {
		b := []byte(s)
		out = append(out, b, []byte(base64.StdEncoding.EncodeToString(b)), fmt.Appendf(nil, "%x", b))
	}
	for _, v := range r.scalars {
		var four []byte // only where it stands, because chance has it too often
		switch v := v.(type) {
		case int64:
			out = append(out, binary.AppendVarint(nil, v), binary.AppendUvarint(nil, uint64(v)),
				binary.LittleEndian.AppendUint64(nil, uint64(v)), binary.BigEndian.AppendUint64(nil, uint64(v)))
			four = binary.LittleEndian.AppendUint32(nil, uint32(v))
		case float32:
			four = binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
		case float64:
			out = append(out, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
		case *big.Int:
			out = append(out, v.Bytes())
		}
		if len(four) > 0 && bytes.Contains(body, four) {
			out = append(out, four)
		}
	}
	out = slices.DeleteFunc(out, func(c []byte) bool { return len(c) < 3 })
	found := slices.ContainsFunc(out, func(c []byte) bool { return bytes.Contains(body, c) })
	if !found && !strings.Contains(r.row, "few") && !strings.Contains(r.row, "other") && r.unit != "null" {
		r.t.Errorf("%s: the record has no canary: %q", a.name, body)
	}
	return out
}

func daysOf(date string) (int, bool) {
	t, err := time.Parse(time.DateOnly, date)
	return int(t.Unix() / (24 * 60 * 60)), err == nil
}

// FV-60 to FV-63, FV-90 to FV-95. Every type under every action: what fits comes
// back or is gone, and everything else is refused before the first record. What
// fits is what testdata/types.txt says.
func TestEveryTypeIsProtectedOrRefusedWhenThePlanIsMade(t *testing.T) {
	b := newBench(t)
	cases := slices.Concat(avroTypes(t), jsonTypes(t), bareTypes(t), protoTypes(t))
	var want map[string]matrixLine
	if !*update {
		want = readMatrix(t)
	}
	got := make([]matrixLine, len(cases))
	counts, pairs := map[rune]int{}, 0
	for i := range cases {
		c := &cases[i]
		got[i] = matrixLine{name: c.lineName(), row: c.row}
		t.Run(got[i].name, func(t *testing.T) {
			r := newTrial(t, b, c)
			for _, group := range b.groups {
				var letters []rune
				for j := range group {
					pairs++
					letter := r.run(&group[j])
					letters = append(letters, letter)
					counts[letter]++
				}
				got[i].letters = append(got[i].letters, string(letters))
			}
			if *update {
				return
			}
			was := want[got[i].name]
			if was.row != c.row {
				t.Errorf("%s has row %q, not %q", matrixFile, was.row, c.row)
			}
			for j, a := range b.columns {
				is, should := rune(strings.Join(got[i].letters, "")[j]), '?'
				if all := strings.Join(was.letters, ""); j < len(all) {
					should = rune(all[j])
				}
				if is != should {
					t.Errorf("%s has the outcome %c, want %c", a.name, is, should)
				}
			}
		})
	}
	if !*update && len(want) != len(cases) {
		t.Errorf("%s has %d lines for %d types", matrixFile, len(want), len(cases))
	}
	var parts []string
	for _, o := range outcomes() {
		parts = append(parts, fmt.Sprintf("%c %d", o.letter, counts[o.letter]))
	}
	t.Logf("%d pairs of %d types and %d actions: %s", pairs, len(cases), len(b.columns), strings.Join(parts, ", "))
	if *update {
		writeMatrix(t, b.groups, got)
	}
}

func (c *typeCase) lineName() string {
	name := strings.Join(strings.Fields(c.name), " ")
	switch {
	case c.unit == "null":
		return name + " holding null"
	case c.unit == "fraction":
		return name + " with nanoseconds"
	case strings.HasPrefix(c.row, "any ") || strings.HasPrefix(c.row, "union of "):
		return name + " holding " + strings.TrimSuffix(c.row[strings.LastIndex(c.row, " ")+1:], "?")
	default:
		return name
	}
}
