package mask_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/mask"
)

// A textCase is a value and what a rule makes of it; refused when want is
// refuses.
type textCase struct{ name, in, want string }

const refuses = "\x00refused"

func checkRule(t *testing.T, rule mask.Rule, tests []textCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			room := []byte("before" + strings.Repeat("_", 256))
			got, err := rule.Append(room[:6], []byte(tt.in))
			if tt.want == refuses {
				if !errors.Is(err, mask.ErrValue) {
					t.Fatalf("%q becomes %q, err %v, want ErrValue", tt.in, got, err)
				}
				if string(got) != "before" || string(room[6:]) != strings.Repeat("_", 256) {
					t.Errorf("dst was written to: %q, %q", got, room)
				}
				return
			}
			if err != nil {
				t.Fatalf("%q: %v", tt.in, err)
			}
			if string(got) != "before"+tt.want {
				t.Errorf("%q becomes %q, want %q", tt.in, got[6:], tt.want)
			}
		})
	}
}

func TestSeparators(t *testing.T) {
	checkRule(t, must(t)(mask.Keep(2, 3, mask.WithSeparators("- ·"))), []textCase{
		{"separators are not counted", "A-BC-DEF-G", "A-B*-*EF-G"},
		{"separators at the ends stay", "--ABCDEF--", "--AB*DEF--"},
		{"nothing but separators", "- -", "- -"},
		{"one character too few to hide any", "A-BC-DE", "*-**-**"},
		{"one that is more hides one", "A-BC-DE-F", "A-B*-DE-F"},
		{"a separator of several bytes", "AB·CD·EF", "AB·*D·EF"},
		{"text of several bytes between", "ář-ťž-ýéí", "ář-**-ýéí"},
		{"an empty value", "", ""},
	})
	checkRule(t, must(t)(mask.Keep(0, 1, mask.WithSeparators("-"), mask.WithFill('•'))), []textCase{
		{"a fill of several bytes", "AB-CD", "••-•D"},
	})
	checkRule(t, must(t)(mask.Redact(mask.WithSeparators("@."))), []textCase{
		{"redact with separators", "a.b@c.de", "*.*@*.**"},
	})
}

func TestOptionsAreRefused(t *testing.T) {
	fill, seps := mask.WithFill('\n'), mask.WithSeparators("-")
	tests := []struct {
		name string
		make func() (mask.Rule, error)
	}{
		{"a letter as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("-a")) }},
		{"a digit as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("-0")) }},
		{"a letter beyond ASCII as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("č")) }},
		{"a combining mark as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("\u0301")) }},
		{"a fraction as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("½")) }},
		{"separators that are no text", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("\xff")) }},
		{"the fill as separator", func() (mask.Rule, error) { return mask.Keep(1, 1, mask.WithSeparators("*")) }},
		{"RedactTo with separators", func() (mask.Rule, error) { return mask.RedactTo(3, seps) }},
		{"RedactTo a negative length", func() (mask.Rule, error) { return mask.RedactTo(-1) }},
		{"RedactTo a huge length", func() (mask.Rule, error) { return mask.RedactTo(1025) }},
		{"RedactTo with a bad fill", func() (mask.Rule, error) { return mask.RedactTo(3, fill) }},
		{"a constant that is no text", func() (mask.Rule, error) { return mask.Constant("\xff") }},
		{"Card with separators", func() (mask.Rule, error) { return mask.Card(mask.CardLast4, seps) }},
		{"Card with a bad fill", func() (mask.Rule, error) { return mask.Card(mask.CardLast4, fill) }},
		{"Card in no form", func() (mask.Rule, error) { return mask.Card(0) }},
		{"Card in an unknown form", func() (mask.Rule, error) { return mask.Card(mask.CardLast4 + 1) }},
		{"Email in no form", func() (mask.Rule, error) { return mask.Email(0) }},
		{"Email in an unknown form", func() (mask.Rule, error) { return mask.Email(mask.EmailTLD + 1) }},
		{"Email with a bad fill", func() (mask.Rule, error) { return mask.Email(mask.EmailTLD, fill) }},
		{"Phone with a negative count", func() (mask.Rule, error) { return mask.Phone(-1) }},
		{"Phone with more digits than a number has", func() (mask.Rule, error) { return mask.Phone(16) }},
		{"Phone with a bad fill", func() (mask.Rule, error) { return mask.Phone(2, fill) }},
		{"IBAN with a bad fill", func() (mask.Rule, error) { return mask.IBAN(fill) }},
		{"SSN with a bad fill", func() (mask.Rule, error) { return mask.SSN(fill) }},
		{"Initials with a bad fill", func() (mask.Rule, error) { return mask.Initials(fill) }},
		{"MAC with a bad fill", func() (mask.Rule, error) { return mask.MAC(fill) }},
		{"UUID with a bad fill", func() (mask.Rule, error) { return mask.UUID(fill) }},
		{"ZIP3 with a bad fill", func() (mask.Rule, error) { return mask.ZIP3(mask.SafeHarborZIPs(), fill) }},
		{"a ZIP table without a date", func() (mask.Rule, error) { return mask.ZIP3(mask.ZIPTable{}) }},
		{"a ZIP area of two digits", func() (mask.Rule, error) {
			return mask.ZIP3(mask.ZIPTable{AsOf: "2020 census", Small: []string{"36"}})
		}},
		{"a ZIP area of letters", func() (mask.Rule, error) {
			return mask.ZIP3(mask.ZIPTable{AsOf: "2020 census", Small: []string{"03O"}})
		}},
		{"URL in no form", func() (mask.Rule, error) { return mask.URL(0) }},
		{"URL in an unknown form", func() (mask.Rule, error) { return mask.URL(mask.URLOrigin + 1) }},
		{"all bits of IPv4", func() (mask.Rule, error) { return mask.IPPrefix(32, 48) }},
		{"all bits of IPv6", func() (mask.Rule, error) { return mask.IPPrefix(24, 128) }},
		{"negative bits", func() (mask.Rule, error) { return mask.IPNetwork(-1, 48) }},
		{"a step of coordinates of zero", func() (mask.Rule, error) { return mask.GeoPair("0") }},
		{"a negative step of coordinates", func() (mask.Rule, error) { return mask.GeoPair("-1") }},
		{"a step of coordinates beyond the pole", func() (mask.Rule, error) { return mask.GeoPair("90.5") }},
		{"a step of coordinates that is no number", func() (mask.Rule, error) { return mask.GeoPair("1km") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := tt.make()
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.HasPrefix(err.Error(), "mask: ") {
				t.Errorf("the error does not say where it comes from: %v", err)
			}
			if _, err := rule.Append(nil, []byte("1")); !errors.Is(err, mask.ErrNoRule) {
				t.Errorf("the rule beside the error is not the zero one: %v", err)
			}
		})
	}
}

func TestRedactToAndConstant(t *testing.T) {
	checkRule(t, must(t)(mask.RedactTo(3, mask.WithFill('•'))), []textCase{
		{"a longer value", "secret", "•••"},
		{"an empty value", "", "•••"},
	})
	checkRule(t, must(t)(mask.RedactTo(0)), []textCase{{"to nothing", "secret", ""}})
	checkRule(t, must(t)(mask.Constant("[redacted]")), []textCase{
		{"a value", "secret", "[redacted]"},
		{"an empty value", "", "[redacted]"},
	})
}

func TestCard(t *testing.T) {
	checkRule(t, must(t)(mask.Card(mask.CardFirst6Last4)), []textCase{
		{"sixteen digits", "4111111111111111", "411111******1111"},
		{"American Express hides five of 15", "378282246310005", "378282*****0005"},
		{"American Express in its own groups", "3782 822463 10005", "3782 82**** *0005"},
		{"Diners of 14 hides four", "30569309025904", "305693****5904"},
		{"13 digits show their last four only", "4222222222222", "*********2222"},
		{"12 digits show their last four only", "501800000009", "********0009"},
		{"19 digits hide nine", "6304000000000000001", "630400*********0001"},
		{"17 digits hide seven", "63040000000000001", "630400*******0001"},
		{"hyphens stay", "4111-1111-1111-1111", "4111-11**-****-1111"},
		{"a wrong check digit is hidden like a good one", "4111111111111112", "411111******1112"},
		{"11 digits", "41111111111", refuses},
		{"20 digits", "41111111111111111111", refuses},
		{"a letter for a digit", "411111111111111O", refuses},
		{"digits of another script", "４１１１１１１１１１１１１１１１", refuses},
		{"two spaces", "4111  111111111111", refuses},
		{"a space at the front", " 4111111111111111", refuses},
		{"a space at the end", "4111111111111111 ", refuses},
		{"dots between", "4111.1111.1111.1111", refuses},
		{"what was masked already", "411111******1111", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.Card(mask.CardFirst8Last4)), []textCase{
		{"sixteen digits", "4111111111111111", "41111111****1111"},
		{"15 digits show six in front", "378282246310005", "378282*****0005"},
		{"17 digits show six in front", "63040000000000001", "630400*******0001"},
		{"14 digits show six in front", "30569309025904", "305693****5904"},
		{"13 digits show their last four only", "4222222222222", "*********2222"},
	})
	checkRule(t, must(t)(mask.Card(mask.CardLast4, mask.WithFill('•'))), []textCase{
		{"sixteen digits", "4111 1111 1111 1111", "•••• •••• •••• 1111"},
		{"19 digits", "6304000000000000001", "•••••••••••••••0001"},
	})
}

// PCI DSS says of each length how many digits must be gone at least.
func TestCardHidesWhatPCIAsksFor(t *testing.T) {
	for digits := 12; digits <= 19; digits++ {
		hidden := map[int]int{12: 2, 13: 3, 14: 4, 15: 5, 16: 4, 17: 6, 18: 6, 19: 6}[digits]
		for _, form := range []mask.CardForm{mask.CardFirst6Last4, mask.CardFirst8Last4, mask.CardLast4} {
			rule := must(t)(mask.Card(form))
			got, err := rule.Append(nil, []byte(strings.Repeat("7", digits)))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(got), "*"); n < hidden {
				t.Errorf("form %d of %d digits hides %d, want at least %d", form, digits, n, hidden)
			}
		}
	}
}

func TestEmail(t *testing.T) {
	checkRule(t, must(t)(mask.Email(mask.EmailDomain)), []textCase{
		{"an address", "alice@example.com", "****@example.com"},
		{"one character before the @", "a@example.com", "****@example.com"},
		{"a tag behind +", "alice+news@example.com", "****@example.com"},
		{"a quoted local part with an @", `"alice@home"@example.com`, "****@example.com"},
		{"a quoted local part with an escape", `"al\"ice"@example.com`, "****@example.com"},
		{"a local part of another script", "žofie@example.com", "****@example.com"},
		{"an internationalized domain", "alice@přiklad.cz", "****@přiklad.cz"},
		{"a domain of one label", "alice@localhost", "****@localhost"},
		{"an address literal", "alice@[192.0.2.1]", "****@[192.0.2.1]"},
		{"capital letters stay", "Alice@Example.COM", "****@Example.COM"},
		{"no @", "alice.example.com", refuses},
		{"nothing before the @", "@example.com", refuses},
		{"nothing behind the @", "alice@", refuses},
		{"two bare @", "alice@home@example.com", refuses},
		{"a list", "alice@example.com,bob@example.com", refuses},
		{"a name beside the address", "Alice <alice@example.com>", refuses},
		{"a space in front", " alice@example.com", refuses},
		{"a line break at the end", "alice@example.com\n", refuses},
		{"a domain that begins with a hyphen", "alice@-example.com", refuses},
		{"a label that ends with a hyphen", "alice@example-.com", refuses},
		{"an empty label", "alice@example..com", refuses},
		{"a dot at the end", "alice@example.com.", refuses},
		{"an underscore in the domain", "alice@ex_ample.com", refuses},
		{"a local part of 65 bytes", strings.Repeat("a", 65) + "@example.com", refuses},
		{"a label of 64 bytes", "alice@" + strings.Repeat("a", 64) + ".com", refuses},
		{"a domain of 254 bytes", "a@" + strings.Repeat("abcdefg.", 31) + "abc.de", refuses},
		{"a quote that does not end", `"alice@example.com`, refuses},
		{"an empty quote", `""@example.com`, refuses},
		{"a quote that an escape ends", `"alice\"@example.com`, refuses},
		{"a quote within the quotes", `"al"ice"@example.com`, refuses},
		{"a control character in quotes", "\"a\x01b\"@example.com", refuses},
		{"an invisible character", "ali\u200bce@example.com", refuses},
		{"an open literal", "alice@[192.0.2.1", refuses},
		{"an empty literal", "alice@[]", refuses},
		{"a literal with other signs", "alice@[a_b]", refuses},
		{"a sign in the domain", "alice@exa€mple.com", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.Email(mask.EmailFirst)), []textCase{
		{"an address", "alice@example.com", "a***@example.com"},
		{"one character before the @ is hidden", "a@example.com", "****@example.com"},
		{"two characters", "al@example.com", "a***@example.com"},
		{"a character of several bytes", "žofie@example.com", "ž***@example.com"},
		{"one character of several bytes is hidden", "ž@example.com", "****@example.com"},
		{"a quote has no first character", `"alice"@example.com`, "****@example.com"},
	})
	checkRule(t, must(t)(mask.Email(mask.EmailTLD, mask.WithFill('#'))), []textCase{
		{"an address", "alice@example.com", "####@####.com"},
		{"several labels", "alice@mail.example.co.uk", "####@####.uk"},
		{"one label is hidden", "alice@localhost", "####@####"},
		{"an address literal is hidden", "alice@[192.0.2.1]", "####@####"},
	})
}

func TestPhone(t *testing.T) {
	checkRule(t, must(t)(mask.Phone(2)), []textCase{
		{"a country code of three digits", "+420777123456", "+420*******56"},
		{"a country code of two digits", "+44 20 7946 0018", "+44 ** **** **18"},
		{"a country code of one digit", "+1 (212) 555-0123", "+1 (***) ***-**23"},
		{"a trunk zero in brackets", "+44 (0)20 7946 0018", "+44 (*)** **** **18"},
		{"Russia", "+7 912 345-67-89", "+7 *** ***-**-89"},
		{"an international number", "+800 1234 5678", "+800 **** **78"},
		{"a code that nobody has is hidden", "+999 123 456 789", "+*** *** *** *89"},
		{"a code that begins like others and is none", "+210 123 456", "+*** *** *56"},
		{"a national number", "020 7946 0018", "*** **** **18"},
		{"dots and slashes stay", "030/123.45-67", "***/***.**-67"},
		{"an international prefix is not known", "00420 777 123 456", "***** *** *** *56"},
		{"an emergency number", "112", "*12"},
		{"no more behind the code than to show is hidden whole", "+420 56", "+*** **"},
		{"15 digits", "+999999999999999", "+*************99"},
		{"16 digits", "+9999999999999999", refuses},
		{"20 digits without +", "00999999999999999999", "******************99"},
		{"21 digits without +", "009999999999999999999", refuses},
		{"two digits", "12", refuses},
		{"two plus signs", "++420777123456", refuses},
		{"a plus sign inside", "420+777123456", refuses},
		{"an extension", "+420777123456 ext. 7", refuses},
		{"letters", "1-800-FLOWERS", refuses},
		{"a tab", "+420\t777123456", refuses},
		{"many separators", "+420" + strings.Repeat(" ", 60) + "777", refuses},
		{"a plus sign alone", "+", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.Phone(0)), []textCase{
		{"none of the last", "+420777123456", "+420*********"},
		{"nothing behind the code is hidden whole", "+420", "+***"},
		{"a national number", "777123456", "*********"},
	})
	checkRule(t, must(t)(mask.Phone(15)), []textCase{
		{"more to show than there is hides all", "+420777123456", "+************"},
		{"20 digits show 15", "00999999999999999999", "*****999999999999999"},
	})
}

func TestIBAN(t *testing.T) {
	checkRule(t, must(t)(mask.IBAN()), []textCase{
		{"in one piece", "GB82WEST12345698765432", "GB****************5432"},
		{"in groups", "DE89 3704 0044 0532 0130 00", "DE** **** **** **** **30 00"},
		{"the shortest", "NO9386011117947", "NO*********7947"},
		{"in lower case", "gb82west12345698765432", "gb****************5432"},
		{"34 characters", "MT84MALT011000012345MTLCAST001S123", "MT****************************S123"},
		{"14 characters", "NO938601111794", refuses},
		{"35 characters", "MT84MALT011000012345MTLCAST001S1234", refuses},
		{"a digit in the country", "G182WEST12345698765432", refuses},
		{"a letter in the check digits", "GB8AWEST12345698765432", refuses},
		{"two spaces", "DE89  370400440532013000", refuses},
		{"a space at the front", " DE89370400440532013000", refuses},
		{"a space at the end", "DE89370400440532013000 ", refuses},
		{"hyphens", "DE89-3704-0044-0532-0130-00", refuses},
		{"a letter beyond ASCII", "DE89370400440532013Č00", refuses},
		{"an empty value", "", refuses},
	})
}

func TestSSN(t *testing.T) {
	checkRule(t, must(t)(mask.SSN()), []textCase{
		{"with hyphens", "123-45-6789", "***-**-6789"},
		{"in one piece", "123456789", "*****6789"},
		{"eight digits", "12345678", refuses},
		{"ten digits", "1234567890", refuses},
		{"hyphens elsewhere", "12-345-6789", refuses},
		{"one hyphen", "123-456789", refuses},
		{"spaces", "123 45 6789", refuses},
		{"a letter", "123-45-678X", refuses},
		{"eleven digits", "12345678901", refuses},
		{"an empty value", "", refuses},
	})
}

func TestInitials(t *testing.T) {
	checkRule(t, must(t)(mask.Initials()), []textCase{
		{"two words", "Johannes Kepler", "J. K."},
		{"small words count", "Johannes van der Berg", "J. v. d. B."},
		{"one word", "Johannes", "J."},
		{"letters of several bytes", "Žofie Řezníčková", "Ž. Ř."},
		{"a hyphen joins", "Jean-Luc Picard", "J. P."},
		{"an apostrophe joins", "Conan O'Brien", "C. O."},
		{"initials stay", "J. P. Morgan", "J. P. M."},
		{"a word of one letter is hidden", "Malcolm X", "M. *."},
		{"a name of one letter each is hidden", "王 明", "*. *."},
		{"a name in one word", "王小明", "王."},
		{"a dot before the last letter makes no initial", ".X Kepler", "*. K."},
		{"several spaces and line breaks", " Johannes \n\t Kepler ", "J. K."},
		{"a wide space parts words", "Johannes\u3000Kepler", "J. K."},
		{"signs in front of a word", "(Johannes) \"Kepler\"", "J. K."},
		{"a word without letters is left out", "Johannes 2 & Kepler", "J. K."},
		{"letters behind digits", "Johannes 3rd", "J. r."},
		{"fill characters count as letters", "Johannes ****", "J. *."},
		{"an empty value", "", ""},
		{"digits only", "12345", refuses},
		{"spaces only", "   ", refuses},
	})
}

func TestMAC(t *testing.T) {
	checkRule(t, must(t)(mask.MAC()), []textCase{
		{"with colons", "00:1b:63:84:45:e6", "00:1b:63:**:**:**"},
		{"with hyphens and capitals", "00-1B-63-84-45-E6", "00-1B-63-**-**-**"},
		{"with dots", "001b.6384.45e6", "001b.63**.****"},
		{"in one piece", "001b638445e6", "001b63******"},
		{"of 64 bits", "00:1b:63:ff:fe:84:45:e6", "00:1b:63:**:**:**:**:**"},
		{"of 64 bits with dots", "001b.63ff.fe84.45e6", "001b.63**.****.****"},
		{"of 64 bits in one piece", "001b63fffe8445e6", "001b63**********"},
		{"a random one names no maker", "02:1b:63:84:45:e6", "**:**:**:**:**:**"},
		{"another random one", "da-a1-19-00-00-01", "**-**-**-**-**-**"},
		{"mixed separators", "00:1b-63:84:45:e6", refuses},
		{"other separators", "00 1b 63 84 45 e6", refuses},
		{"a letter that is no digit", "00:1b:63:84:45:g6", refuses},
		{"one digit short", "00:1b:63:84:45:e", refuses},
		{"separators at odd places", "001:b63:84:45:e6x", refuses},
		{"dots at odd places", "00.1b63.8445.e", refuses},
		{"an empty value", "", refuses},
	})
}

func TestUUID(t *testing.T) {
	checkRule(t, must(t)(mask.UUID()), []textCase{
		{"version 4", "f81d4fae-7dec-41d0-a765-00a0c91e6bf6", "********-****-4***-****-********6bf6"},
		{"version 7 in one piece", "017f22e279b07cc398c4dc0c0c07398f", "************7***************398f"},
		{"capitals", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "********-****-1***-****-********6BF6"},
		{"the nil UUID has no version", "00000000-0000-0000-0000-000000000000", "********-****-****-****-********0000"},
		{"another variant has no version", "f81d4fae-7dec-41d0-c765-00a0c91e6bf6", "********-****-****-****-********6bf6"},
		{"no version 9", "f81d4fae-7dec-91d0-a765-00a0c91e6bf6", "********-****-****-****-********6bf6"},
		{"a letter that is no digit", "g81d4fae-7dec-41d0-a765-00a0c91e6bf6", refuses},
		{"hyphens elsewhere", "f81d4fae7-dec-41d0-a765-00a0c91e6bf6", refuses},
		{"in braces", "{f81d4fae-7dec-41d0-a765-00a0c91e6bf6}", refuses},
		{"one digit short", "f81d4fae-7dec-41d0-a765-00a0c91e6bf", refuses},
		{"32 characters with hyphens", "f81d4fae-7dec-41d0-a765-00a0c91e", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.UUID(mask.WithFill('•'))), []textCase{
		{"a fill of several bytes", "f81d4fae-7dec-41d0-a765-00a0c91e6bf6", "••••••••-••••-4•••-••••-••••••••6bf6"},
	})
}

func TestURL(t *testing.T) {
	checkRule(t, must(t)(mask.URL(mask.URLPath)), []textCase{
		{"host alone", "https://example.com", "https://example.com"},
		{"a path stays", "https://example.com/a/b", "https://example.com/a/b"},
		{"a port stays", "https://example.com:8443/a", "https://example.com:8443/a"},
		{"user and password go", "https://me:pw@example.com/a", "https://example.com/a"},
		{"a password with an @ goes", "https://me:p@w@example.com/a", "https://example.com/a"},
		{"values of the query are hidden", "https://example.com/a?x=1&name=Alice", "https://example.com/a?x=***&name=***"},
		{"a value with = is hidden whole", "https://example.com/?x=1=2", "https://example.com/?x=***"},
		{"semicolons do not part parameters", "https://example.com/?x=1;y=2", "https://example.com/?x=***"},
		{"a bare parameter is hidden", "https://example.com/?alice", "https://example.com/?***"},
		{"a parameter without value is hidden", "https://example.com/?alice=", "https://example.com/?***"},
		{"the padding of a token makes no name of it", "https://example.com/?c2VjcmV0IQ==", "https://example.com/?***"},
		{"a name that is a value is hidden", "https://example.com/?alice@example.com=1", "https://example.com/?***"},
		{"a name of digits is hidden", "https://example.com/?4111111111111111=1", "https://example.com/?***"},
		{"a long name is hidden", "https://example.com/?" + strings.Repeat("a", 33) + "=1", "https://example.com/?***"},
		{"a name with brackets stays", "https://example.com/?a[b]=1&_c.d-e=2", "https://example.com/?a[b]=***&_c.d-e=***"},
		{"nothing between two &", "https://example.com/?a=1&&b=2&", "https://example.com/?a=***&&b=***&"},
		{"an empty query", "https://example.com/?", "https://example.com/?"},
		{"an empty fragment", "https://example.com/#", "https://example.com/#"},
		{"a fragment is hidden", "https://example.com/#token=1", "https://example.com/#***"},
		{"a question mark in the fragment", "https://example.com/#a?b=1", "https://example.com/#***"},
		{"query and fragment", "https://example.com?a=1#b", "https://example.com?a=***#***"},
		{"an @ in the path is none of a user", "https://example.com/@alice", "https://example.com/@alice"},
		{"an @ in the query is none of a user", "https://example.com?a=@b", "https://example.com?a=***"},
		{"an IPv6 host", "http://[2001:db8::1]:80/a", "http://[2001:db8::1]:80/a"},
		{"an internationalized URL", "https://příklad.cz/žába?x=ž", "https://příklad.cz/žába?x=***"},
		{"another scheme", "git+ssh://git@example.com/a.git", "git+ssh://example.com/a.git"},
		{"what was masked stays", "https://example.com/?a=***&***#***", "https://example.com/?a=***&***#***"},
		{"no scheme", "example.com/a", refuses},
		{"no host", "https:///a", refuses},
		{"a user without a host", "https://me@/a", refuses},
		{"a port without a host", "https://:80/a", refuses},
		{"a port of letters", "https://example.com:pw/a", refuses},
		{"a port of six digits", "https://example.com:123456/a", refuses},
		{"a password with a slash", "https://me:p/w@example.com", refuses},
		{"a bracket that stays open", "https://[2001:db8::1/a", refuses},
		{"no address in brackets", "https://[x]/a", refuses},
		{"text behind the brackets", "https://[::1]x/a", refuses},
		{"a bracket in a name", "https://a]b/c", refuses},
		{"a relative one", "//example.com/a", refuses},
		{"an address to mail to", "mailto:alice@example.com", refuses},
		{"one slash", "https:/example.com", refuses},
		{"a scheme that begins with a digit", "1http://example.com", refuses},
		{"a space", "https://example.com/a b", refuses},
		{"a backslash", `https://example.com\@evil.example`, refuses},
		{"a line break", "https://example.com/\n", refuses},
		{"a quotation mark", `https://example.com/"`, refuses},
		{"DEL", "https://example.com/\x7f", refuses},
		{"an invisible character", "https://example.com/\u200b", refuses},
		{"a scheme alone", "https://", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.URL(mask.URLOrigin)), []textCase{
		{"all behind the host goes", "https://me@example.com:80/a?b=1#c", "https://example.com:80"},
		{"nothing behind the host", "https://example.com", "https://example.com"},
		{"a query that no URL holds", "https://example.com/?a b", refuses},
	})
}

func TestZIP3(t *testing.T) {
	checkRule(t, must(t)(mask.ZIP3(mask.SafeHarborZIPs())), []textCase{
		{"five digits", "90210", "902**"},
		{"nine with a hyphen", "90210-1234", "902**"},
		{"nine in one piece", "902101234", "902**"},
		{"a small area", "03601", "000**"},
		{"a small area with nine digits", "89301-1234", "000**"},
		{"the area before a small one", "03501", "035**"},
		{"the first area", "00001", "000**"},
		{"the last area", "99999", "999**"},
		{"four digits", "9021", refuses},
		{"six digits", "902101", refuses},
		{"another hyphen", "9021-01234", refuses},
		{"a hyphen and three digits", "90210-123", refuses},
		{"a space for the hyphen", "90210 1234", refuses},
		{"a digit for the hyphen", "9021001234", refuses},
		{"a letter", "9O210", refuses},
		{"two hyphens", "90210--234", refuses},
		{"a postal code of Canada", "K1A 0B1", refuses},
		{"an empty value", "", refuses},
	})
	for _, area := range mask.SafeHarborZIPs().Small {
		checkRule(t, must(t)(mask.ZIP3(mask.SafeHarborZIPs(), mask.WithFill('•'))), []textCase{
			{"small area " + area, area + "55", "000••"},
		})
	}
	own := mask.ZIPTable{AsOf: "2020 census", Small: []string{"902"}}
	rule := must(t)(mask.ZIP3(own))
	own.Small[0] = "777"
	checkRule(t, rule, []textCase{
		{"a table of one's own", "90210", "000**"},
		{"what the default has is not in it", "03601", "036**"},
	})
}

func TestGeoPair(t *testing.T) {
	checkRule(t, must(t)(mask.GeoPair("0.01")), []textCase{
		{"north and east", "50.087512,14.421389", "50.09,14.42"},
		{"south and west", "-33.856784,-70.659", "-33.86,-70.66"},
		{"a space behind the comma stays", "50.087512, 14.421389", "50.09, 14.42"},
		{"whole degrees", "50,14", "50,14"},
		{"the middle goes away from zero", "0.005,-0.005", "0.01,-0.01"},
		{"no negative zero", "-0.001,-0.0", "0,0"},
		{"the poles and the date line", "90,-180", "90,-180"},
		{"an exponent", "5.0087e1,1.4e1", "50.09,14"},
		{"many digits", "50.08751249999999999999999999,14.42138999999999999999999", "50.09,14.42"},
		{"beyond the pole", "90.0000001,0", refuses},
		{"beyond the pole by less than is counted", "90.00000000000000000000000001,0", refuses},
		{"beyond the date line", "0,180.1", refuses},
		{"the order of longitude and latitude", "170,50", refuses},
		{"huge", "1e99,0", refuses},
		{"two spaces", "50,  14", refuses},
		{"a space in front of the comma", "50 ,14", refuses},
		{"one number", "50", refuses},
		{"three numbers", "50,14,200", refuses},
		{"no latitude", ",14", refuses},
		{"no longitude", "50,", refuses},
		{"letters for directions", "50N,14E", refuses},
		{"not a number", "NaN,0", refuses},
		{"an empty value", "", refuses},
	})
	checkRule(t, must(t)(mask.GeoPair("0.7")), []textCase{
		{"the largest multiple within the pole", "90,180", "89.6,179.9"},
		{"and to the south", "-90,-180", "-89.6,-179.9"},
	})
	checkRule(t, must(t)(mask.GeoPair("90")), []textCase{
		{"the largest step", "45,-134.9", "90,-90"},
	})
}

func TestNamed(t *testing.T) {
	for _, name := range mask.Names() {
		rule, err := mask.Named(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if rule.Takes() != mask.Text {
			t.Errorf("%s takes %v", name, rule.Takes())
		}
	}
	tests := []struct{ name, rule, in, want string }{
		{"twice the bits of IPv6", "ip/20", "2001:db8:ffff:ffff::1", "2001:db8:ff00::"},
		{"no bits", "cidr/0", "203.0.113.77", "0.0.0.0/0"},
		{"bits of both", "ip/16,32", "2001:db8:ffff:ffff::1", "2001:db8::"},
		{"many last digits", "phone/6", "777123456", "***123456"},
		{"no last digits", "phone/0", "777123456", "*********"},
		{"whole degrees", "geo/1", "50.0875,14.4214", "50,14"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := must(t)(mask.Named(tt.rule)).Append(nil, []byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("%s of %q = %q, %v, want %q", tt.rule, tt.in, got, err, tt.want)
			}
		})
	}
}

func TestNamedRefuses(t *testing.T) {
	for _, name := range []string{
		"", "/", "Card", "card ", "card/4", "redact/", "redact/-1", "redact/+1", "redact/08", "redact/1e2", "redact/99999", "redact/2000",
		"phone/", "phone/16", "phone/two", "ip", "ip/", "ip/32", "ip/24,", "ip/24,128", "ip/024", "ip/24,48,8", "ip/24/48", "cidr/33",
		"ip/64", "geo", "geo/", "geo/x", "geo/0", "geo/91", "zip3/5", "email-domain", "last4",
	} {
		rule, err := mask.Named(name)
		if err == nil {
			t.Errorf("%q is accepted", name)
			continue
		}
		if _, err := rule.Append(nil, []byte("1")); !errors.Is(err, mask.ErrNoRule) {
			t.Errorf("%q: the rule beside the error is not the zero one", name)
		}
	}
	_, err := mask.Named("crad")
	for _, name := range mask.Names() {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error for an unknown name does not list %q: %v", name, err)
		}
	}
}
