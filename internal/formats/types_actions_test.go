package formats_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A sample is the text that a text field holds under one action, so that it is
// never the value that does not fit.
type sample struct {
	text string
	// secret is a part of it that must be gone, whatever the action keeps.
	secret string
}

// number is in every number field: the second 2005-07-25T23:20:55Z, which 32 bits
// hold, and the nearest one that a float has.
const (
	number      = 1122334455
	numberFloat = 1122334464
	theUUID     = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	theDay      = 12989 // of number, since 1970
	constantOf  = "constant"
)

func textSample() sample   { return sample{"Canary Zebra Crossing", "anary Zebra"} }
func digitSample() sample  { return sample{"4827165039", "4827165039"} }
func mailSample() sample   { return sample{"canary.zebra@example.org", "zebra"} }
func cardSample() sample   { return sample{"4012888888881881", "88888888"} }
func uuidSample() sample   { return sample{theUUID, "7425-40de"} }
func numberSample() sample { return sample{"1122334455", "334455"} }
func daySample() sample    { return sample{"2005-07-25", "07-25"} }

// The ways in which values come back.
type way uint8

const (
	never     way = iota
	byKey         // whoever may use the keys has them
	byRequest     // whoever the vault's gate lets pass
	refused       // there is nothing to come back
)

// An action is one column of the matrix: an action of a policy with parameters.
type action struct {
	name   string // of the column, and the topic
	word   string
	params string
	sample sample
	way    way
	// is tells whether a value can be what the action makes. The text is that of
	// a leaf, see typeCase.show.
	is func(c *typeCase, text string) bool
}

func (a *action) rule() string {
	if a.params == "" {
		return "action: " + a.word
	}
	return "action: " + a.word + ", " + a.params
}

func matching(expr string) func(*typeCase, string) bool {
	re := regexp.MustCompile("^(?:" + expr + ")$")
	return func(_ *typeCase, text string) bool { return re.MatchString(text) }
}

// actions returns the columns, in groups.
func actions() [][]action {
	envelope := func(_ *typeCase, text string) bool {
		return strings.HasPrefix(text, "fv1:") && len(text) > 50 || strings.HasPrefix(text, "\x01") && len(text) > 36
	}
	year := matching(`1104537600|2005-01-01(T00:00:00Z)?`)
	shifted := func(c *typeCase, text string) bool { return c.moved(text) }
	const vault, key = "vault: people, ", "key: ids, "
	return [][]action{
		{
			{"encrypt", "encrypt", "key: k", textSample(), byKey, envelope},
			{"encrypt-whole", "encrypt", "key: k, apply: whole", textSample(), byKey, envelope},
			{"person", "encrypt", "mode: person, by: key", textSample(), byKey, envelope},
			{"person-whole", "encrypt", "mode: person, by: /person, apply: whole", textSample(), byKey, envelope},
			{"deterministic", "encrypt", key + "mode: deterministic", textSample(), byKey, envelope},
			{"deterministic-reason", "encrypt", key + "mode: deterministic, reason: it is joined", textSample(), byKey, envelope},
			{"deterministic-whole", "encrypt", key + "mode: deterministic, apply: whole, reason: it is joined", textSample(), byKey, envelope},
			{"format-preserving", "encrypt", key + "mode: format-preserving", digitSample(), byKey, matching(`\d{10}`)},
		},
		{
			{"hash-hex", "hash", "key: ids", textSample(), never, matching(`[0-9a-f]{64}`)},
			{"hash-uuid", "hash", key + "form: uuid", uuidSample(), never, matching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)},
			{"unsafe-sha256", "unsafe-sha256", "reason: long and random", textSample(), never, matching(`[0-9a-f]{64}`)},
		},
		{
			{"mask-keep", "mask", "keep_last: 1", textSample(), never, matching(`\*{20}g`)},
			{"mask-email", "mask", "rule: email", mailSample(), never, matching(`[^a-z]*@example\.org`)},
			{"mask-redact", "mask", "rule: redact", textSample(), never, matching(`\*{21}`)},
		},
		{
			{"year", "generalize", "to: year", daySample(), never, year},
			{"year-seconds", "generalize", "to: year, layout: seconds", numberSample(), never, year},
			{"year-iso-date", "generalize", "to: year, layout: iso-date", daySample(), never, year},
			{"bucket", "generalize", "bucket: 1000000", numberSample(), never, matching(`112[12]\d{6}|1122000000-1122999999`)},
			{"top", "generalize", "top: 5000", numberSample(), never, matching(`5000\+?`)},
			{"round", "generalize", "round: -6", numberSample(), never, matching(`112[12]\d{6}`)},
		},
		{
			{"shift-person", "shift", key + "days: 10000, by: /person", daySample(), never, shifted},
			{"shift-key", "shift", key + "days: 10000, by: key", daySample(), never, shifted},
			{"shift-seconds", "shift", key + "days: 10000, by: /person, layout: seconds", numberSample(), never, shifted},
			{"shift-iso-date", "shift", key + "days: 10000, by: key, layout: iso-date", daySample(), never, shifted},
		},
		{
			{"token-prefixed", "tokenize", vault + "format: prefixed", textSample(), byRequest, matching(`tok_.{16,}`)},
			{"token-uuid", "tokenize", vault + "join: uuids, format: uuid", uuidSample(), byRequest, matching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)},
			{"token-pan", "tokenize", vault + "join: cards, format: pan, keep_last: 4", cardSample(), byRequest, matching(`99\d{10}1881`)},
			{"token-key-digits", "tokenize", key + "format: digits", digitSample(), byKey, matching(`\d{10}`)},
		},
		{
			{"constant-text", "constant", `value: "` + constantOf + `"`, textSample(), never, matching(constantOf)},
			{"constant-number", "constant", `value: "42"`, textSample(), never, matching(`42`)},
		},
		{
			{"drop", "drop", "", textSample(), never, matching(`<nil>`)},
			{"drop-whole", "drop", "apply: whole", textSample(), never, matching(`<nil>`)},
			{"reject", "reject", "", textSample(), refused, nil},
		},
	}
}

// matrixPolicy has a topic for each column, named like it: with a rule for the tag
// T or, for JSON without a schema, for a path.
func matrixPolicy(columns []action, domainKey, path string) string {
	var b strings.Builder
	b.WriteString("version: 1\ndataset: types\nkeys: {k: {kek: \"local:k\"}}\ndomain_keys: {ids: {kek: \"local:k\", versions: [" +
		domainKey + "]}}\nvaults: {people: {key: ids}}\npersons: {kek: \"local:k\"}\ntopics:\n")
	for _, a := range columns {
		if path == "" {
			fmt.Fprintf(&b, "  - {match: %s, rules: [{tag: T, %s}]}\n", a.name, a.rule())
		} else {
			fmt.Fprintf(&b, "  - {match: %s, format: json, fields: [{path: %q, %s}]}\n", a.name, path, a.rule())
		}
	}
	return b.String()
}

// moved tells whether text is the time of number, some whole days away.
func (c *typeCase) moved(text string) bool {
	const day = 24 * 60 * 60
	if date, ok := strings.CutSuffix(text, "T23:20:55Z"); ok || len(text) == 10 && text[4] == '-' {
		was, ok1 := daysOf("2005-07-25")
		is, ok2 := daysOf(date)
		return ok1 && ok2 && was != is && math.Abs(float64(is-was)) <= 10000
	}
	if c.unit == "fraction" {
		// It stays.
		if text, ok := strings.CutSuffix(text, ".123456789"); ok {
			return (&typeCase{}).moved(text)
		}
		return false
	}
	v, err := strconv.ParseFloat(text, 64)
	was := float64(number)
	if c.unit == "days" {
		was = theDay * day
	}
	if err != nil || math.Abs(v-was) > 10000*day+256 {
		return false
	}
	// A float has the nearest that there is.
	rest := math.Abs(v - was - day*math.Round((v-was)/day))
	return math.Abs(v-was) > day/2 && (rest == 0 || c.unit == "float" && rest <= 256)
}
