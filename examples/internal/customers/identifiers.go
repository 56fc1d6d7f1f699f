package customers

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// digits returns pattern with every '#' replaced by a random digit.
func digits(r *rand.Rand, pattern string) string {
	b := []byte(pattern)
	for i, c := range b {
		if c == '#' {
			b[i] = '0' + byte(r.IntN(10))
		}
	}
	return string(b)
}

// pan returns a card number: the prefix of a published test card, random
// digits, and a check digit that makes it valid by Luhn.
func pan(r *rand.Rand) string {
	body := digits(r, pick(r, []string{
		"411111#########", "401288#########", "424242#########", // Visa, 16 digits with the check digit
		"555555#########", "510510#########", "222300#########", // Mastercard
		"601111#########", "353011#########", // Discover, JCB
		"378282########", "371449########", // American Express, 15
	}))
	return body + string(luhn(body))
}

// luhn returns the check digit that makes body followed by it valid.
func luhn(body string) byte {
	sum := 0
	for i := range len(body) {
		d := int(body[len(body)-1-i] - '0')
		if i%2 == 0 { // doubled, for the check digit will stand to its right
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return '0' + byte((10-sum%10)%10)
}

// usSSN draws from the 900 areas, which are never issued as social security
// numbers, with a group below 50, which no taxpayer number has either.
func usSSN(r *rand.Rand, _ date) string {
	return fmt.Sprintf("9%02d-%02d-%04d", r.IntN(100), 10+r.IntN(40), 1+r.IntN(9999))
}

// gbNINO carries the prefix QQ, whose letters no national insurance number has.
func gbNINO(r *rand.Rand, _ date) string {
	return digits(r, "QQ ## ## ## ") + string("ABCD"[r.IntN(4)])
}

// deTaxID begins with 0, as only test numbers do.
func deTaxID(r *rand.Rand, _ date) string { return digits(r, "0# ### ### ###") }

// frNIR has 9 where a person has 1 or 2. The key is right, so that software
// which checks it still takes the number.
func frNIR(r *rand.Rand, born date) string {
	body := fmt.Sprintf("9%02d%02d%02d%03d%03d", born.year%100, born.month, 1+r.IntN(95), 1+r.IntN(990), 1+r.IntN(999))
	n, err := strconv.ParseInt(body, 10, 64)
	if err != nil {
		panic("customers: a number built from digits does not parse")
	}
	return fmt.Sprintf("%s %02d", body, 97-n%97)
}

// czBirthNumber adds 40 to the month: the real ones add 0, 20, 50 or 70.
func czBirthNumber(r *rand.Rand, born date) string {
	return fmt.Sprintf("%02d%02d%02d/%04d", born.year%100, born.month+40, born.day, r.IntN(10_000))
}

// esDNI draws from the end of the series, with the right letter.
func esDNI(r *rand.Rand, _ date) string {
	n := 99_000_000 + r.IntN(1_000_000)
	return fmt.Sprintf("%08d%c", n, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
}

// jpMyNumber has a check digit that is wrong on purpose.
func jpMyNumber(r *rand.Rand, _ date) string {
	body := digits(r, "###########")
	sum := 0
	for i := range len(body) {
		n := i + 1 // counted from the right
		weight := n + 1
		if n > 6 {
			weight = n - 5
		}
		sum += int(body[len(body)-n]-'0') * weight
	}
	check := 0
	if rest := sum % 11; rest > 1 {
		check = 11 - rest
	}
	s := body + strconv.Itoa((check+1+r.IntN(9))%10)
	return s[:4] + " " + s[4:8] + " " + s[8:]
}

// brCPF has a last check digit that is wrong on purpose.
func brCPF(r *rand.Rand, _ date) string {
	s := digits(r, "#########")
	for range 2 {
		sum := 0
		for i := range len(s) {
			sum += int(s[i]-'0') * (len(s) + 1 - i)
		}
		s += strconv.Itoa(sum * 10 % 11 % 10)
	}
	last := (int(s[10]-'0') + 1 + r.IntN(9)) % 10
	return fmt.Sprintf("%s.%s.%s-%s%d", s[:3], s[3:6], s[6:9], s[9:10], last)
}

// inAadhaar begins with 0 or 1, as no issued number does.
func inAadhaar(r *rand.Rand, _ date) string {
	return strconv.Itoa(r.IntN(2)) + digits(r, "### #### ####")
}

// latin folds a Latin name into the letters of an e-mail address.
func latin() *strings.Replacer {
	return strings.NewReplacer(
		"ä", "ae", "ö", "oe", "ü", "ue", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue", "ß", "ss",
		"à", "a", "á", "a", "â", "a", "ã", "a", "ç", "c", "č", "c", "Č", "C", "ď", "d",
		"è", "e", "é", "e", "ê", "e", "ë", "e", "ě", "e", "É", "E", "í", "i", "Í", "I", "î", "i", "ï", "i",
		"ň", "n", "ñ", "n", "ó", "o", "ô", "o", "õ", "o", "ř", "r", "Ř", "R", "š", "s", "Š", "S",
		"ť", "t", "ú", "u", "Ú", "U", "ů", "u", "û", "u", "ý", "y", "ž", "z", "Ž", "Z",
		" ", "", "'", "", "-", "",
	)
}
