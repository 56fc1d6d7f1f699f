package input

import (
	"encoding/json"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

func (w *wants) addNumber(s *js.Schema) {
	bound := func(have **big.Rat, open *bool, also *big.Rat, isOpen bool, sign int) {
		if also == nil {
			return
		}
		if *have == nil || also.Cmp(*have)*sign > 0 || isOpen && also.Cmp(*have) == 0 {
			*have, *open = also, isOpen
		}
	}
	bound(&w.least, &w.leastOpen, s.Minimum, false, 1)
	bound(&w.least, &w.leastOpen, s.ExclusiveMinimum, true, 1)
	bound(&w.most, &w.mostOpen, s.Maximum, false, -1)
	bound(&w.most, &w.mostOpen, s.ExclusiveMaximum, true, -1)
	if s.MultipleOf != nil {
		w.steps = append(w.steps, s.MultipleOf)
	}
}

// numeral makes a number within the bounds that is a multiple of all steps.
func (j *jsonMaker) numeral(w *wants, path string, whole bool) (any, error) {
	step := big.NewRat(1, 100)
	switch {
	case whole:
		step = big.NewRat(1, 1)
	case len(w.steps) > 0:
		step = w.steps[0]
	case w.least != nil && w.most != nil:
		// So that there are enough numbers in between.
		for span := new(big.Rat).Sub(w.most, w.least); span.Sign() > 0 && step.Cmp(new(big.Rat).Quo(span, big.NewRat(100, 1))) > 0; {
			step = new(big.Rat).Quo(step, big.NewRat(10, 1))
		}
	}
	for _, also := range w.steps {
		step = common(step, also)
	}
	wish := new(big.Rat)
	if wish.SetFloat64(j.number(j.of(path))) == nil {
		return nil, &KeywordError{path, "type"}
	}
	first, last := quotient(w.least, step, w.leastOpen, true), quotient(w.most, step, w.mostOpen, false)
	n := quotient(wish, step, false, false)
	span := big.NewInt(10_000)
	switch {
	case first != nil && last != nil && first.Cmp(last) > 0:
		return nil, &KeywordError{path, "minimum"}
	case first != nil && n.Cmp(first) < 0 || last != nil && n.Cmp(last) > 0:
		// The wish lies outside: any other number in the bounds does.
		if first == nil {
			first = new(big.Int).Sub(last, span)
		}
		if last != nil && new(big.Int).Sub(last, first).Cmp(span) < 0 {
			span.Sub(last, first)
		}
		n.Add(first, big.NewInt(j.r.Int64N(span.Int64()+1)))
	}
	out := new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
	if out.IsInt() {
		return json.Number(out.Num().String()), nil
	}
	const digits = 30 // of which few are needed
	return json.Number(strings.TrimRight(out.FloatString(digits), "0")), nil
}

// common returns the least number that is a multiple of both.
func common(a, b *big.Rat) *big.Rat {
	if a.Sign() == 0 || b.Sign() == 0 {
		return a
	}
	// lcm(a/b, c/d) = lcm(a*d, c*b) / (b*d)
	left, right := new(big.Int).Mul(a.Num(), b.Denom()), new(big.Int).Mul(b.Num(), a.Denom())
	gcd := new(big.Int).GCD(nil, nil, left, right)
	lcm := new(big.Int).Div(new(big.Int).Mul(left, right), gcd)
	return new(big.Rat).SetFrac(lcm, new(big.Int).Mul(a.Denom(), b.Denom()))
}

// quotient returns how many steps a bound is, rounded into the bounds.
func quotient(bound, step *big.Rat, open, up bool) *big.Int {
	if bound == nil {
		return nil
	}
	q := new(big.Rat).Quo(bound, step)
	n, rest := new(big.Int).DivMod(q.Num(), q.Denom(), new(big.Int))
	switch {
	case rest.Sign() == 0 && open && up, rest.Sign() != 0 && up:
		n.Add(n, big.NewInt(1))
	case rest.Sign() == 0 && open:
		n.Sub(n, big.NewInt(1))
	}
	return n
}

// string makes a text that satisfies format, pattern and lengths.
func (j *jsonMaker) string(w *wants, path string) (any, error) {
	fault := "type"
	for range attempts {
		text, err := j.candidate(w, path)
		if err != nil {
			return nil, &KeywordError{path, "pattern"}
		}
		if fault = w.refuses(text); fault == "" {
			return text, nil
		}
	}
	return nil, &KeywordError{path, fault}
}

func (j *jsonMaker) candidate(w *wants, path string) (string, error) {
	if len(w.expressions) > 0 {
		// A text of the right look may be one that matches.
		if text := j.text(j.of(path)); w.refuses(text) == "" {
			return text, nil
		}
		return j.matching(w.expressions[j.n(0, len(w.expressions)-1)].String())
	}
	for _, f := range w.formats {
		if text := j.formatted(f.Name, path); text != "" {
			return text, nil
		}
	}
	text := j.text(j.of(path))
	for w.minLength > 0 && utf8.RuneCountInString(text) < w.minLength {
		text += " " + j.sentence(4)
	}
	if room := max(w.maxLength, w.minLength); w.maxLength >= 0 && len(text) > room {
		text = strings.TrimSpace(text[:room]) // it is ASCII
		if len(text) < w.minLength {
			text += strings.Repeat("x", w.minLength-len(text))
		}
	}
	return text, nil
}

// refuses returns the keyword that a text does not satisfy, empty for none.
func (w *wants) refuses(text string) string {
	n := utf8.RuneCountInString(text)
	switch {
	case n < w.minLength:
		return "minLength"
	case w.maxLength >= 0 && n > w.maxLength:
		return "maxLength"
	}
	for _, re := range w.expressions {
		if !re.MatchString(text) {
			return "pattern"
		}
	}
	for _, f := range w.formats {
		if f.Validate(text) != nil {
			return "format"
		}
	}
	return ""
}

// formatted returns a text of a format, empty for formats that are not known.
func (j *jsonMaker) formatted(name, path string) string {
	switch name {
	case "email", "idn-email":
		return j.email()
	case "date":
		if j.of(path) == shapeTime {
			return j.moment().Format(time.DateOnly)
		}
		return j.day().Format(time.DateOnly)
	case "date-time":
		return j.moment().Format(time.RFC3339)
	case "time":
		return j.moment().Format("15:04:05Z")
	case "duration":
		return "P" + strconv.Itoa(j.n(1, 28)) + "D"
	case "uuid":
		return j.uuid()
	case "ipv4":
		return j.ip()
	case "ipv6":
		return j.ip6()
	case "hostname", "idn-hostname":
		return j.pick(loremWords) + ".example.com"
	case "uri", "iri", "uri-reference", "iri-reference", "uri-template":
		return j.text(shapeURL)
	case "json-pointer":
		return "/" + j.pick(loremWords)
	case "relative-json-pointer":
		return "0/" + j.pick(loremWords)
	case "regex":
		return "^" + regexp.QuoteMeta(url.PathEscape(j.pick(loremWords))) + "$"
	case "semver":
		return strconv.Itoa(j.n(0, 9)) + "." + strconv.Itoa(j.n(0, 20)) + ".0"
	default:
		return ""
	}
}
