package avro

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the random cases; 0 draws one")
	cases = flag.Int("cases", 3000, "number of random cases")
)

// A randomCase is a schema with a value and with edits.
type randomCase struct {
	g      *generator
	typ    *mtype
	text   string
	schema *Schema
	oracle *avro.Schema
	place  *mplace
	value  any
	edits  []schema.Edit
	ops    map[int]schema.Op
}

// newCase returns case i of a seed, or nil when it is too large.
func newCase(t *testing.T, seed, i uint64) *randomCase {
	t.Helper()
	c := &randomCase{g: &generator{rng: rand.New(rand.NewPCG(seed, i))}}
	c.typ = c.g.root()
	c.text = c.typ.text(c.g.rng, "", make(map[string]bool))
	var err error
	if c.oracle, err = avro.Parse(c.text); err != nil {
		t.Fatalf("the generator made a schema that is none: %v\n%s", err, c.text)
	}
	c.schema = parse(t, c.text)
	var fields []schema.Field
	c.place, fields = places(c.typ)
	found := leaves(c.schema)
	for i := range found {
		found[i].Wrapped, found[i].Encoding = "", "" // tests of their own
	}
	if !reflect.DeepEqual(found, fields) {
		t.Fatalf("fields are\n%v, want\n%v, of\n%s", found, fields, c.text)
	}
	c.value = c.g.value(c.typ, 7)
	c.ops = make(map[int]schema.Op)
	for _, f := range c.g.rng.Perm(len(fields)) {
		content := (fields[f].Type == schema.TypeString || fields[f].Type == schema.TypeBytes) && fields[f].Logical == ""
		switch n := c.g.rng.IntN(4); {
		case n == 0 && fields[f].Nullable:
			c.ops[f] = schema.Nullify
		case n <= 2 && content:
			c.ops[f] = schema.Replace
		case n <= 2 && fields[f].Numeric:
			c.ops[f] = schema.Number
		default:
			continue
		}
		c.edits = append(c.edits, schema.Edit{Field: f, Op: c.ops[f]})
	}
	return c
}

// changed is what the tests make of a value: its reverse, and 0 to 9000 bytes
// more, so that lengths take one to three bytes.
func changed(leaf int, value []byte) []byte {
	out := bytes.Clone(value)
	slices.Reverse(out)
	h := fnv.New64a()
	_, _ = h.Write(append([]byte{byte(leaf)}, value...))
	sum := h.Sum64()
	more := []uint64{0, sum % 10, sum % 70, sum % 300, sum % 9001}[sum>>32%5]
	return append(out, bytes.Repeat([]byte{'+'}, int(more))...)
}

// halve is what the tests make of a number, from its text.
func (c *randomCase) halve(edit int, dst, value []byte) ([]byte, error) {
	f := leaves(c.schema)[c.edits[edit].Field]
	if bits := map[schema.Type]int{schema.TypeFloat: 32, schema.TypeDouble: 64}[f.Type]; bits > 0 {
		v, err := strconv.ParseFloat(string(value), bits)
		return strconv.AppendFloat(dst, v/2, 'g', -1, bits), err
	}
	whole, fraction, _ := strings.Cut(string(value), ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return dst, fmt.Errorf("%q is no decimal", value)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil)
	half := new(big.Rat).SetFrac(n.Quo(n, big.NewInt(2)), unit)
	return append(dst, half.FloatString(len(fraction))...), nil
}

func (c *randomCase) decode(t *testing.T, record []byte) (v any) {
	t.Helper()
	rest, err := c.oracle.Decode(record, &v)
	if err != nil || len(rest) > 0 {
		t.Fatalf("the oracle reads % x with rest % x and error %v", record, rest, err)
	}
	return v
}

func TestRandomRecords(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	var visits, nulls, widths [4]int
	numbers, strays := make(map[schema.Type]int), 0
	for i := range *cases {
		c := newCase(t, *seed, uint64(i))
		fail := func(what string, got, want any) {
			t.Helper()
			t.Fatalf("-seed %d, case %d: %s\n%v, want\n%v\n%s\nedits %v", *seed, i, what, got, want, c.text, c.edits)
		}
		plain, same := compile(t, c.schema), compile(t, c.schema, numberAll(c.schema)...)
		edited := compile(t, c.schema, c.edits...)
		want := c.place.transform(c.value, c.ops, changed)
		wantTree := c.decode(t, c.typ.encode(nil, want, nil))
		for form, src := range [][]byte{c.typ.encode(nil, c.value, nil), c.typ.encode(nil, c.value, c.g.rng)} {
			if out := rewrite(t, plain, src, nil); !bytes.Equal(out, src) {
				fail("no edits change", out, src)
			}
			if out := rewrite(t, same, src, identity); !bytes.Equal(out, src) {
				fail("identity changes", out, src)
			}
			out := rewrite(t, edited, src, func(edit int, dst, value []byte) ([]byte, error) {
				visits[form]++
				if c.edits[edit].Op == schema.Number {
					numbers[leaves(c.schema)[c.edits[edit].Field].Type]++
					return c.halve(edit, dst, value)
				}
				new := changed(c.edits[edit].Field, value)
				switch {
				case len(new) < 64:
					widths[1]++
				case len(new) < 8192:
					widths[2]++
				default:
					widths[3]++
				}
				return append(dst, new...), nil
			})
			got, rest, err := c.typ.decode(out)
			if err != nil || len(rest) > 0 {
				fail("a strict reader fails", err, rest)
			}
			if !reflect.DeepEqual(got, want) {
				fail("the value becomes", got, want)
			}
			if tree := c.decode(t, out); !reflect.DeepEqual(tree, wantTree) {
				fail("the oracle reads", tree, wantTree)
			}
			if !bytes.Equal(out, src) {
				nulls[form]++
			}
		}
		if c.g.decimals && c.g.choices {
			strays++
			continue
		}
		// What the oracle writes itself, in its own order of keys. It may choose
		// another branch for a value that fits several.
		src, err := c.oracle.Encode(c.decode(t, c.typ.encode(nil, c.value, nil)))
		if err != nil {
			fail("the oracle does not write what it read", err, nil)
		}
		if out := rewrite(t, same, src, identity); !bytes.Equal(out, src) {
			fail("identity changes what the oracle wrote", out, src)
		}
		value, _, err := c.typ.decode(src)
		if err != nil {
			fail("a strict reader fails on what the oracle wrote", err, nil)
		}
		out := rewrite(t, edited, src, func(edit int, dst, value []byte) ([]byte, error) {
			if c.edits[edit].Op == schema.Number {
				return c.halve(edit, dst, value)
			}
			return append(dst, changed(c.edits[edit].Field, value)...), nil
		})
		if got, want := c.decode(t, out), c.decode(t, c.typ.encode(nil, c.place.transform(value, c.ops, changed), nil)); !reflect.DeepEqual(got, want) {
			fail("what the oracle wrote becomes", got, want)
		}
	}
	t.Logf("%d visits, %d records changed, new lengths by bytes %v, %d not written by the oracle", visits[0]+visits[1], nulls[0]+nulls[1], widths[1:], strays)
	if *cases >= 1000 && (slices.Min(widths[1:]) == 0 || nulls[1] < *cases/4) {
		t.Errorf("the cases do not cover what they should: widths %v, changed %v", widths, nulls)
	}
	if *cases >= 1000 && (len(numbers) != 6 || strays > *cases/3) {
		t.Errorf("numbers of all six types should be edited, there were %v; %d cases were not written by the oracle", numbers, strays)
	}
}
