package tokenize_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
)

// must returns a format that is sound.
func must(f tokenize.Format, err error) tokenize.Format {
	if err != nil {
		panic(err)
	}
	return f
}

// passesLuhn is the check of ISO/IEC 7812-1 as a person does it with pen and
// paper: from the right, every second digit is doubled and its digits are added.
func passesLuhn(text string) bool {
	sum, double := 0, false
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		digits := fmt.Sprint(int(text[i] - '0'))
		if double {
			digits = fmt.Sprint(2 * int(text[i]-'0'))
		}
		for _, d := range digits {
			sum += int(d - '0')
		}
		double = !double
	}
	return sum%10 == 0
}

var (
	panForm  = regexp.MustCompile(`^\d([ -]?\d){11,18}$`)
	ssnForm  = regexp.MustCompile(`^([0-9]{3})-([0-9]{2})-([0-9]{4})$|^([0-9]{3})([0-9]{2})([0-9]{4})$`)
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	tokForm  = regexp.MustCompile(`^tok_[a-z2-7]{26}$`)
	numForm  = regexp.MustCompile(`^[1-9]\d*$`)
)

func digitsOf(text string) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(text)
}

// formats are one of each kind and of each option, with values that fit.
func formats() map[string]struct {
	f      tokenize.Format
	values []string
} {
	type entry = struct {
		f      tokenize.Format
		values []string
	}
	pans := []string{
		"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "3782 822463 10005",
		"6304000000000000000"[:12] + "0000000", "5555555555554444", "000000000000", "6011000990139424", "30569309025904",
	}
	var sound []string
	for _, p := range pans {
		if passesLuhn(p) {
			sound = append(sound, p)
		}
	}
	return map[string]entry{
		"prefixed":            {must(tokenize.PrefixedFormat("tok_")), []string{"", "x", "jane@example.org", "\xff\x00"}},
		"uuid":                {tokenize.UUIDFormat(), []string{"", "jane@example.org", "f47ac10b-58cc-4372-a567-0e02b2c3d479"}},
		"pan":                 {must(tokenize.PANFormat(tokenize.PANOptions{})), sound},
		"pan last=4":          {must(tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4})), sound},
		"pan first=6 last=4":  {must(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: 6, KeepLast: 4})), []string{"4111111111111111", "4111 1111 1111 1111"}},
		"pan last=4 valid":    {must(tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4, ValidLuhn: true})), sound},
		"ssn":                 {must(tokenize.SSNFormat(0)), []string{"078-05-1120", "078051120", "900-70-0001", "899-99-9999"}},
		"ssn last=4":          {must(tokenize.SSNFormat(4)), []string{"078-05-1120", "078051120"}},
		"digits 6":            {must(tokenize.DigitsFormat(6)), []string{"", "x", "123456"}},
		"digits 255":          {must(tokenize.DigitsFormat(255)), []string{"x"}},
		"same digits":         {must(tokenize.SameDigitsFormat(0)), []string{"1234", "0000", strings.Repeat("7", 255)}},
		"same digits, last=4": {must(tokenize.SameDigitsFormat(4)), []string{"12345678", strings.Repeat("0", 255)}},
	}
}

// wrong tells what is wrong with a token, by other means than the format's.
func wrong(name, token, value string) string {
	kept := func(n int) bool {
		d, v := digitsOf(token), digitsOf(value)
		return d[len(d)-n:] == v[len(v)-n:]
	}
	blank := func(s string) string { return regexp.MustCompile(`\d`).ReplaceAllString(s, "0") }
	kind, options, _ := strings.Cut(name, " ")
	last := 0
	if strings.Contains(options, "last=4") {
		last = 4
	}
	switch {
	case token == value:
		return "is the value"
	case kind == "prefixed" && !tokForm.MatchString(token):
		return "form"
	case kind == "uuid" && !uuidForm.MatchString(token):
		return "form"
	case kind == "digits" && (!numForm.MatchString(token) || fmt.Sprintf("digits %d", len(token)) != name):
		return "form"
	case kind == "same" && (!numForm.MatchString(token) || len(token) != len(value) || !kept(last)):
		return "form"
	case kind == "pan" || kind == "ssn":
		switch {
		case blank(token) != blank(value):
			return "separators"
		case !kept(last):
			return "last digits"
		}
	}
	first := strings.Contains(options, "first=6")
	switch {
	case kind == "pan" && passesLuhn(token) != strings.Contains(options, "valid"):
		return "Luhn check"
	case kind == "pan" && !first && !strings.HasPrefix(digitsOf(token), "99"):
		return "begins like a card number"
	case first && digitsOf(token)[:6] != digitsOf(value)[:6]:
		return "first digits"
	case kind == "ssn" && (token[0] != '9' || digitsOf(token)[3] > '4'):
		return "may have been issued"
	}
	return ""
}

func TestTokensHaveTheShapeOfTheirFormat(t *testing.T) {
	for name, e := range formats() {
		t.Run(name, func(t *testing.T) {
			for _, value := range e.values {
				seen := map[string]bool{}
				for range 300 {
					out, err := e.f.Append([]byte("before"), []byte(value))
					if err != nil {
						t.Fatalf("%q: %v", value, err)
					}
					token, ok := strings.CutPrefix(string(out), "before")
					if !ok {
						t.Fatal("what was in dst is lost")
					}
					if w := wrong(name, token, value); w != "" {
						t.Fatalf("token %q of %q: %s", token, value, w)
					}
					if !e.f.Valid([]byte(token)) || !e.f.ValidFor([]byte(token), []byte(value)) {
						t.Fatalf("token %q of %q is not valid", token, value)
					}
					if kind, _, _ := strings.Cut(name, " "); (kind == "pan" || kind == "ssn") && e.f.Check([]byte(token)) == nil {
						t.Fatalf("token %q is taken for a value", token)
					}
					seen[token] = true
				}
				if len(seen) < 100 {
					t.Errorf("300 tokens of %q are %d different ones", value, len(seen))
				}
			}
		})
	}
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	pan := must(tokenize.PANFormat(tokenize.PANOptions{KeepLast: 4}))
	panBoth := must(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: 6, KeepLast: 4}))
	ssn := must(tokenize.SSNFormat(0))
	same := must(tokenize.SameDigitsFormat(4))
	tests := []struct {
		name  string
		f     tokenize.Format
		value string
		want  error
	}{
		{name: "a zero format", value: "4111111111111111", want: tokenize.ErrFormat},
		{name: "an empty card number", f: pan, want: tokenize.ErrValue},
		{name: "a card number that fails the Luhn check", f: pan, value: "4111111111111112", want: tokenize.ErrValue},
		{name: "a card number of 11 digits", f: pan, value: "42222222226", want: tokenize.ErrValue},
		{name: "a card number of 12 digits is the shortest", f: pan, value: "000000000000"},
		{name: "a card number of 19 digits is the longest", f: pan, value: "0000000000000000000"},
		{name: "a card number of 20 digits", f: pan, value: "00000000000000000000", want: tokenize.ErrValue},
		{name: "a card number with a letter", f: pan, value: "411111111111111l", want: tokenize.ErrValue},
		{name: "a card number with two spaces in a row", f: pan, value: "4111  111111111111", want: tokenize.ErrValue},
		{name: "a card number with a space and a hyphen in a row", f: pan, value: "4111 -111111111111", want: tokenize.ErrValue},
		{name: "a card number that begins with a space", f: pan, value: " 4111111111111111", want: tokenize.ErrValue},
		{name: "a card number that ends in a hyphen", f: pan, value: "4111111111111111-", want: tokenize.ErrValue},
		{name: "a card number that ends in a line end", f: pan, value: "4111111111111111\n", want: tokenize.ErrValue},
		{name: "a card number in digits that are not ASCII", f: pan, value: "４１１１１１１１１１１１１１１１", want: tokenize.ErrValue},
		{name: "a number that begins as tokens do", f: pan, value: "9900000000000000003"[:16], want: tokenize.ErrValue},
		{name: "ten digits to show of twelve", f: panBoth, value: "000000000000", want: tokenize.ErrValue},
		{name: "ten digits to show of fourteen", f: panBoth, value: "00000000000000"},
		{name: "an SSN of eight digits", f: ssn, value: "07805112", want: tokenize.ErrValue},
		{name: "an SSN of ten digits", f: ssn, value: "0780511200", want: tokenize.ErrValue},
		{name: "an SSN with spaces", f: ssn, value: "078 05 1120", want: tokenize.ErrValue},
		{name: "an SSN with one hyphen", f: ssn, value: "078-051120", want: tokenize.ErrValue},
		{name: "an SSN with hyphens elsewhere", f: ssn, value: "07-805-1120", want: tokenize.ErrValue},
		{name: "an SSN of area 000", f: ssn, value: "000-05-1120", want: tokenize.ErrValue},
		{name: "an SSN of area 666", f: ssn, value: "666-05-1120", want: tokenize.ErrValue},
		{name: "an SSN of area 667", f: ssn, value: "667-05-1120"},
		{name: "an SSN of group 00", f: ssn, value: "078-00-1120", want: tokenize.ErrValue},
		{name: "an SSN of serial number 0000", f: ssn, value: "078-05-0000", want: tokenize.ErrValue},
		{name: "another taxpayer number", f: ssn, value: "912-50-1234"},
		{name: "a number that looks like a token", f: ssn, value: "912-49-1234", want: tokenize.ErrValue},
		{name: "digits with a sign", f: same, value: "-12345678", want: tokenize.ErrValue},
		{name: "digits with a space", f: same, value: "1234 5678", want: tokenize.ErrValue},
		{name: "digits with a point", f: same, value: "1234.5678", want: tokenize.ErrValue},
		{name: "no digits", f: same, want: tokenize.ErrValue},
		{name: "three digits besides those to show", f: same, value: "1234567", want: tokenize.ErrValue},
		{name: "four digits besides those to show", f: same, value: "12345678"},
		{name: "256 digits", f: same, value: strings.Repeat("1", 256), want: tokenize.ErrValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value := []byte(tt.value)
			if err := tt.f.Check(value); !errors.Is(err, tt.want) {
				t.Errorf("Check: %v, want %v", err, tt.want)
			}
			out, err := tt.f.Append([]byte("dst"), value)
			if !errors.Is(err, tt.want) {
				t.Errorf("Append: %v, want %v", err, tt.want)
			}
			if refused := tt.want != nil; refused && (string(out) != "dst" || tt.f.Space(value) != 0) || !refused && len(out) == 3 {
				t.Errorf("Append returned %q, and the space is %d", out, tt.f.Space(value))
			}
		})
	}
}

func TestFormatsThatMakeNoSenseAreRefused(t *testing.T) {
	bad := func(_ tokenize.Format, err error) error { return err }
	for name, err := range map[string]error{
		"no prefix":                        bad(tokenize.PrefixedFormat("")),
		"a prefix too long":                bad(tokenize.PrefixedFormat(strings.Repeat("x", 65))),
		"a prefix with a space":            bad(tokenize.PrefixedFormat("to k")),
		"a prefix with NUL":                bad(tokenize.PrefixedFormat("\x00")),
		"a prefix that is not ASCII":       bad(tokenize.PrefixedFormat("é")),
		"seven first digits":               bad(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: 7})),
		"five last digits":                 bad(tokenize.PANFormat(tokenize.PANOptions{KeepLast: 5})),
		"fewer than no first digits":       bad(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: -1})),
		"fewer than no last digits":        bad(tokenize.PANFormat(tokenize.PANOptions{KeepLast: -1})),
		"a real issuer with the right sum": bad(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: 1, ValidLuhn: true})),
		"five last digits of an SSN":       bad(tokenize.SSNFormat(5)),
		"fewer than no digits of an SSN":   bad(tokenize.SSNFormat(-1)),
		"five digits":                      bad(tokenize.DigitsFormat(5)),
		"256 digits":                       bad(tokenize.DigitsFormat(256)),
		"five last digits of a number":     bad(tokenize.SameDigitsFormat(5)),
		"fewer than no digits of a number": bad(tokenize.SameDigitsFormat(-1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The space is compared with the number of texts that are valid, where they can
// be counted.
func TestSpaceIsTheNumberOfTokens(t *testing.T) {
	count := func(f tokenize.Format, form string, n int) (valid uint64) {
		for i := range n {
			if f.Valid(fmt.Appendf(nil, form, i)) {
				valid++
			}
		}
		return valid
	}
	six := must(tokenize.DigitsFormat(6))
	if got, want := six.Space([]byte("x")), count(six, "%06d", 1e6); got != want {
		t.Errorf("six digits: %d, counted %d", got, want)
	}
	five := must(tokenize.SameDigitsFormat(1))
	if got, want := five.Space([]byte("12345")), count(five, "%05d", 1e5); got != want {
		t.Errorf("five digits: %d, counted %d", got, want)
	}
	ssn := must(tokenize.SSNFormat(0))
	if got, want := ssn.Space([]byte("078-05-1120")), count(ssn, "%05d1120", 1e5)*10_000; got != want {
		t.Errorf("SSN: %d, counted %d", got, want)
	}
	for _, valid := range []bool{false, true} {
		pan := must(tokenize.PANFormat(tokenize.PANOptions{ValidLuhn: valid}))
		if got, want := pan.Space([]byte("4111111111111111")), count(pan, "99123456789%05d", 1e5)*1e9; got != want {
			t.Errorf("PAN, valid %v: %d, counted %d", valid, got, want)
		}
	}
	first := must(tokenize.PANFormat(tokenize.PANOptions{KeepFirst: 6, KeepLast: 4}))
	if got, want := first.Space([]byte("4111111111111111")), count(first, "41111111111%05d", 1e5)*1e11; got != want {
		t.Errorf("PAN with its first digits: %d, counted %d", got, want)
	}
	for name, f := range map[string]tokenize.Format{
		"prefixed": must(tokenize.PrefixedFormat("x")), "uuid": tokenize.UUIDFormat(), "digits": must(tokenize.DigitsFormat(19)),
	} {
		if got := f.Space(nil); got != math.MaxUint64 {
			t.Errorf("%s: %d, want no limit", name, got)
		}
	}
}

// Each place of a token takes each character about as often as the others. The
// bound is seven standard deviations, so chance does not reach it.
func TestTokensAreDrawnEvenly(t *testing.T) {
	const draws = 20_000
	for name, e := range formats() {
		value := []byte(e.values[0])
		var counts []map[byte]int
		for range draws {
			token, err := e.f.Append(nil, value)
			if err != nil {
				t.Fatal(err)
			}
			for len(counts) < len(token) {
				counts = append(counts, map[byte]int{})
			}
			for i, c := range token {
				counts[i][c]++
			}
		}
		for i, c := range counts {
			if i >= len("tok_") && name == "prefixed" && len(c) != 32 {
				t.Errorf("%s: %d different characters stand at place %d, want 32", name, len(c), i)
			}
			p := 1 / float64(len(c))
			dev := math.Sqrt(draws * p * (1 - p))
			for ch, n := range c {
				// With the check digit among the drawn ones, digits that it makes
				// impossible lean the others by a hundredth at most.
				if d := math.Abs(float64(n) - draws*p); d > 7*dev+draws*p/50 {
					t.Errorf("%s: %q stands at place %d %d times of %d, expected %.0f", name, ch, i, n, draws, draws*p)
				}
			}
		}
	}
}

func TestForeignTokensAreNotValid(t *testing.T) {
	all := formats()
	for name, e := range all {
		for _, token := range []string{"", "x", "tok_", "TOK_aaaaaaaaaaaaaaaaaaaaaaaaaa", "tok_aaaaaaaaaaaaaaaaaaaaaaaaa", "tok_aaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"tok_aaaaaaaaaaaaaaaaaaaaaaaaa1", "tok_AAAAAAAAAAAAAAAAAAAAAAAAAA", "f47ac10b-58cc-5372-a567-0e02b2c3d479", "f47ac10b-58cc-4372-c567-0e02b2c3d479",
			"F47AC10B-58CC-4372-A567-0E02B2C3D479", "f47ac10b058cc-4372-a567-0e02b2c3d479", "f47ac10b-58cc-4372-a567-0e02b2c3d47", "\x00index-key",
			"012345", "078-05-1120", "899-10-1234", strings.Repeat("1", 256),
		} {
			if e.f.Valid([]byte(token)) {
				t.Errorf("%s: %q is valid", name, token)
			}
		}
	}
	pan := all["pan last=4"].f
	for token, value := range map[string]string{
		"9900 0000 0000 1111": "4111111111111111", "9900-0000-0000-1111": "4111 1111 1111 1111", "9900000000001112": "4111111111111111",
		"990000000001111": "4111111111111111",
	} {
		if pan.ValidFor([]byte(token), []byte(value)) {
			t.Errorf("%q is valid for %q", token, value)
		}
	}
}

func TestEqualFormatsAreEqual(t *testing.T) {
	texts := map[string]bool{}
	for name, e := range formats() {
		for other, o := range formats() {
			if (name == other) != (e.f == o.f) {
				t.Errorf("%s and %s: equal is %v", name, other, e.f == o.f)
			}
		}
		texts[e.f.String()] = true
	}
	if len(texts) != len(formats()) {
		t.Errorf("texts of %d formats: %v", len(formats()), texts)
	}
	if s := (tokenize.Format{}).String(); s != "none" {
		t.Errorf("zero format is %q", s)
	}
}

func FuzzFormat(f *testing.F) {
	for name, e := range formats() {
		for _, v := range e.values {
			f.Add(name, []byte(v))
		}
	}
	f.Add("pan last=4", []byte("4111111111111112"))
	f.Add("ssn", []byte("912-49-1234"))
	all := formats()
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		e, ok := all[name]
		if !ok {
			return
		}
		before := bytes.Clone(value)
		token, err := e.f.Append(nil, value)
		if !bytes.Equal(before, value) {
			t.Fatal("the value was changed")
		}
		if fits := fitsByForm(name, string(value)); fits != (err == nil) {
			t.Fatalf("%q fits: %v, error %v", value, fits, err)
		}
		// A text that is valid keeps to the form, and where a token can be told
		// from a value, no text is both.
		kind, _, _ := strings.Cut(name, " ")
		if tellable := kind == "pan" || kind == "ssn"; tellable && err == nil && !strings.Contains(name, "first") && e.f.Valid(value) {
			t.Fatalf("%q is both value and token", value)
		}
		if err != nil {
			if !errors.Is(err, tokenize.ErrValue) || token != nil || strings.Contains(err.Error(), string(value)) && len(value) > 3 {
				t.Fatalf("error %v and %q", err, token)
			}
			return
		}
		if w := wrong(name, string(token), string(value)); w != "" {
			t.Fatalf("token %q of %q: %s", token, value, w)
		}
		if !e.f.ValidFor(token, value) {
			t.Fatalf("token %q of %q is not valid", token, value)
		}
	})
}

// fitsByForm says what fits by other means than the format does.
func fitsByForm(name, value string) bool {
	kind, options, _ := strings.Cut(name, " ")
	d := digitsOf(value)
	switch kind {
	case "pan":
		if strings.Contains(options, "first=6") && len(d) < 14 {
			return false
		}
		return panForm.MatchString(value) && passesLuhn(d) && !strings.HasPrefix(d, "99")
	case "ssn":
		if !ssnForm.MatchString(value) {
			return false
		}
		area, group, serial := d[:3], d[3:5], d[5:]
		return area != "000" && area != "666" && group != "00" && serial != "0000" && (area < "900" || group >= "50")
	case "same":
		least := 4
		if strings.Contains(options, "last=4") {
			least = 8
		}
		return regexp.MustCompile(`^\d+$`).MatchString(value) && !strings.HasSuffix(value, "\n") && len(value) >= least && len(value) <= 255
	}
	return true
}
