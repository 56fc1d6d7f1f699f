package input

import (
	"strings"
	"unicode"
)

// A shape is what the values of a field look like.
type shape uint8

// The shapes. Words stands for a field of which nothing is known.
const (
	shapeWords shape = iota
	shapeText
	shapeEmail
	shapePhone
	shapeCard
	shapeCVV
	shapeIBAN
	shapeBIC
	shapeSSN
	shapeIP
	shapeMAC
	shapeDate
	shapeTime
	shapeFirst
	shapeLast
	shapeName
	shapeUser
	shapeStreet
	shapeCity
	shapePostal
	shapeCountry
	shapeState
	shapeURL
	shapeAgent
	shapeUUID
	shapeID
	shapeCompany
	shapeCurrency
	shapePlate
	shapeGender
	shapeLanguage
	shapeZone
	shapeHash
	shapeStatus
	shapeLatitude
	shapeLongitude
	shapeYear
	shapeAge
	shapeMoney
	shapeCount
	shapeRatio
	shapeCode
)

// A naming says which words in the name of a field, or in a tag, make a shape.
type naming struct {
	words string
	shape shape
}

// namings are in order: the first that is found counts, so longer ones stand before
// the words that they hold.
func namings() []naming {
	return []naming{
		{"user agent", shapeAgent}, {"agent", shapeAgent},
		{"ip address", shapeIP}, {"remote addr", shapeIP}, {"ip", shapeIP}, {"ipv4", shapeIP}, {"ipv6", shapeIP},
		{"mac address", shapeMAC}, {"mac", shapeMAC},
		{"email", shapeEmail}, {"e mail", shapeEmail}, {"mail", shapeEmail},
		{"phone", shapePhone}, {"mobile", shapePhone}, {"telephone", shapePhone}, {"msisdn", shapePhone}, {"fax", shapePhone}, {"tel", shapePhone},
		{"cvv", shapeCVV}, {"cvc", shapeCVV}, {"cvv2", shapeCVV}, {"security code", shapeCVV},
		{"card number", shapeCard}, {"card no", shapeCard}, {"pan", shapeCard}, {"ccn", shapeCard}, {"credit card", shapeCard},
		{"iban", shapeIBAN}, {"bic", shapeBIC}, {"swift", shapeBIC},
		{"ssn", shapeSSN}, {"social security", shapeSSN}, {"national id", shapeSSN}, {"tax id", shapeSSN}, {"tin", shapeSSN},
		{"date of birth", shapeDate}, {"birth date", shapeDate}, {"birthday", shapeDate}, {"birthdate", shapeDate}, {"dob", shapeDate}, {"born", shapeDate}, {"birth", shapeDate},
		{"user name", shapeUser}, {"username", shapeUser}, {"login", shapeUser}, {"nickname", shapeUser},
		{"first name", shapeFirst}, {"given name", shapeFirst}, {"firstname", shapeFirst}, {"forename", shapeFirst},
		{"last name", shapeLast}, {"family name", shapeLast}, {"surname", shapeLast}, {"lastname", shapeLast},
		{"company", shapeCompany}, {"organization", shapeCompany}, {"organisation", shapeCompany}, {"employer", shapeCompany}, {"merchant", shapeCompany}, {"insurer", shapeCompany}, {"provider", shapeCompany},
		{"full name", shapeName}, {"fullname", shapeName}, {"holder", shapeName}, {"name", shapeName}, {"person", shapeName}, {"recipient", shapeName}, {"contact", shapeName},
		{"postal code", shapePostal}, {"post code", shapePostal}, {"postcode", shapePostal}, {"zip", shapePostal}, {"postal", shapePostal},
		{"country", shapeCountry}, {"state", shapeState}, {"province", shapeState}, {"city", shapeCity}, {"town", shapeCity},
		{"street", shapeStreet}, {"address", shapeStreet}, {"line1", shapeStreet}, {"addr", shapeStreet},
		{"url", shapeURL}, {"uri", shapeURL}, {"referrer", shapeURL}, {"referer", shapeURL}, {"website", shapeURL}, {"link", shapeURL}, {"page", shapeURL},
		{"uuid", shapeUUID}, {"guid", shapeUUID},
		{"currency", shapeCurrency}, {"plate", shapePlate}, {"gender", shapeGender}, {"sex", shapeGender},
		{"language", shapeLanguage}, {"locale", shapeLanguage}, {"time zone", shapeZone}, {"timezone", shapeZone},
		{"hash", shapeHash}, {"fingerprint", shapeHash}, {"checksum", shapeHash}, {"digest", shapeHash}, {"token", shapeHash}, {"signature", shapeHash},
		{"latitude", shapeLatitude}, {"lat", shapeLatitude}, {"longitude", shapeLongitude}, {"lon", shapeLongitude}, {"lng", shapeLongitude},
		{"note", shapeText}, {"comment", shapeText}, {"description", shapeText}, {"message", shapeText}, {"body", shapeText}, {"remark", shapeText}, {"reason", shapeText}, {"finding", shapeText},
		{"status", shapeStatus}, {"level", shapeStatus}, {"tier", shapeStatus},
		{"year", shapeYear}, {"age", shapeAge},
		{"amount", shapeMoney}, {"price", shapeMoney}, {"total", shapeMoney}, {"cent", shapeMoney}, {"balance", shapeMoney}, {"salary", shapeMoney}, {"income", shapeMoney}, {"fee", shapeMoney},
		{"count", shapeCount}, {"quantity", shapeCount}, {"qty", shapeCount}, {"number of", shapeCount},
		{"ratio", shapeRatio}, {"rate", shapeRatio}, {"percent", shapeRatio}, {"discount", shapeRatio}, {"score", shapeRatio},
		{"timestamp", shapeTime}, {"created", shapeTime}, {"updated", shapeTime}, {"at", shapeTime}, {"time", shapeTime}, {"admitted", shapeTime},
		{"date", shapeDate}, {"expiry", shapeDate},
		{"mrn", shapeID}, {"account", shapeID}, {"record number", shapeID}, {"id", shapeID}, {"key", shapeID}, {"reference", shapeID}, {"session", shapeID}, {"order", shapeID}, {"sku", shapeID}, {"number", shapeID},
		{"code", shapeCode}, {"icd10", shapeCode},
	}
}

// A shaper finds the shapes of fields, and remembers them. It belongs to one
// goroutine.
type shaper struct {
	namings []naming
	known   map[string]shape
	tags    map[string][]string // of the fields of the schema, by path
}

func newShaper(tags map[string][]string) *shaper {
	return &shaper{namings: namings(), known: make(map[string]shape), tags: tags}
}

// of returns the shape of the field at a path. Its own tag says more than its name,
// unless the tag is only a class.
func (s *shaper) of(path string) shape {
	if known, ok := s.known[path]; ok {
		return known
	}
	out := s.find(path)
	s.known[path] = out
	return out
}

func (s *shaper) find(path string) shape {
	for _, tag := range s.tags[path] {
		// The first segment of "PII.EMAIL" is the class.
		if _, rest, ok := strings.Cut(tag, "."); ok {
			if found := s.match(words(rest)); found != shapeWords {
				return found
			}
		}
	}
	name := ""
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" && segment != "[]" && segment != "{}" {
			name = segment
		}
	}
	if found := s.match(words(name)); found != shapeWords {
		return found
	}
	for _, tag := range s.tags[path] {
		if found := s.match(words(tag)); found != shapeWords {
			return found
		}
	}
	return shapeWords
}

func (s *shaper) match(text string) shape {
	for _, n := range s.namings {
		if strings.Contains(text, " "+n.words+" ") || strings.Contains(text, " "+n.words+"s ") {
			return n.shape
		}
	}
	return shapeWords
}

// words takes a name apart, in lower case, with a space around each word:
// "homePhone_number" is " home phone number ".
func words(name string) string {
	var b strings.Builder
	b.WriteByte(' ')
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			b.WriteByte(' ')
			lower = false
			continue
		case unicode.IsUpper(r) && lower:
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(unicode.ToLower(r))
	}
	b.WriteByte(' ')
	return strings.Join(append([]string{""}, append(strings.Fields(b.String()), "")...), " ")
}
