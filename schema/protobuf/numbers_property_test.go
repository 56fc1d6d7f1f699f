package protobuf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// halved is a change of numbers that the tests make once in the record, by its
// text, and once in the message that another library has decoded. It keeps a
// zero, which may or may not stand in a record, and treats the parts of a
// timestamp that stands there in parts as the whole.
func halved(s *Schema, edits []schema.Edit) visit {
	return func(edit int, dst, value []byte) ([]byte, error) {
		f := &s.Fields()[edits[edit].Field]
		if edits[edit].Op == schema.Replace {
			return hexing(edit, dst, value)
		}
		switch f.Type {
		case schema.TypeFloat, schema.TypeDouble:
			v, err := json.Number(value).Float64()
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return append(dst, value...), nil //nolint:nilerr // a word
			}
			return fmt.Appendf(dst, "%.30g", -v/4), nil
		case schema.TypeRecord:
			r, ok := new(big.Rat).SetString(string(value))
			if !ok {
				return dst, errors.New("a timestamp that is no number")
			}
			seconds := new(big.Int).Div(r.Num(), r.Denom()) // rounded down
			return seconds.Append(dst, 10), nil
		default:
			v, ok := new(big.Int).SetString(string(value), 10)
			if !ok {
				return dst, errors.New("an integer that is none")
			}
			v.Quo(v, big.NewInt(2))
			if f.Type != schema.TypeUint32 && f.Type != schema.TypeUint64 && f.Type != schema.TypeFixed32 && f.Type != schema.TypeFixed64 {
				v.Neg(v)
			}
			return v.Append(dst, 10), nil
		}
	}
}

// halve makes the change that halved makes in one decoded value.
func halve(f protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("%x", v.String()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(fmt.Appendf(nil, "%x", v.Bytes()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(-(v.Int() / 2)))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(-(v.Int() / 2))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(v.Uint() / 2))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(v.Uint() / 2)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(-v.Float() / 4))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(-v.Float() / 4)
	default:
		v.Message().Clear(v.Message().Descriptor().Fields().ByName("nanos"))
		return v
	}
}

// halveAll changes the named fields everywhere.
func halveAll(m protoreflect.Message, names map[protoreflect.FullName]bool, changed *int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && names[f.MapValue().FullName()]:
			v.Map().Range(func(k protoreflect.MapKey, item protoreflect.Value) bool {
				*changed++
				v.Map().Set(k, halve(f.MapValue(), item))
				return true
			})
		case !names[f.FullName()]:
			eachMessage(f, v, func(inner protoreflect.Message) { halveAll(inner, names, changed) })
		case f.IsList():
			for i := range v.List().Len() {
				*changed++
				v.List().Set(i, halve(f, v.List().Get(i)))
			}
		default:
			*changed++
			m.Set(f, halve(f, v))
		}
		return true
	})
}

// numberEdits are edits of all places of some fields, with the full names of
// those. Texts are replaced.
func (g *generator) numberEdits(s *Schema) (edits []schema.Edit, names map[protoreflect.FullName]bool) {
	chosen := make(map[protoreflect.FullName]bool)
	names = make(map[protoreflect.FullName]bool)
	for i := 0; i < len(s.Fields()); i++ {
		f, p := &s.Fields()[i], s.places[i]
		text := f.Type == schema.TypeString || f.Type == schema.TypeBytes
		if !f.Numeric && !text {
			continue
		}
		name := protoreflect.FullName(p.field.full)
		if strings.HasPrefix(string(name), timestampName+".") {
			continue // there are too many of them inside of those that are edited
		}
		if _, seen := chosen[name]; !seen {
			chosen[name] = g.IntN(2) == 0
		}
		if !chosen[name] {
			continue
		}
		names[name] = true
		op := schema.Number
		if text {
			op = schema.Replace
		}
		edits = append(edits, schema.Edit{Field: i, Op: op})
		if !f.Leaf() {
			i = f.End - 1
		}
	}
	return edits, names
}

// Whatever the schema, the record, the way it is encoded and the edits: another
// library reads the numbers that were meant, and all else as it was.
func TestRandomNumbersOfRandomSchemas(t *testing.T) {
	schemas := 150
	if testing.Short() {
		schemas = 40
	}
	changed, canonical := 0, 0
	for seed := range uint64(schemas) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 13))}
		s := parse(t, g.schema())
		for range 3 {
			edits, names := g.numberEdits(s)
			p := compileEdits(t, s, edits)
			back, err := s.Restore(edits, schema.RejectUnknown)
			if err != nil {
				t.Fatal(err)
			}
			for range 6 {
				d, err := read(s, nil)
				if err != nil {
					t.Fatal(err)
				}
				plain := marshal(t, g.message(d.Descriptor(), 0).Interface())
				// Written as encoders do, a record stays in every byte.
				if same := rewrite(t, p, plain, identity); !bytes.Equal(same, plain) {
					t.Fatalf("seed %d: % x became % x by\n%s", seed, plain, same, s.file.text.Schema)
				}
				canonical++
				src := g.scramble(d.Descriptor(), plain)
				if same := rewrite(t, back, rewrite(t, p, src, identity), identity); !equalRecords(t, s, src, same) {
					t.Fatalf("seed %d: % x became % x by\n%s", seed, src, same, s.file.text.Schema)
				}
				want, err := read(s, src)
				if err != nil {
					t.Fatal(err)
				}
				halveAll(want, names, &changed)
				out := rewrite(t, p, src, halved(s, edits))
				got, err := read(s, out)
				if err != nil {
					t.Fatalf("seed %d: the oracle does not read % x: %v", seed, out, err)
				}
				if !proto.Equal(got, want) {
					t.Fatalf("seed %d: % x became % x, which is\n%v, want\n%v, by\n%s", seed, src, out, got, want, s.file.text.Schema)
				}
			}
		}
	}
	if changed < 20*schemas {
		t.Errorf("%d numbers: too few to show anything", changed)
	}
	t.Logf("%d numbers in %d records", changed, canonical)
}

// equalRecords tells whether another library reads the same in two records.
func equalRecords(t *testing.T, s *Schema, a, b []byte) bool {
	t.Helper()
	x, err := read(s, a)
	if err != nil {
		t.Fatalf("the oracle does not read % x: %v", a, err)
	}
	y, err := read(s, b)
	if err != nil {
		t.Fatalf("the oracle does not read % x: %v", b, err)
	}
	return proto.Equal(x, y)
}

// bounds are the integers that a type holds.
func integerBounds(typ schema.Type) (low, high *big.Int) {
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	one := big.NewInt(1)
	switch typ {
	case schema.TypeInt32, schema.TypeSint32, schema.TypeSfixed32:
		return new(big.Int).Neg(power(31)), power(31).Sub(power(31), one)
	case schema.TypeUint32, schema.TypeFixed32:
		return new(big.Int), power(32).Sub(power(32), one)
	case schema.TypeUint64, schema.TypeFixed64:
		return new(big.Int), power(64).Sub(power(64), one)
	default:
		return new(big.Int).Neg(power(63)), power(63).Sub(power(63), one)
	}
}

// wantNumber is the oracle for answers: the value that another library has to
// read when text is written, or false when it is to be refused.
func wantNumber(typ schema.Type, text string) (want string, ok bool) {
	word := map[string]string{"NaN": "NaN", "Infinity": "+Inf", "-Infinity": "-Inf"}[text]
	if word != "" {
		return word, typ == schema.TypeFloat || typ == schema.TypeDouble
	}
	if text == "" || !strings.ContainsAny(text[:1], "-0123456789") || strings.ContainsAny(text, " \n\r\t") || !json.Valid([]byte(text)) {
		return "", false
	}
	r, _ := new(big.Rat).SetString(text)
	switch typ {
	case schema.TypeFloat:
		v, _ := r.Float32()
		return fmt.Sprint(v + 0), !math.IsInf(float64(v), 0)
	case schema.TypeDouble:
		v, _ := r.Float64()
		return fmt.Sprint(v + 0), !math.IsInf(v, 0)
	case schema.TypeRecord:
		r.Mul(r, big.NewRat(second, 1))
		low := new(big.Int).Mul(big.NewInt(-62135596800), big.NewInt(1e9))
		high := new(big.Int).Mul(big.NewInt(253402300800), big.NewInt(1e9))
		return r.Num().String(), r.IsInt() && r.Num().Cmp(low) >= 0 && r.Num().Cmp(high) < 0
	default:
		low, high := integerBounds(typ)
		return r.Num().String(), r.IsInt() && r.Num().Cmp(low) >= 0 && r.Num().Cmp(high) <= 0
	}
}

// gotNumber is a value of a decoded message as wantNumber spells it.
func gotNumber(v protoreflect.Value) string {
	switch v := v.Interface().(type) {
	case protoreflect.Message:
		f := v.Descriptor().Fields()
		nanos := v.Get(f.ByName("nanos")).Int()
		if nanos < 0 || nanos >= second {
			return "nanoseconds out of range"
		}
		total := new(big.Int).Mul(big.NewInt(v.Get(f.ByName("seconds")).Int()), big.NewInt(second))
		return total.Add(total, big.NewInt(nanos)).String()
	case float32:
		return fmt.Sprint(v + 0) // of which -0 is 0
	case float64:
		return fmt.Sprint(v + 0)
	default:
		return fmt.Sprint(v)
	}
}

// largeExponent tells whether the oracle would take too long.
func largeExponent(text string) bool {
	_, exponent, found := strings.Cut(strings.ToLower(text), "e")
	return found && len(strings.TrimLeft(exponent, "+-0")) > 3
}

// singular are the fields of numbersText that FuzzNumber answers for.
func singular() map[string]string {
	return map[string]string{
		"/i32": num(1, 1), "/i64": num(2, 1), "/u32": num(3, 1), "/u64": num(4, 1), "/s32": num(5, 1), "/s64": num(6, 1), "/f32": f32(7, 1),
		"/f64": f64(8, 1), "/sf32": f32(9, 1), "/sf64": f64(10, 1), "/f": f32(11, 1), "/d": f64(12, 1), "/t": str(13, stampOf(1, 1)),
	}
}

// checkAnswer has a program write text into one field, and compares with the
// oracle.
func checkAnswer(t *testing.T, s *Schema, path, text string) {
	t.Helper()
	give := visit(func(_ int, dst, _ []byte) ([]byte, error) { return append(dst, text...), nil })
	out, err := compile(t, s, "number "+path).Rewrite(nil, []byte(singular()[path]), give)
	if err != nil && !errors.Is(err, schema.ErrNumber) {
		t.Fatalf("%s: %q: error %v", path, text, err)
	}
	if largeExponent(text) {
		return
	}
	want, ok := wantNumber(s.Fields()[fieldAt(t, s, path)].Type, text)
	if ok != (err == nil) {
		t.Fatalf("%s: %q: error %v, the oracle says %v", path, text, err, ok)
	}
	if !ok {
		return
	}
	m, err := read(s, out)
	if err != nil {
		t.Fatalf("%s: %q: the oracle does not read % x: %v", path, text, out, err)
	}
	if got := gotNumber(m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(path[1:])))); got != want {
		t.Fatalf("%s: %q was written as %s, want %s", path, text, got, want)
	}
}

// Answers around all bounds of all types.
func TestAnswersMeanWhatAnotherLibraryReads(t *testing.T) {
	s := parse(t, numbersText)
	texts := []string{"NaN", "-Infinity", "Infinity", "3.4028235677973366e38", "3.4028235e38", "1.7976931348623159e308", "5e-324", "1e-46"}
	for _, base := range []string{"0", "2147483648", "4294967296", "9223372036854775808", "18446744073709551616", "62135596800", "253402300800"} {
		center, _ := new(big.Rat).SetString(base)
		for _, by := range []string{"0", "1", "-1", "0.5", "-0.5", "0.000000001", "-0.000000001", "-0.0000000001"} {
			delta, _ := new(big.Rat).SetString(by)
			v := new(big.Rat).Add(center, delta)
			for _, digits := range []int{0, 1, 9, 10, 12} {
				texts = append(texts, v.FloatString(digits), new(big.Rat).Neg(v).FloatString(digits), v.FloatString(digits)+"e0", v.FloatString(digits)+"e-3")
			}
		}
	}
	for path := range singular() {
		for _, text := range texts {
			checkAnswer(t, s, path, text)
		}
	}
}

// Timestamps around all bounds are shown as a library of great numbers has them.
func TestTimestampsAreShownAsTheSumOfTheirParts(t *testing.T) {
	s := parse(t, numbersText)
	p := compile(t, s, "number /t")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		seconds := minSeconds + r.Int64N(maxSeconds-minSeconds+1)
		if i%2 == 0 {
			seconds = r.Int64N(7) - 3
		}
		nanos := r.Int64N(second)
		if i%3 == 0 {
			nanos = []int64{0, 1, 999_999_999, 500_000_000}[i%4]
		}
		shown := ""
		src := []byte(str(13, stampOf(seconds, uint64(nanos))))
		out := rewrite(t, p, src, func(edit int, dst, value []byte) ([]byte, error) {
			shown = string(value)
			return identity(edit, dst, value)
		})
		want := new(big.Rat).Add(new(big.Rat).SetInt64(seconds), big.NewRat(nanos, second)).FloatString(9)
		if shown != want || !bytes.Equal(out, src) {
			t.Fatalf("%d seconds and %d nanoseconds were shown as %s, want %s, and written as % x", seconds, nanos, shown, want, out)
		}
	}
}

// FuzzNumber gives any answer for a number of each type, and any record to the
// edits of all numbers. Another reader finds what was meant.
func FuzzNumber(f *testing.F) {
	s := parse(f, numbersText)
	var paths []string
	for _, f := range s.Fields()[:13] {
		paths = append(paths, f.Path)
	}
	edits, record := everyNumber()
	plain := map[schema.Unknown]schema.Program{schema.RejectUnknown: compile(f, s, ""), schema.KeepUnknown: compile(f, s, "", schema.KeepUnknown)}
	numbers := map[schema.Unknown]schema.Program{schema.RejectUnknown: compile(f, s, edits), schema.KeepUnknown: compile(f, s, edits, schema.KeepUnknown)}
	f.Add(uint8(0), record, []byte("0"))
	for i, answer := range []string{"-5", "2147483648", "4294967295", "-0", "1e5", "18446744073709551615", "0.5", "1E-2", "500e-2", "NaN", "-Infinity", "-0.000000001", "253402300799.999999999"} {
		f.Add(uint8(i), []byte(str(13, num(3, 1))+num(99, 1)), []byte(answer))
	}
	f.Fuzz(func(t *testing.T, n uint8, src, answer []byte) {
		checkAnswer(t, s, paths[int(n)%len(paths)], string(answer))
		for unknown, p := range numbers {
			sameNumbers(t, s, plain[unknown], p, src)
		}
	})
}

// sameNumbers has a program write every number as it is. What plain accepts it
// accepts, but for timestamps out of range, and another reader finds the same.
func sameNumbers(t *testing.T, s *Schema, plain, numbers schema.Program, src []byte) {
	t.Helper()
	before, visits := bytes.Clone(src), 0
	_, plainErr := plain.Rewrite(nil, src, nil)
	out, err := numbers.Rewrite([]byte("dst"), src, visit(func(edit int, dst, value []byte) ([]byte, error) {
		visits++
		if word := string(value); word != "NaN" && word != "Infinity" && word != "-Infinity" && (!json.Valid(value) || bytes.ContainsAny(value, " \"[{tfn")) {
			t.Fatalf("a number was shown as %q", value)
		}
		return identity(edit, dst, value)
	}))
	if visits > len(src) || !bytes.Equal(src, before) {
		t.Fatalf("%d visits for %d bytes, which are now % x", visits, len(before), src)
	}
	if err != nil {
		bad, ok := errors.AsType[*schema.MalformedError](err)
		if !ok || string(out) != "dst" || plainErr == nil && bad.Reason != reasonTimestamp {
			t.Fatalf("numbers of % x: %v, where without edits it is %v", src, err, plainErr)
		}
		return
	}
	if plainErr != nil {
		t.Fatalf("% x is taken where without edits it is %v", src, plainErr)
	}
	out = out[3:]
	again, err := numbers.Rewrite(nil, out, visit(identity))
	if err != nil || !bytes.Equal(again, out) {
		t.Fatalf("% x became % x and then % x with error %v", src, out, again, err)
	}
	if _, err := plain.Rewrite(nil, out, nil); err != nil {
		t.Fatalf("% x became % x, which is %v", src, out, err)
	}
	x, err := read(s, src)
	if err != nil {
		return // it checks the UTF-8 of strings
	}
	y, err := read(s, out)
	if err != nil || !proto.Equal(x, y) {
		t.Fatalf("% x became % x, which another library reads otherwise: %v", src, out, err)
	}
}

// The lengths of varints are counted, not guessed: all of them come back.
func TestNumbersOfEveryLength(t *testing.T) {
	s := parse(t, numbersText)
	p := compile(t, s, "number /u64 number /rs/[] number /s64")
	var run string
	for bit := range 64 {
		for _, v := range []uint64{1 << bit, 1<<bit - 1, -(1 << bit)} {
			run += varint(v)
			src := []byte(num(4, v) + num(6, v) + str(14, run))
			if got := rewrite(t, p, src, identity); !bytes.Equal(got, src) {
				t.Fatalf("% x became % x", src, got)
			}
		}
	}
	if protowire.SizeVarint(math.MaxUint64) != maxVarint {
		t.Error("the longest varint has another length")
	}
}
