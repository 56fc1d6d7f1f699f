package customers

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
)

func TestLuhnAgreesWithPublishedTestCards(t *testing.T) {
	for _, card := range []string{
		"4111111111111111", "4012888888881881", "4242424242424242", "5555555555554444", "5105105105105100",
		"2223003122003222", "6011111111111117", "3530111333300000", "378282246310005", "371449635398431",
	} {
		body, check := card[:len(card)-1], card[len(card)-1]
		if got := luhn(body); got != check {
			t.Errorf("check digit of %s is %c, want %c", body, got, check)
		}
	}
}

// validLuhn is the rule from the other end: the sum over the whole number.
func validLuhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		d := int(number[i] - '0')
		if double {
			d = d/5 + d*2%10
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

func TestIdentifiersStayInReservedRanges(t *testing.T) {
	type shape struct{ id, phone string }
	shapes := map[string]shape{
		"en-US": {`^9\d\d-[1-4]\d-\d{4}$`, `^\+1 \d{3} 555 01\d\d$`},
		"en-GB": {`^QQ( \d\d){3} [A-D]$`, `^\+44 (1632 960\d{3}|7700 900\d{3}|20 7946 0\d{3})$`},
		"de-DE": {`^0\d( \d{3}){3}$`, `^\+49 (30 23125|40 66969|69 90009|89 99998|221 4710) \d{3}$`},
		"fr-FR": {`^9\d{12} \d\d$`, `^\+33 (1 99 00|2 61 91|3 53 01|4 65 71|5 36 49|6 39 98) \d\d \d\d$`},
		"cs-CZ": {`^\d\d(4[1-9]|5[0-2])\d\d/\d{4}$`, `^\+420 0\d\d \d{3} \d{3}$`},
		"es-ES": {`^99\d{6}[A-Z]$`, `^\+34 0\d\d \d\d \d\d \d\d$`},
		"pt-BR": {`^\d{3}\.\d{3}\.\d{3}-\d\d$`, `^\+55 (11|21|71) 0\d{4}-\d{4}$`},
		"ja-JP": {`^\d{4} \d{4} \d{4}$`, `^\+81 (3|6|45) 0\d+ \d{4}$`},
		"hi-IN": {`^[01]\d{3} \d{4} \d{4}$`, `^\+91 0\d{4} \d{5}$`},
	}
	compiled := map[string][2]*regexp.Regexp{}
	for tag, s := range shapes {
		compiled[tag] = [2]*regexp.Regexp{regexp.MustCompile(s.id), regexp.MustCompile(s.phone)}
	}
	card := regexp.MustCompile(`^(411111|401288|424242|555555|510510|222300|601111|353011)\d{10}$|^(378282|371449)\d{9}$`)
	mail := regexp.MustCompile(`^[a-z0-9._+]+@[a-z]+\.example\.(com|org|net)$`)

	g := New(1)
	for range 10_000 {
		c := g.Next()
		want, ok := compiled[c.Locale]
		if !ok {
			t.Fatalf("no shape is known for %s", c.Locale)
		}
		if !want[0].MatchString(c.NationalID) {
			t.Errorf("%s: national id %q", c.Locale, c.NationalID)
		}
		if c.Phone != nil && !want[1].MatchString(*c.Phone) {
			t.Errorf("%s: phone %q", c.Locale, *c.Phone)
		}
		if !card.MatchString(c.CardNumber) || !validLuhn(c.CardNumber) {
			t.Errorf("%s: card number %q", c.Locale, c.CardNumber)
		}
		for _, e := range c.Emails {
			if !mail.MatchString(e) {
				t.Errorf("%s: e-mail %q", c.Locale, e)
			}
		}
		if c.Notes != nil && (strings.Contains(*c.Notes, "%") || !strings.ContainsFunc(*c.Notes, unicode.IsDigit)) {
			t.Errorf("%s: notes %q", c.Locale, *c.Notes)
		}
	}
}

func TestCheckedNumbersAreWrongWhereTheyMustBe(t *testing.T) {
	g := New(2)
	var cpf, my int
	for range 5_000 {
		c := g.Next()
		number := strings.NewReplacer(".", "", "-", "", " ", "").Replace(c.NationalID)
		switch c.Locale {
		case "pt-BR":
			cpf++
			if validCPF(number) {
				t.Errorf("%s passes the check of a CPF", c.NationalID)
			}
		case "ja-JP":
			my++
			if validMyNumber(number) {
				t.Errorf("%s passes the check of a My Number", c.NationalID)
			}
		}
	}
	if cpf == 0 || my == 0 {
		t.Fatalf("checked %d CPF and %d My Numbers", cpf, my)
	}
	if !validCPF("52998224725") {
		t.Error("the CPF check refuses a well-known example")
	}
	if !validMyNumber("123456789018") {
		t.Error("the My Number check refuses a well-known example")
	}
}

// validCPF sums all digits but the last with the weights 0 to 9 from the left,
// which is the same rule as 11 to 2 taken negative.
func validCPF(s string) bool {
	for n := 9; n <= 10; n++ {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * (i + 10 - n)
		}
		if byte('0'+sum%11%10) != s[n] {
			return false
		}
	}
	return true
}

func validMyNumber(s string) bool {
	weights := [11]int{6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2}
	sum := 0
	for i, w := range weights {
		sum += int(s[i]-'0') * w
	}
	rest := sum % 11
	check := 11 - rest
	if rest <= 1 {
		check = 0
	}
	return byte('0'+check) == s[11]
}

func TestNativeScriptsAreUsed(t *testing.T) {
	g := New(1)
	scripts := map[string]*unicode.RangeTable{"ja-JP": unicode.Han, "hi-IN": unicode.Devanagari}
	other := 0
	for range 3_000 {
		c := g.Next()
		script, ok := scripts[c.Locale]
		for _, text := range []string{c.FullName, c.Address.Street, c.Address.City} {
			if ok && !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(script, r) }) {
				t.Errorf("%s: %q is not in the native script", c.Locale, text)
			}
			if !ok && strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
				other++
			}
		}
	}
	if other < 1000 {
		t.Errorf("only %d Latin texts carry diacritics", other)
	}
}

func TestTablesHoldNoRepeats(t *testing.T) {
	for _, l := range locales() {
		seen := map[string]bool{}
		var all []string
		for _, n := range append(append([]name{}, l.given...), l.family...) {
			all = append(all, n.native)
		}
		all = append(append(all, l.streets...), l.cities...)
		for _, s := range all {
			if s == "" || seen[s] {
				t.Errorf("%s: %q is empty or occurs twice", l.tag, s)
			}
			seen[s] = true
		}
	}
}
