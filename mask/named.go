package mask

import (
	"fmt"
	"strconv"
	"strings"
)

// Names returns a form of each name that [Named] knows. A number behind a slash
// stands for any that fits.
func Names() []string {
	return []string{
		"redact", "redact/8", "redacted",
		"card", "card-first6-last4", "card-first8-last4", "card-last4",
		"email", "email-first", "email-tld",
		"phone", "phone/4", "iban", "ssn", "initials",
		"ip/24", "ip/24,48", "cidr/24", "cidr/24,48", "mac",
		"url", "url-origin", "uuid", "zip3", "geo/0.01",
	}
}

// Named returns the Text rule of a name, as policies write it:
//
//	redact             Redact(), a fill character for each one
//	redact/8           RedactTo(8)
//	redacted           Constant("[redacted]")
//	card               Card(CardFirst6Last4), and so is the next
//	card-first6-last4
//	card-first8-last4  Card(CardFirst8Last4)
//	card-last4         Card(CardLast4)
//	email              Email(EmailDomain)
//	email-first        Email(EmailFirst)
//	email-tld          Email(EmailTLD)
//	phone, phone/4     Phone(2), Phone(4)
//	iban               IBAN()
//	ssn                SSN()
//	initials           Initials()
//	ip/24, ip/24,48    IPPrefix(24, 48); twice as many bits of IPv6 when one number stands there
//	cidr/24,48         IPNetwork(24, 48)
//	mac                MAC()
//	url                URL(URLPath)
//	url-origin         URL(URLOrigin)
//	uuid               UUID()
//	zip3               ZIP3(SafeHarborZIPs())
//	geo/0.01           GeoPair("0.01")
//
// The error for an unknown name lists all that are known.
func Named(name string) (Rule, error) {
	switch name {
	case "redact":
		return Redact()
	case "redacted":
		return Constant("[redacted]")
	case "card", "card-first6-last4":
		return Card(CardFirst6Last4)
	case "card-first8-last4":
		return Card(CardFirst8Last4)
	case "card-last4":
		return Card(CardLast4)
	case "email":
		return Email(EmailDomain)
	case "email-first":
		return Email(EmailFirst)
	case "email-tld":
		return Email(EmailTLD)
	case "phone":
		return Phone(2)
	case "iban":
		return IBAN()
	case "ssn":
		return SSN()
	case "initials":
		return Initials()
	case "mac":
		return MAC()
	case "url":
		return URL(URLPath)
	case "url-origin":
		return URL(URLOrigin)
	case "uuid":
		return UUID()
	case "zip3":
		return ZIP3(SafeHarborZIPs())
	}
	if word, text, ok := strings.Cut(name, "/"); ok {
		return parameterized(word, text)
	}
	return Rule{}, errUnknownName()
}

func parameterized(word, text string) (Rule, error) {
	switch word {
	case "geo":
		return GeoPair(text)
	case "redact", "phone":
		n, ok := count(text)
		if !ok {
			return Rule{}, fmt.Errorf("mask: rule %s takes one number, as in %s/4", word, word)
		}
		if word == "phone" {
			return Phone(n)
		}
		return RedactTo(n)
	case "ip", "cidr":
		v4, v6, ok := prefixLengths(text)
		if !ok {
			return Rule{}, fmt.Errorf("mask: rule %s takes the bits of IPv4 to keep, and perhaps those of IPv6, as in %s/24,48", word, word)
		}
		if word == "cidr" {
			return IPNetwork(v4, v6)
		}
		return IPPrefix(v4, v6)
	default:
		return Rule{}, errUnknownName()
	}
}

func errUnknownName() error {
	return fmt.Errorf("mask: unknown rule; known are %s", strings.Join(Names(), ", "))
}

// count reads a number of at most four digits, without a sign or zeros in front.
func count(text string) (int, bool) {
	if text == "" || len(text) > 4 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	for i := range len(text) {
		if !isDigit(text[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func prefixLengths(text string) (v4, v6 int, ok bool) {
	first, second, both := strings.Cut(text, ",")
	v4, ok = count(first)
	if !ok || !both {
		return v4, 2 * v4, ok
	}
	v6, ok = count(second)
	return v4, v6, ok
}
