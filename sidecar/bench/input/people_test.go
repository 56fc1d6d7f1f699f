package input

import (
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/mask"
)

// masked tells whether a value has the form that a mask of its kind asks for.
func masked(t *testing.T, rule, value string) {
	t.Helper()
	r, err := mask.Named(rule)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Append(nil, []byte(value)); err != nil {
		t.Errorf("%s refuses %q: %v", rule, value, err)
	}
}

func TestInventedValuesBelongToNobody(t *testing.T) {
	m := newMaker(11)
	ranges := regexp.MustCompile(`^(\+1 \d{3} 555 01\d\d|\+44 7700 900\d{3}|\+44 20 7946 0\d{3})$`)
	for range 2000 {
		email := m.text(shapeEmail)
		if domain := email[strings.IndexByte(email, '@')+1:]; !strings.HasSuffix(domain, ".example.com") && !strings.HasSuffix(domain, ".example.org") && !strings.HasSuffix(domain, ".example.net") {
			t.Errorf("%s is at no reserved domain", email)
		}
		masked(t, "email", email)
		phone := m.text(shapePhone)
		if !ranges.MatchString(phone) {
			t.Errorf("%s is in no range of fiction", phone)
		}
		masked(t, "phone", phone)
		ssn := m.text(shapeSSN)
		if ssn[0] != '9' || ssn[4:6] > "49" || ssn[4:6] == "00" {
			t.Errorf("%s may have been issued", ssn)
		}
		masked(t, "ssn", ssn)
		ip := netip.MustParseAddr(m.text(shapeIP))
		if !netip.MustParsePrefix("192.0.2.0/24").Contains(ip) && !netip.MustParsePrefix("198.51.100.0/24").Contains(ip) && !netip.MustParsePrefix("203.0.113.0/24").Contains(ip) {
			t.Errorf("%s is in no range of documentation", ip)
		}
		if ip6 := netip.MustParseAddr(m.ip6()); !netip.MustParsePrefix("2001:db8::/32").Contains(ip6) {
			t.Errorf("%s is in no range of documentation", ip6)
		}
		masked(t, "mac", m.text(shapeMAC))
		masked(t, "uuid", m.text(shapeUUID))
		masked(t, "url", m.text(shapeURL))
		if zip := m.text(shapePostal); len(zip) != 5 || zip[:3] != "000" {
			t.Errorf("ZIP code %s may be in use", zip)
		}
		born, err := time.Parse(time.DateOnly, m.text(shapeDate))
		if err != nil || born.Year() < 1940 || born.Year() > 2006 {
			t.Errorf("born %v, %v", born, err)
		}
	}
}

func TestCardNumbersAreOfTestRangesAndPassTheLuhnCheck(t *testing.T) {
	m := newMaker(12)
	for range 2000 {
		pan := m.text(shapeCard)
		sum, double := 0, false
		for i := len(pan) - 1; i >= 0; i-- {
			d := int(pan[i] - '0')
			if double {
				d = d*2/10 + d*2%10
			}
			sum, double = sum+d, !double
		}
		if len(pan) != 16 || sum%10 != 0 {
			t.Errorf("%s fails the check", pan)
		}
		if !slices.Contains([]string{"411111", "400000", "424242", "555555", "510510", "222300"}, pan[:6]) {
			t.Errorf("%s is in no test range", pan)
		}
		masked(t, "card", pan)
	}
}

func TestIBANsHaveGoodCheckDigits(t *testing.T) {
	m := newMaker(13)
	for range 500 {
		iban := m.text(shapeIBAN)
		masked(t, "iban", iban)
		digits := ""
		for _, c := range iban[4:] + iban[:4] {
			if c >= 'A' && c <= 'Z' {
				digits += big.NewInt(int64(c - 'A' + 10)).String()
			} else {
				digits += string(c)
			}
		}
		n, ok := new(big.Int).SetString(digits, 10)
		if !ok || new(big.Int).Mod(n, big.NewInt(97)).Int64() != 1 {
			t.Errorf("%s fails the check", iban)
		}
	}
}

func TestFieldsGetTheShapeOfTheirTagOrName(t *testing.T) {
	tests := []struct {
		path string
		tags []string
		want shape
	}{
		{"/email", nil, shapeEmail},
		{"/contact/homeEmail", nil, shapeEmail},
		{"/emails/[]", nil, shapeEmail},
		{"/e_mail", nil, shapeEmail},
		{"/labels/{}", nil, shapeWords},
		{"/phoneNumber", nil, shapePhone},
		{"/cardNumber", nil, shapeCard},
		{"/card/number", []string{"PCI.PAN"}, shapeCard},
		{"/x", []string{"PII.EMAIL"}, shapeEmail},
		{"/email", []string{"PII"}, shapeEmail},
		{"/x", []string{"EMAIL"}, shapeEmail},
		{"/value", []string{"PCI.IBAN", "PII"}, shapeIBAN},
		{"/date_of_birth", nil, shapeDate},
		{"/dateOfBirth", nil, shapeDate},
		{"/first_name", nil, shapeFirst},
		{"/name", nil, shapeName},
		{"/userName", nil, shapeUser},
		{"/ipAddress", nil, shapeIP},
		{"/client_ip", nil, shapeIP},
		{"/zip", nil, shapePostal},
		{"/description", nil, shapeText},
		{"/shipment", nil, shapeWords},
		{"/recipe", nil, shapeWords},
		{"/company", nil, shapeCompany},
		{"/created_at", nil, shapeTime},
	}
	for _, tt := range tests {
		if got := newShaper(map[string][]string{tt.path: tt.tags}).of(tt.path); got != tt.want {
			t.Errorf("%s with %v: shape %d, want %d", tt.path, tt.tags, got, tt.want)
		}
	}
}

func TestPatternsAreFollowed(t *testing.T) {
	m := newMaker(14)
	for _, expression := range []string{
		`^[a-f0-9]{8}$`, `^a|b$`, `^(ab?)+$`, `^\w+\.\w{2,3}$`, `^[^a-z]$`, `^\d{3}-\d{2}$`, `^.{4}$`, `^\p{Greek}$`, `^$`, `^(?:x|y)*z$`, `^\x{1F600}$`,
	} {
		re := regexp.MustCompile(expression)
		for range 50 {
			text, err := m.matching(expression)
			if err != nil || !re.MatchString(text) {
				t.Fatalf("%s: %q, %v", expression, text, err)
			}
		}
	}
	for _, expression := range []string{`[`, `(?=a)`, `^[^\x00-\x{10FFFF}]$`, `^((a{900})){5}b{900}$`} {
		if text, err := m.matching(expression); err == nil {
			t.Errorf("%s: made %d characters", expression, len(text))
		}
	}
}
