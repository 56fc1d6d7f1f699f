package mask_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/mask"
)

func TestBucket(t *testing.T) {
	checkRule(t, must(t)(mask.Bucket("10", "0")), []textCase{
		{"inside", "37", "30"},
		{"at the lower bound", "30", "30"},
		{"just below the upper bound", "39.999999999999999999999999999999999999999999", "30"},
		{"zero", "0", "0"},
		{"negative zero", "-0", "0"},
		{"a negative number goes down", "-1", "-10"},
		{"a negative bound", "-10", "-10"},
		{"a little below zero", "-0.000000000000000000000000000000000000000001", "-10"},
		{"a little below a negative bound", "-10.0000000000000000001", "-20"},
		{"with an exponent", "3.71e1", "30"},
		{"with a negative exponent", "371E-1", "30"},
		{"with a signed exponent", "37e+0", "30"},
		{"zero with a huge exponent", "0e999999999999999999999999", "0"},
		{"a tiny number", "1e-999999999999999999999999", "0"},
		{"a tiny negative number", "-1e-999999999999999999999999", "-10"},
		{"18 digits", "999999999999999999", "999999999999999990"},
		{"19 digits", "9999999999999999999", "9999999999999999990"},
		{"20 digits", "99999999999999999999", "99999999999999999990"},
		{"72 digits", strings.Repeat("9", 72), strings.Repeat("9", 71) + "0"},
		{"72 digits below zero", "-" + strings.Repeat("9", 71) + "0", "-" + strings.Repeat("9", 71) + "0"},
		{"the bucket would have 73 digits", "-" + strings.Repeat("9", 72), refuses},
		{"73 digits", strings.Repeat("9", 73), refuses},
		{"a double beyond all", "1.7976931348623157e308", refuses},
		{"not a number", "NaN", refuses},
		{"infinite", "Infinity", refuses},
		{"negative infinite", "-Infinity", refuses},
		{"a plus sign", "+37", refuses},
		{"a zero in front", "037", refuses},
		{"two zeros", "00", refuses},
		{"no digit in front of the point", ".5", refuses},
		{"no digit behind the point", "37.", refuses},
		{"two points", "3.7.1", refuses},
		{"an exponent without digits", "37e", refuses},
		{"an exponent with a sign alone", "37e+", refuses},
		{"text behind the exponent", "37e1x", refuses},
		{"a sign alone", "-", refuses},
		{"two signs", "--37", refuses},
		{"a space in front", " 37", refuses},
		{"a space behind", "37 ", refuses},
		{"hexadecimal", "0x25", refuses},
		{"an underscore", "3_7", refuses},
		{"a comma", "3,7", refuses},
		{"digits of another script", "３７", refuses},
		{"in quotes", `"37"`, refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.Bucket("7", "3")), []textCase{
		{"the bucket of the origin", "3", "3"},
		{"below the origin", "2.99", "-4"},
		{"above", "17", "17"},
		{"negative", "-5", "-11"},
		{"of 40 digits", "1" + strings.Repeat("0", 39), strings.Repeat("9", 38) + "7"},
	})
	checkRule(t, must(t)(mask.Bucket("0.25", "-0.1")), []textCase{
		{"fractions", "0.5", "0.4"},
		{"at a bound", "0.15", "0.15"},
		{"zero", "0", "-0.1"},
	})
	checkRule(t, must(t)(mask.Bucket("20", "18", mask.WithTop("98"), mask.WithBottom("18"))), []textCase{
		{"inside", "37.9", "18"},
		{"at the top", "98", "98"},
		{"above the top", "1e99", "98"},
		{"below the bottom", "17.99", "18"},
		{"far below", "-1e99", "18"},
	})
}

func TestRanges(t *testing.T) {
	checkRule(t, must(t)(mask.Bucket("10", "0", mask.AsRange(), mask.WithTop("90"))), []textCase{
		{"inside", "37", "30-39"},
		{"with a fraction", "39.9", "30-39"},
		{"the first", "0", "0-9"},
		{"below the top", "89", "80-89"},
		{"the top", "90", "90+"},
		{"above", "120", "90+"},
		{"below zero", "-3", "-10 to -1"},
		{"no number", "thirty", refuses},
		{"a range", "30-39", refuses},
	})
	checkRule(t, must(t)(mask.Bucket("10", "-5", mask.AsRange(), mask.WithBottom("-15"))), []textCase{
		{"around zero", "2", "-5 to 4"},
		{"below the bottom", "-15.1", "<-15"},
	})
	checkRule(t, must(t)(mask.Bucket("0.5", "0", mask.AsRange())), []textCase{
		{"fractions", "1.26", "1-1.4"},
		{"no room for the upper bound", strings.Repeat("9", 71) + ".5", strings.Repeat("9", 71) + ".5-" + strings.Repeat("9", 71) + ".9"},
	})
	checkRule(t, must(t)(mask.Bucket("1", "0", mask.AsRange())), []textCase{{"buckets of one", "37.2", "37"}})
	checkRule(t, must(t)(mask.TopCode("90", mask.AsRange(), mask.WithBottom("18"))), []textCase{
		{"inside passes", "37.20", "37.20"},
		{"top", "90.0", "90+"},
		{"bottom", "17", "<18"},
		{"at the bottom", "18", "18"},
	})
	// The lower bound fits, and the upper one does not.
	checkRule(t, must(t)(mask.Bucket("7", "0", mask.AsRange())), []textCase{
		{"no room for the upper bound", strings.Repeat("9", 72), refuses},
	})
}

func TestRoundAndGrid(t *testing.T) {
	checkRule(t, must(t)(mask.Round(2)), []textCase{
		{"down", "3.14159", "3.14"},
		{"up", "2.71828", "2.72"},
		{"the middle goes up", "0.125", "0.13"},
		{"the negative middle goes down", "-0.125", "-0.13"},
		{"just below the middle", "0.12499999999999999999999999999999999999999", "0.12"},
		{"carries", "9.999", "10"},
		{"carries into another limb", "9999999999999999.999", "10000000000000000"},
		{"no negative zero", "-0.001", "0"},
		{"fewer places pass", "5.1", "5.1"},
		{"carries through all digits", strings.Repeat("9", 68) + ".999", "1" + strings.Repeat("0", 68)},
		{"no room to carry", strings.Repeat("9", 69) + ".999", refuses},
		{"70 digits", strings.Repeat("9", 70), refuses},
	})
	checkRule(t, must(t)(mask.Round(-3)), []textCase{
		{"down", "1499.99", "1000"},
		{"the middle goes up", "1500", "2000"},
		{"to zero", "499", "0"},
		{"negative", "-1500", "-2000"},
		{"no room to carry", strings.Repeat("9", 71), refuses},
	})
	checkRule(t, must(t)(mask.Round(30)), []textCase{
		{"30 places", "0.1234567890123456789012345678905", "0.123456789012345678901234567891"},
	})
	checkRule(t, must(t)(mask.Round(-16)), []textCase{
		{"16 zeros", "123456789012345678901", "123460000000000000000"},
	})
	checkRule(t, must(t)(mask.Grid("0.05", mask.WithTop("90"), mask.WithBottom("-90"))), []textCase{
		{"nearest", "50.087512", "50.1"},
		{"the middle", "50.025", "50.05"},
		{"the top", "91", "90"},
		{"the bottom", "-90.01", "-90"},
	})
	checkRule(t, must(t)(mask.Round(-2, mask.WithTop("85"), mask.WithBottom("-85"))), []textCase{
		{"does not round beyond the top", "84", "85"},
		{"nor beyond the bottom", "-84", "-85"},
		{"inside", "49", "0"},
	})
}

func TestTopAndBottomCode(t *testing.T) {
	checkRule(t, must(t)(mask.TopCode("90")), []textCase{
		{"below passes as it is", "89.99000", "89.99000"},
		{"below with an exponent passes as it is", "8.9E1", "8.9E1"},
		{"at the limit", "90", "90"},
		{"at the limit, written otherwise", "9.00e1", "90"},
		{"above by a trifle", "90.0000000000000000000000000000000000000000000000001", "90"},
		{"far above", "1e400", "90"},
		{"far below passes", "-1e400", "-1e400"},
		{"not a number", "NaN", refuses},
	})
	checkRule(t, must(t)(mask.BottomCode("-1.5")), []textCase{
		{"above passes as it is", "-1.4990", "-1.4990"},
		{"at the limit passes as it is", "-1.50", "-1.50"},
		{"below by a trifle", "-1.50000000000000000000000000000000000000000000001", "-1.5"},
		{"far below", "-1e400", "-1.5"},
		{"far above passes", "1e400", "1e400"},
	})
	checkRule(t, must(t)(mask.TopCode("0")), []textCase{
		{"zero", "0", "0"},
		{"a trifle below passes", "-1e-99", "-1e-99"},
		{"a trifle above", "1e-99", "0"},
	})
	checkRule(t, must(t)(mask.BottomCode("0")), []textCase{
		{"a trifle below", "-1e-99", "0"},
		{"a trifle above passes", "1e-99", "1e-99"},
	})
}

func TestNumberRulesAreRefused(t *testing.T) {
	tests := []struct {
		name string
		make func() (mask.Rule, error)
	}{
		{"a width of zero", func() (mask.Rule, error) { return mask.Bucket("0", "0") }},
		{"a negative width", func() (mask.Rule, error) { return mask.Bucket("-10", "0") }},
		{"an empty width", func() (mask.Rule, error) { return mask.Bucket("", "0") }},
		{"a width that is no number", func() (mask.Rule, error) { return mask.Bucket("ten", "0") }},
		{"an origin that is no number", func() (mask.Rule, error) { return mask.Bucket("10", "NaN") }},
		{"a width of 18 digits", func() (mask.Rule, error) { return mask.Bucket("123456789012345678", "0") }},
		{"together 18 digits", func() (mask.Rule, error) { return mask.Bucket("1000000000", "0.00000001") }},
		{"a huge exponent", func() (mask.Rule, error) { return mask.Bucket("1e999999999999", "0") }},
		{"too many places", func() (mask.Rule, error) { return mask.Bucket("1e-31", "0") }},
		{"a long parameter", func() (mask.Rule, error) { return mask.Bucket("1."+strings.Repeat("0", 80), "0") }},
		{"a top that is no bound of a bucket", func() (mask.Rule, error) { return mask.Bucket("10", "0", mask.WithTop("85")) }},
		{"a bottom that is no bound of a bucket", func() (mask.Rule, error) { return mask.Bucket("10", "1", mask.WithBottom("20")) }},
		{"a bottom at the top", func() (mask.Rule, error) { return mask.TopCode("90", mask.WithBottom("90")) }},
		{"a bottom above the top", func() (mask.Rule, error) { return mask.TopCode("90", mask.WithBottom("91")) }},
		{"a top that is no number", func() (mask.Rule, error) { return mask.TopCode("90+") }},
		{"a bottom that is no number", func() (mask.Rule, error) { return mask.BottomCode("low") }},
		{"no top", func() (mask.Rule, error) { return mask.TopCode("") }},
		{"no bottom", func() (mask.Rule, error) { return mask.BottomCode("") }},
		{"too many places to round to", func() (mask.Rule, error) { return mask.Round(31) }},
		{"too few places to round to", func() (mask.Rule, error) { return mask.Round(-17) }},
		{"a rounded range", func() (mask.Rule, error) { return mask.Round(2, mask.AsRange()) }},
		{"a grid as range", func() (mask.Rule, error) { return mask.Grid("0.1", mask.AsRange()) }},
		{"a step of zero", func() (mask.Rule, error) { return mask.Grid("0.00") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := tt.make()
			if err == nil {
				t.Fatal("accepted")
			}
			if _, err := rule.Append(nil, []byte("1")); !errors.Is(err, mask.ErrNoRule) {
				t.Errorf("the rule beside the error is not the zero one: %v", err)
			}
		})
	}
}

// jsonNumber is the grammar of RFC 8259.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$`)

func isJSONNumber(text string) bool { return jsonNumber.MatchString(text) }

// byBig does what the rules do, by math/big. kind is b, g or t.
func byBig(kind byte, text, p, q string) *big.Rat {
	rat := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			panic("no number")
		}
		return r
	}
	floor := func(r *big.Rat) *big.Rat {
		n := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean, with a positive divisor
		return new(big.Rat).SetInt(n)
	}
	v := rat(text)
	switch kind {
	case 'b':
		n := floor(new(big.Rat).Quo(new(big.Rat).Sub(v, rat(q)), rat(p)))
		return n.Mul(n, rat(p)).Add(n, rat(q))
	case 'g':
		n := new(big.Rat).Quo(new(big.Rat).Abs(v), rat(p))
		n = floor(n.Add(n, big.NewRat(1, 2)))
		n.Mul(n, rat(p))
		if v.Sign() < 0 {
			n.Neg(n)
		}
		return n
	default:
		if v.Cmp(rat(p)) >= 0 {
			return rat(p)
		}
		return v
	}
}

func checkNumber(t *testing.T, kind byte, text, p, q string) {
	t.Helper()
	var rule mask.Rule
	var err error
	switch kind {
	case 'b':
		rule, err = mask.Bucket(p, q)
	case 'g':
		rule, err = mask.Grid(p)
	default:
		rule, err = mask.TopCode(p)
	}
	if err != nil {
		return // parameters that do not fit have a test of their own
	}
	got, err := rule.Append(nil, []byte(text))
	if !isJSONNumber(text) {
		if err == nil {
			t.Fatalf("%q is no number and becomes %q", text, got)
		}
		return
	}
	if err != nil {
		if len(text) <= 40 && !strings.ContainsAny(text, "eE") && len(p)+len(q) < 20 {
			t.Fatalf("%c(%s, %s) of %s: %v", kind, p, q, text, err)
		}
		return
	}
	if !isJSONNumber(string(got)) || string(got) == "-0" && text != "-0" {
		t.Fatalf("%s becomes %q, which is no number", text, got)
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > 200 || n < -200 {
			return // math/big would take all memory
		}
	}
	have, ok := new(big.Rat).SetString(string(got))
	if want := byBig(kind, text, p, q); !ok || have.Cmp(want) != 0 {
		t.Fatalf("%c(%s, %s) of %s = %s, want %s", kind, p, q, text, got, want.FloatString(40))
	}
}

func TestNumbersAgainstBig(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	digits := func(most int) string {
		b := make([]byte, 1+random.IntN(most))
		for i := range b {
			b[i] = "0000123456789995"[random.IntN(16)]
		}
		return string(b)
	}
	number := func(whole, fraction int) string {
		s := strings.TrimLeft(digits(whole), "0")
		if s == "" {
			s = "0"
		}
		if random.IntN(2) == 0 {
			s += "." + digits(fraction)
		}
		if random.IntN(2) == 0 {
			s = "-" + s
		}
		return s
	}
	for range 50000 {
		text := number([]int{5, 18, 38}[random.IntN(3)], []int{3, 20}[random.IntN(2)])
		if random.IntN(5) == 0 {
			text += "e" + strconv.Itoa(random.IntN(60)-30)
		}
		checkNumber(t, "bgt"[random.IntN(3)], text, strings.TrimPrefix(number(6, 5), "-"), number(5, 5))
	}
}

func FuzzNumber(f *testing.F) {
	f.Add(uint8(0), "37", "10", "0")
	f.Add(uint8(1), "-0.125", "0.01", "0")
	f.Add(uint8(2), "97.5", "90", "0")
	f.Add(uint8(0), "-1234567890123456789012345678901234567890.5", "0.25", "-0.1")
	f.Add(uint8(1), "9.99999e18", "1", "0")
	f.Add(uint8(0), "1e-999", "7", "3")
	f.Fuzz(func(t *testing.T, kind uint8, text, p, q string) {
		if len(p) > 100 || len(q) > 100 {
			return
		}
		checkNumber(t, "bgt"[kind%3], text, p, q)
	})
}
