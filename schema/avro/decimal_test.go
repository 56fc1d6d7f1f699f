package avro

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/schema"
)

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func TestBytesAreEnoughForEveryPrecision(t *testing.T) {
	for p := 1; p <= maxPrecision; p++ {
		greatest := new(big.Int).Sub(pow10(p), big.NewInt(1))
		if got, want := decimalBytes(p), greatest.BitLen()/8+1; got != want {
			t.Errorf("%d digits take %d bytes, want %d", p, got, want)
		}
	}
	if n := decimalBytes(maxPrecision); n > maxWords*8 {
		t.Errorf("%d words are not enough for %d bytes", maxWords, n)
	}
	// All that fits the bytes, before it is refused.
	if digits := len(new(big.Int).Lsh(big.NewInt(1), uint(8*decimalBytes(maxPrecision)-1)).String()); digits > maxParts*partDigits {
		t.Errorf("%d parts are not enough for %d digits", maxParts, digits)
	}
}

// Every decimal of every precision, as big numbers have it and as another reader
// reads it.
func TestRandomDecimals(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	for i := range max(*cases/4, 1) {
		g := &generator{rng: rand.New(rand.NewPCG(*seed, uint64(i)+1<<41))}
		m := &mtype{kind: "bytes", precision: 1 + g.rng.IntN([]int{19, 40, maxPrecision}[g.rng.IntN(3)])}
		m.scale = g.rng.IntN(m.precision + 1)
		if g.rng.IntN(2) == 0 {
			m.kind, m.name, m.size = "fixed", "F", decimalBytes(m.precision)+g.rng.IntN(3)
		}
		text := m.text(g.rng, "", make(map[string]bool))
		p, oracle := numberProgram(t, text), avro.MustParse(text)
		n, next := g.integer(m.precision), g.integer(m.precision)
		shownAs := func(n *big.Int) string { return new(big.Rat).SetFrac(n, pow10(m.scale)).FloatString(m.scale) }
		src, want := m.encode(nil, m.unscaled(n), nil), m.encode(nil, m.unscaled(next), nil)
		var shown string
		out, err := p.Rewrite(nil, src, answering(shownAs(next), &shown))
		if err != nil || !bytes.Equal(out, want) || shown != shownAs(n) {
			t.Fatalf("-seed %d, case %d: %s: %v was shown as %s; %v became % x with error %v, want % x", *seed, i, text, n, shown, next, out, err, want)
		}
		var read big.Rat
		if rest, err := oracle.Decode(out, &read); err != nil || len(rest) > 0 || read.FloatString(m.scale) != shownAs(next) {
			t.Fatalf("-seed %d, case %d: %s: the oracle reads % x as %s with error %v, want %s", *seed, i, text, out, read.FloatString(m.scale), err, shownAs(next))
		}
		// One digit too many.
		if _, err := p.Rewrite(nil, src, answering(shownAs(pow10(m.precision)), &shown)); !errors.Is(err, schema.ErrNumber) {
			t.Fatalf("-seed %d, case %d: %s: ten to the precision gives error %v", *seed, i, text, err)
		}
	}
}

// A judge says what becomes of a number, by big numbers and a grammar.
type judge struct {
	typ              string // int, long, float, double or decimal
	precision, scale int
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`)

// rational returns the number that a text is. Those that would be very long in
// full are left alone.
func rational(text string) (r *big.Rat, ok, known bool) {
	if !jsonNumber.MatchString(text) {
		return nil, false, true
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e < -3000 || e > 3000 {
			return nil, false, false
		}
	}
	r, ok = new(big.Rat).SetString(text)
	return r, ok, true
}

// takes tells whether an answer is one for the type.
func (j judge) takes(text string) (takes, known bool) {
	if j.typ == "float" || j.typ == "double" {
		if text == "NaN" || text == "Infinity" || text == "-Infinity" {
			return true, true
		}
	}
	r, ok, known := rational(text)
	if !ok || !known {
		return false, known
	}
	switch j.typ {
	case "float":
		f, _ := r.Float32()
		return !math.IsInf(float64(f), 0), true
	case "double":
		f, _ := r.Float64()
		return !math.IsInf(f, 0), true
	}
	r = new(big.Rat).Mul(r, new(big.Rat).SetInt(pow10(j.scale)))
	if !r.IsInt() {
		return false, true
	}
	switch n := r.Num(); j.typ {
	case "int":
		return n.IsInt64() && n.Int64() >= math.MinInt32 && n.Int64() <= math.MaxInt32, true
	case "long":
		return n.IsInt64(), true
	default:
		return n.CmpAbs(pow10(j.precision)) < 0, true
	}
}

// shown is the text that a number must have after its answer was taken.
func (j judge) shown(text string) string {
	if text == "NaN" || text == "Infinity" || text == "-Infinity" {
		return text
	}
	r, _, _ := rational(text)
	switch j.typ {
	case "float":
		f, _ := r.Float32()
		return shortest(float64(f), text, 32)
	case "double":
		f, _ := r.Float64()
		return shortest(f, text, 64)
	}
	return r.FloatString(j.scale)
}

// shortest tries one digit more and one more, where the package asks strconv.
func shortest(f float64, text string, bits int) string {
	if f == 0 {
		if text[0] == '-' {
			return "-0"
		}
		return "0"
	}
	same := func(s string) bool {
		g, err := strconv.ParseFloat(s, bits)
		return err == nil && g == f
	}
	digits := 0
	for !same(strconv.FormatFloat(f, 'e', digits, bits)) {
		digits++
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', digits, bits), "e")
	e, err := strconv.Atoi(exponent)
	if err != nil {
		return err.Error()
	}
	if e < -6 || e >= 21 {
		return fmt.Sprintf("%se%+d", mantissa, e)
	}
	r, _ := new(big.Rat).SetString(mantissa + "e" + exponent)
	return r.FloatString(max(0, digits-e))
}

// FuzzNumber shows a value of any bytes, and answers with any text. What is
// shown is what a judge says, and the answer is taken when the judge takes it.
func FuzzNumber(f *testing.F) {
	for i, answer := range []string{"5", "-0", "12.34", "5e0", "1e400", "NaN", "-Infinity", "0.1", "9223372036854775808", "-2147483649", "1e-7", "3.4028236e38", "01", "1.", "16777217", "99999999999999999999999999999999999999"} {
		for kind := range uint8(6) {
			f.Add(kind, uint16(1+i*3), uint16(i), []byte("\x02\x01\x02\x03\x04\x05\x06\x07\x08"), []byte(answer))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, precision, scale uint16, src, answer []byte) {
		n := node{kind: []string{"int", "long", "float", "double", "bytes", "fixed"}[kind%6]}
		j := judge{typ: n.kind}
		if n.kind == "bytes" || n.kind == "fixed" {
			n.logical, n.precision, n.scale, n.size = "decimal", int(precision), int(scale), len(src)
			j = judge{"decimal", n.precision, n.scale}
		}
		number, ok := numberOf(&n)
		if !ok {
			if j.typ != "decimal" || n.precision > 0 && n.precision <= maxPrecision && n.scale <= n.precision && n.kind == "bytes" {
				t.Fatalf("%+v is no number", n)
			}
			return
		}
		s := new(scratch)
		text, next, err := number.read(s, src, 0)
		if err != nil {
			if _, ok := errors.AsType[*schema.MalformedError](err); !ok {
				t.Fatalf("read: %v", err)
			}
		} else {
			// What is shown is a number, and written it is shown again.
			first := string(text)
			if takes, known := j.takes(first); !known || !takes || j.shown(first) != first {
				t.Fatalf("% x is shown as %q", src, first)
			}
			out, err := number.write(s, []byte("dst"+first), 3)
			if err != nil || string(out[:3]) != "dst" {
				t.Fatalf("%q is not written: %q, %v", first, out, err)
			}
			if m := (&mtype{}); j.typ == "decimal" && m.integer(content(n.kind, out[3:])).Cmp(m.integer(content(n.kind, src[:next]))) != 0 {
				t.Fatalf("% x became % x", src[:next], out[3:])
			} else if j.typ != "decimal" && first != "NaN" && !bytes.Equal(out[3:], src[:next]) {
				t.Fatalf("% x became % x", src[:next], out[3:])
			}
		}
		takes, known := j.takes(string(answer))
		out, err := number.write(s, bytes.Clone(answer), 0)
		if known && (err == nil) != takes || err != nil && !errors.Is(err, schema.ErrNumber) {
			t.Fatalf("%+v answered with %q: error %v", j, answer, err)
		}
		if err != nil {
			return
		}
		again, next, err := number.read(s, out, 0)
		if err != nil || next != len(out) || known && string(again) != j.shown(string(answer)) {
			t.Fatalf("%+v answered with %q is % x, which is shown as %q, %v; want %q", j, answer, out, again, err, j.shown(string(answer)))
		}
	})
}

// content is what stands behind the length.
func content(kind string, b []byte) []byte {
	if kind == "bytes" {
		_, start, _ := readLength(b, 0)
		return b[start:]
	}
	return b
}
