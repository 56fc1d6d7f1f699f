package mask_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/mask"
)

func TestTheZeroRuleRefuses(t *testing.T) {
	var zero mask.Rule
	if zero.Takes() != 0 {
		t.Errorf("it takes %v", zero.Takes())
	}
	for _, value := range []string{"", "secret", "\xff"} {
		if got, err := zero.Append([]byte("dst"), []byte(value)); !errors.Is(err, mask.ErrNoRule) || string(got) != "dst" {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}

func TestRulesLeaveWhatTheyWroteAsItIs(t *testing.T) {
	for _, s := range samples(t) {
		got, err := s.rule.Append(nil, []byte(s.want))
		switch {
		case s.again && (err != nil || string(got) != s.want):
			t.Errorf("%s: %q becomes %q, %v", s.name, s.want, got, err)
		case !s.again && err == nil && string(got) == s.want:
			t.Errorf("%s leaves %q as it is, and the sample does not say so", s.name, s.want)
		}
	}
}

func TestRulesAllocateNothing(t *testing.T) {
	for _, s := range samples(t) {
		value, dst := []byte(s.value), make([]byte, len(s.want))
		allocs := testing.AllocsPerRun(100, func() {
			// There is exactly as much room as the result takes.
			if _, err := s.rule.Append(dst[:0], value); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", s.name, allocs)
		}
	}
	refused := []byte("no value of \xc5\x99 any form")
	for _, s := range samples(t) {
		if _, err := s.rule.Append(nil, refused); err == nil {
			continue
		}
		if allocs := testing.AllocsPerRun(100, func() { _, _ = s.rule.Append(nil, refused) }); allocs != 0 {
			t.Errorf("%s: %v allocations for a value that is refused", s.name, allocs)
		}
	}
	shift, err := mask.NewShift(mask.RFC3339)
	if err != nil {
		t.Fatal(err)
	}
	value, dst := []byte("2024-05-17T13:45:12.123+02:00"), make([]byte, 0, 64)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = shift.Append(dst, value, 3) }); allocs != 0 {
		t.Errorf("Shift: %v allocations", allocs)
	}
}

// secrets finds values of one form in which only what a rule hides differs.
// Every pair must give the same.
func TestWhatIsHiddenDoesNotInfluenceTheResult(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	pick := func(alphabet string, n int) string {
		runes := []rune(alphabet)
		b := make([]rune, n)
		for i := range b {
			b[i] = runes[random.IntN(len(runes))]
		}
		return string(b)
	}
	const (
		digits = "0123456789"
		hex    = "0123456789abcdefABCDEF"
		upper  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		text   = "abcXYZ019 .-*ťž王😀"
		atoms  = "abcXYZ019.!#+-_{ž"
	)
	some := func(alphabet string) string { return pick(alphabet, 2+random.IntN(20)) }
	tests := []struct {
		rule string
		make func() string
	}{
		{"redact", func() string { return pick(text, 9) }},
		{"redact/8", func() string { return some(text) }},
		{"redacted", func() string { return some(text) }},
		{"card", func() string { return "411111" + pick(digits, 6) + "1234" }},
		{"card", func() string { return "3782 82" + pick(digits, 2) + " " + pick(digits, 3) + "1234" }},
		{"card", func() string { return pick(digits, 8) + "1234" }},
		{"card-first8-last4", func() string { return "41111111" + pick(digits, 4) + "1234" }},
		{"card-last4", func() string { return pick(digits, 12) + "1234" }},
		{"email", func() string { return some(atoms) + "@example.com" }},
		{"email", func() string { return pick(atoms, 1) + "@example.com" }},
		{"email-first", func() string { return "a" + some(atoms) + "@example.com" }},
		{"email-tld", func() string { return some(atoms) + "@" + some("abc019ž") + ".com" }},
		{"phone", func() string { return "+420 " + pick(digits, 7) + "56" }},
		{"phone", func() string { return pick(digits, 7) + "-56" }},
		{"phone", func() string { return "+999 " + pick(digits, 7) + "56" }},
		{"phone", func() string { return "+420 " + pick(digits, 2) }},
		{"iban", func() string { return "GB" + pick(digits, 2) + pick(upper, 14) + "5432" }},
		{"ssn", func() string { return pick(digits, 3) + "-" + pick(digits, 2) + "-6789" }},
		{"initials", func() string { return "J" + some("abcďž") + " Ka" + some("abcďž'-") }},
		{"initials", func() string { return "J. " + pick("abcďž王", 1) }},
		{"ip/24", func() string { return "203.0.113." + pick("123456789", 1+random.IntN(2)) }},
		{"ip/24,48", func() string { return "2001:db8:85a3:" + pick(hex, 4) + "::" + pick(hex, 4) }},
		{"cidr/24,48", func() string { return "2002:cb00:71" + pick(hex, 2) + "::" + pick(hex, 4) }},
		{"mac", func() string { return "00:1b:63:" + pick(hex, 2) + ":" + pick(hex, 2) + ":" + pick(hex, 2) }},
		{"mac", func() string { return "0" + pick("26aAeE", 1) + pick(hex, 10) }},
		{"url", func() string {
			return "https://" + some("ab0:@") + "@a.example/b?q=" + some("ab0/=?žB") + "x&" + some("ab0") + "#" + some("ab0&=?")
		}},
		{"url-origin", func() string { return "https://a.example/" + some("ab0/=?#&") }},
		{"uuid", func() string {
			return pick(hex, 8) + "-" + pick(hex, 4) + "-4" + pick(hex, 3) + "-" + pick("89abAB", 1) + pick(hex, 3) + "-" + pick(hex, 8) + "6bf6"
		}},
		{"zip3", func() string { return "902" + pick(digits, 2) }},
		{"zip3", func() string { return pick("0", 1) + pick("3", 1) + "6" + pick(digits, 2) + "-" + pick(digits, 4) }},
		{"geo/0.01", func() string {
			return "50.09" + pick("01234", 1) + pick(digits, 5) + ",-14.42" + pick("01234", 1) + some(digits)
		}},
	}
	tried := map[string]bool{}
	for _, tt := range tests {
		rule := must(t)(mask.Named(tt.rule))
		tried[tt.rule] = true
		want := ""
		for range 300 {
			value := tt.make()
			got, err := rule.Append(nil, []byte(value))
			if err != nil {
				t.Fatalf("%s of %q: %v", tt.rule, value, err)
			}
			if want == "" {
				want = string(got)
			}
			if string(got) != want {
				t.Fatalf("%s of %q is %q, and of another that differs in what is hidden %q", tt.rule, value, got, want)
			}
		}
	}
	for _, name := range mask.Names() {
		if word, _, _ := strings.Cut(name, "/"); !tried[name] && word != "phone" && word != "cidr" && name != "card-first6-last4" {
			t.Errorf("%s is not tested", name)
		}
	}
}

// Values of a megabyte, and values that are broken at each place.
func TestHostileValues(t *testing.T) {
	all := samples(t)
	all = append(all, sample{name: "Replace", rule: replacement(t), value: "my number is 123-45-6789", whole: true})
	long := 1 << 20
	values := [][]byte{
		bytes.Repeat([]byte{'7'}, long),
		bytes.Repeat([]byte("ť"), long/2),
		bytes.Repeat([]byte{'.'}, long),
		bytes.Repeat([]byte{' '}, long),
		bytes.Repeat([]byte{'@'}, long),
		bytes.Repeat([]byte{':'}, long),
		make([]byte, long),
		bytes.Repeat([]byte{'-'}, long),
		[]byte("0." + strings.Repeat("7", long)),
		[]byte("1e" + strings.Repeat("9", long)),
		[]byte("https://a/?" + strings.Repeat("&", long)),
		[]byte("https://a/?" + strings.Repeat("a=1&", long/4)),
		[]byte("https://" + strings.Repeat("@", long)),
		[]byte(strings.Repeat("a ", long/2)),
		[]byte("1," + strings.Repeat("7", long)),
	}
	room := append(make([]byte, 0, 4*long+16), "dst"...)
	for _, s := range all {
		for i, value := range values {
			got, err := s.rule.Append(room, value)
			if err != nil && (!errors.Is(err, mask.ErrValue) || string(got) != "dst") {
				t.Errorf("%s of value %d: %v beside %d bytes", s.name, i, err, len(got))
			}
			if err != nil && s.whole {
				t.Errorf("%s of value %d: %v", s.name, i, err)
			}
			if len(got) > 4*len(value)+16 {
				t.Errorf("%s of value %d: %d bytes become %d", s.name, i, len(value), len(got))
			}
		}
		for i := range len(s.value) + 1 {
			for _, bad := range []string{"\xff", "\xc5", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"} {
				value := s.value[:i] + bad + s.value[i:]
				if utf8.ValidString(value) {
					continue
				}
				got, err := s.rule.Append([]byte("dst"), []byte(value))
				if !errors.Is(err, mask.ErrNotText) || string(got) != "dst" {
					t.Errorf("%s of %q: %q, %v, want ErrNotText", s.name, value, got, err)
				}
			}
		}
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	for _, s := range samples(t) {
		for _, value := range []string{s.value + "~SECRET~", "~SECRET~" + s.value, "~SECRET~"} {
			_, err := s.rule.Append(nil, []byte(value))
			if err != nil && (strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), s.value)) {
				t.Errorf("%s: the error shows the value: %v", s.name, err)
			}
		}
	}
}

func TestReplace(t *testing.T) {
	checkRule(t, replacement(t), []textCase{
		{"one match", "my number is 123-45-6789.", "my number is [ssn]."},
		{"two matches side by side", "123-45-6789123-45-6789", "[ssn][ssn]"},
		{"no match passes: this is free text", "my number is secret", "my number is secret"},
		{"text of several bytes around", "číslo 123-45-6789 ťž", "číslo [ssn] ťž"},
		{"an empty value", "", ""},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`(\w+)@\w+`), "$1 ${1} \\1")), []textCase{
		{"what is put in is literal", "alice@home", "$1 ${1} \\1"},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`\d`), "")), []textCase{
		{"matches are taken out", "a1b22c", "abc"},
		{"all of a long text", strings.Repeat("1", 1<<20), ""},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`^\d\b`), "#")), []textCase{
		{"what is around a match counts", "1 1", "# 1"},
	})
	long := strings.Repeat("x", 1024)
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`a`), long)), []textCase{
		{"as much as it may grow", strings.Repeat("a", 1024), strings.Repeat(long, 1024)},
		{"more than it may grow", strings.Repeat("a", 1025), refuses},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`a.*z|a`), "#")), []textCase{
		{"an expression without a bound", "ab--z", "#"},
		{"so many matches that each may look at all", strings.Repeat("a", 1<<16), refuses},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompile(`a.{0,100}z|a`), "#")), []textCase{
		{"an expression with a bound may match more often", strings.Repeat("a", 1<<11), strings.Repeat("#", 1<<11)},
		{"but not as often as it likes", strings.Repeat("a", 1<<12), refuses},
	})
	checkRule(t, must(t)(mask.Replace(regexp.MustCompilePOSIX(`[[:digit:]]{3}|[[:digit:]]{3}x`), "#")), []textCase{
		{"a POSIX expression takes the longest", "123x", "#"},
	})
}

func TestReplaceIsRefused(t *testing.T) {
	for _, expr := range []string{
		``, `a*`, `a?`, `(a|b*)`, `^`, `$`, `\b`, `(?:)`, `a{0,3}`, `a{0,}`, `(a?){2,3}`, `()`, `a*b*`, `(?i:a)?`,
	} {
		rule, err := mask.Replace(regexp.MustCompile(expr), "#")
		if err == nil {
			t.Errorf("%q, which matches the empty text, is accepted", expr)
		}
		if _, err := rule.Append(nil, nil); !errors.Is(err, mask.ErrNoRule) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	for _, expr := range []string{`a+`, `a{2,}`, `(a|bc)`, `a*b`, `\bx`, `[a-c]`, `.`, `(?s).`, `(?:a{3}){2}`, `[^\x{00}-\x{10FFFF}]`} {
		if _, err := mask.Replace(regexp.MustCompile(expr), "#"); err != nil {
			t.Errorf("%q: %v", expr, err)
		}
	}
	if _, err := mask.Replace(nil, "#"); err == nil {
		t.Error("no expression is accepted")
	}
	a := regexp.MustCompile(`a`)
	for _, text := range []string{"\xff", strings.Repeat("x", 1025)} {
		if _, err := mask.Replace(a, text); err == nil {
			t.Errorf("a text to put in of %d bytes is accepted", len(text))
		}
	}
}

// FuzzRules runs every rule on every value: each result is text, says only what
// it may, leaves dst and the value alone, and an error holds nothing.
func FuzzRules(f *testing.F) {
	for _, s := range samples(f) {
		f.Add([]byte(s.value))
		f.Add([]byte(s.want))
	}
	f.Add([]byte("a\xff"))
	f.Add([]byte(`"a b"@[192.0.2.1]`))
	f.Add([]byte("+1 (212) 555-0123"))
	f.Add([]byte("https://me:p@[::1]:80/a?b=c&d&=e#f"))
	rules := samples(f)
	rules = append(rules, sample{name: "Replace", rule: replacement(f), whole: true})
	f.Fuzz(func(t *testing.T, value []byte) {
		before := bytes.Clone(value)
		for _, s := range rules {
			out, err := s.rule.Append([]byte("dst"), value)
			if !bytes.Equal(value, before) {
				t.Fatalf("%s changed the value", s.name)
			}
			if !bytes.HasPrefix(out, []byte("dst")) {
				t.Fatalf("%s changed dst", s.name)
			}
			if err != nil {
				if len(out) != len("dst") {
					t.Fatalf("%s wrote %q beside an error", s.name, out)
				}
				if utf8.Valid(value) && (s.whole || !errors.Is(err, mask.ErrValue)) || !utf8.Valid(value) && !errors.Is(err, mask.ErrNotText) {
					t.Fatalf("%s of %q: %v", s.name, value, err)
				}
				continue
			}
			got := out[len("dst"):]
			if !utf8.Valid(value) || !utf8.Valid(got) {
				t.Fatalf("%s of %q is %q", s.name, value, got)
			}
			if s.again {
				twice, err := s.rule.Append(nil, got)
				if err != nil || !bytes.Equal(twice, got) {
					t.Fatalf("%s of %q is %q, and then %q, %v", s.name, value, got, twice, err)
				}
			}
			checkShown(t, s.name, value, got)
		}
	})
}

// checkShown proves of the rules that keep digits in place how many of them show
// at most, and that those are the value's own.
func checkShown(t *testing.T, name string, value, got []byte) {
	t.Helper()
	most, ok := map[string]int{
		"card": 10, "card-first6-last4": 10, "card-first8-last4": 12, "card-last4": 4,
		"phone": 3 + 2, "phone/4": 3 + 4, "iban": 2 + 4, "ssn": 4, "mac": 6, "uuid": 4 + 1,
	}[name]
	if !ok {
		return
	}
	if len(got) != len(value) {
		t.Fatalf("%s of %q is %q", name, value, got)
	}
	shown, hidden := 0, 0
	for i, b := range got {
		alnum := strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", value[i]) >= 0
		switch {
		case b == '*' && alnum:
			hidden++
		case b != value[i]:
			t.Fatalf("%s of %q is %q", name, value, got)
		case alnum:
			shown++
		}
	}
	if shown > most || hidden == 0 {
		t.Fatalf("%s of %q is %q: %d digits show, of at most %d, and %d are hidden", name, value, got, shown, most, hidden)
	}
}
