package fieldcrypt

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/mask"
	"github.com/fieldveil/fieldveil/tokenize"
)

// ruleMapping reads the mapping of a rule. Who misspells a parameter is told those
// of the action.
func (r *policyReader) ruleMapping(node *yaml.Node, path string, selector ...string) (policyMap, bool) {
	first := slices.Concat(selector, []string{"action"})
	told := append(slices.Clone(first), actionParameters()...)
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == "action" && slices.Contains(actions(), node.Content[i+1].Value) {
				told = append(slices.Clone(first), actionKind(node.Content[i+1].Value).takes()...)
			}
		}
	}
	return r.mappingOf(node, path, append(slices.Clone(first), actionParameters()...), told)
}

// action reads the action and its parameters of a rule.
func (r *policyReader) action(m policyMap, doc *policyDoc) actionSpec {
	var a actionSpec
	if !m.require("action") {
		return a
	}
	word, ok := m.word("action", "action", actions()...)
	if !ok {
		return a
	}
	a.kind = actionKind(word)
	for _, key := range actionParameters() {
		if m.has(key) && !slices.Contains(a.kind.takes(), key) {
			r.failf(m.names[key], m.at(key), "does not belong to action %s", a.kind)
		}
	}
	if word, ok := m.word("apply", "way", "leaves", "whole"); ok {
		a.whole = word == "whole"
	}
	if word, ok := m.word("on_invalid", "way", "redact", "reject"); ok {
		a.redact = word == "redact"
	}
	a.reason, _ = m.name("reason", maxPolicyName)
	switch a.kind {
	case actConstant:
		if m.require("value") {
			a.constant, _ = m.text("value")
		}
	case actEncrypt:
		m.encrypt(&a, doc)
	case actMask:
		m.mask(&a)
	case actGeneralize:
		m.generalize(&a)
	case actHash:
		m.joins(&a)
		m.domainKey(&a, doc)
		m.hashForm(&a)
	case actUnsafe:
		m.hashForm(&a)
		if !m.has("reason") {
			m.failf("action", `a hash without a key can be undone by trying all values: use action hash, or give a "reason"`)
		}
	case actShift:
		m.joins(&a)
		m.domainKey(&a, doc)
		m.shift(&a)
	case actTokenize:
		m.tokenize(&a, doc)
	case actDrop, actReject, actObserve:
	}
	r.approved(m, &a)
	return a
}

// joins reads the domain in which equal values are equal.
func (m policyMap) joins(a *actionSpec) {
	if m.has("join") {
		a.join, _ = m.name("join", maxPolicyName)
	}
}

// encrypt reads the parameters of action encrypt.
func (m policyMap) encrypt(a *actionSpec, doc *policyDoc) {
	word, ok := m.word("mode", "mode", modeDeterministic.String(), modeFormat.String(), modePerson.String(), modeRandom.String())
	switch {
	case ok && word == modeDeterministic.String():
		a.mode = modeDeterministic
	case ok && word == modeFormat.String():
		a.mode = modeFormat
	case ok && word == modePerson.String():
		a.mode = modePerson
	}
	if m.has("join") {
		m.joins(a)
		if (a.mode == modeRandom || a.mode == modePerson) && (!m.has("mode") || isText(m.values["mode"])) {
			m.failf("join", "goes with mode: deterministic or format-preserving only: under mode %s no two values are equal", a.mode)
		}
	}
	if a.mode == modeFormat {
		m.ff1(a, "alphabet")
		if m.has("apply") {
			m.failf("apply", "mode format-preserving is for one value")
		}
	} else {
		for _, key := range []string{"alphabet", "keep_first", "keep_last", "luhn", "on_invalid", "separators"} {
			if m.has(key) && (!m.has("mode") || ok) {
				m.failf(key, "goes with mode: format-preserving only")
			}
		}
	}
	if a.mode == modePerson {
		m.person(a, doc)
		return
	}
	if m.has("by") && (!m.has("mode") || ok) {
		m.failf("by", "goes with mode: person only")
	}
	if a.mode != modeRandom {
		m.domainKey(a, doc)
		return
	}
	name, ok := m.keyName(a)
	if !ok {
		return
	}
	_, random := doc.keys[name]
	_, domain := doc.domainKeys[name]
	switch {
	case random:
	case domain:
		m.failf("key", "key%s is a domain key, which goes with mode: deterministic or format-preserving only", quoted(name))
	default:
		m.failf("key", "the policy has no key%s under keys", quoted(name))
	}
}

func (m policyMap) keyName(a *actionSpec) (string, bool) {
	if !m.require("key") {
		return "", false
	}
	name, ok := m.text("key")
	a.key = name
	return name, ok
}

// quoted returns a name that can be shown, after a space.
func quoted(name string) string {
	if shownName(name) == "" {
		return ""
	}
	return " " + strconv.Quote(name)
}

// domainKey reads the name of a domain key.
func (m policyMap) domainKey(a *actionSpec, doc *policyDoc) {
	name, ok := m.keyName(a)
	if !ok {
		return
	}
	if _, domain := doc.domainKeys[name]; domain {
		return
	}
	if _, random := doc.keys[name]; random {
		m.failf("key", "key%s is for mode random: this action takes one from domain_keys", quoted(name))
		return
	}
	m.failf("key", "the policy has no key%s under domain_keys", quoted(name))
}

// mask reads the parameters of action mask, and lets the mask itself say what is
// wrong with them.
func (m policyMap) mask(a *actionSpec) {
	s := &a.mask
	ways := 0
	for _, key := range []string{"rule", "match"} {
		if m.has(key) {
			ways++
		}
	}
	keeps := m.has("keep_first") || m.has("keep_last")
	if keeps {
		ways++
	}
	if ways != 1 {
		m.r.failf(m.node, m.path, `action mask needs "rule", or "keep_first", "keep_last" or both, or "match" and "with"; keep_last: 0 hides the whole value`)
		return
	}
	if !keeps {
		for _, key := range []string{"fill", "separators"} {
			if m.has(key) {
				m.failf(key, "goes with keep_first and keep_last only")
			}
		}
	}
	if m.has("with") && !m.has("match") {
		m.failf("with", "goes with match only")
	}
	at := "rule"
	switch {
	case keeps:
		at = "fill"
		m.keep(s)
	case m.has("rule"):
		s.rule, _ = m.text("rule")
	default:
		at = "match"
		m.matching(s)
	}
	if len(m.r.errs) > 0 && s.fill == 0 && s.rule == "" && s.match == nil {
		return
	}
	if _, err := s.build(); err != nil {
		if !m.has(at) {
			at = "action"
		}
		m.failf(at, "%s", strings.TrimPrefix(err.Error(), "mask: "))
	}
}

// keep reads how many characters stay.
func (m policyMap) keep(s *maskSpec) {
	s.keepFirst, s.keepLast = m.count("keep_first"), m.count("keep_last")
	s.separators, _ = m.text("separators")
	if !m.has("fill") {
		s.fill = '*'
		return
	}
	text, ok := m.text("fill")
	if !ok {
		return
	}
	fill, size := utf8.DecodeRuneInString(text)
	if size == 0 || size != len(text) {
		m.failf("fill", "must be exactly one character")
		return
	}
	s.fill = fill
}

func (m policyMap) count(key string) int {
	return int(m.integer(key, 0, math.MaxInt32)) //nolint:gosec // fits in 31 bits
}

// matching reads a regular expression.
func (m policyMap) matching(s *maskSpec) {
	expr, ok := m.text("match")
	if !ok || !m.require("with") {
		return
	}
	s.with, _ = m.text("with")
	re, err := regexp.Compile(expr)
	if err != nil {
		m.failf("match", "not a regular expression (RE2 syntax)")
		return
	}
	s.match = re
}

// build returns the rule that s describes.
func (s *maskSpec) build() (mask.Rule, error) {
	switch {
	case s.match != nil:
		return mask.Replace(s.match, s.with)
	case s.rule != "":
		return mask.Named(s.rule)
	default:
		opts := []mask.Option{mask.WithFill(s.fill)}
		if s.separators != "" {
			opts = append(opts, mask.WithSeparators(s.separators))
		}
		return mask.Keep(s.keepFirst, s.keepLast, opts...)
	}
}

// generalize reads the parameters of action generalize.
func (m policyMap) generalize(a *actionSpec) {
	g := &a.general
	ways := 0
	for _, key := range []string{"to", "bucket", "round", "grid"} {
		if m.has(key) {
			ways++
		}
	}
	limits := m.has("top") || m.has("bottom")
	if ways > 1 || ways == 0 && !limits || m.has("to") && limits {
		m.r.failf(m.node, m.path, `action generalize needs "to" for times, or for numbers one of "bucket", "round" and "grid", "top" and "bottom", or both`)
		return
	}
	g.to, _ = m.word("to", "unit", "birth-year", "day", "hour", "minute", "month", "year")
	g.bucket, g.origin = m.number("bucket"), m.number("origin")
	g.top, g.bottom, g.grid = m.number("top"), m.number("bottom"), m.number("grid")
	if m.has("round") {
		if text := m.number("round"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < -16 || n > 30 {
				m.failf("round", "expected a number of places from -16 to 30: 2 keeps hundredths, -3 rounds to thousands")
			}
			g.round = &n
		}
	}
	m.layout(&g.layout)
	if m.has("layout") && g.to == "" {
		m.failf("layout", "goes with to only")
	}
	if m.has("origin") && !m.has("bucket") {
		m.failf("origin", "goes with bucket only")
	}
	if len(m.r.errs) == 0 && g.to == "" {
		if _, err := g.number(false); err != nil {
			m.failf("action", "%s", strings.TrimPrefix(err.Error(), "mask: "))
		}
	}
}

// layout reads how times are written in a field whose type does not tell.
func (m policyMap) layout(to *string) {
	*to, _ = m.word("layout", "layout", layouts()...)
}

// number returns the decimal number at key, as it is written; empty when it is
// missing or faulty.
func (m policyMap) number(key string) string {
	node := m.values[key]
	if node == nil {
		return ""
	}
	tag := node.ShortTag()
	if node.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" || !decimalNumber(node.Value) {
		m.failf(key, "expected a decimal number")
		return ""
	}
	return node.Value
}

// decimalNumber tells whether s is a number such as -12.5, without an exponent.
func decimalNumber(s string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (!point || digits(fraction)) && len(s) <= 40
}

// hashForm reads the form of a hash.
func (m policyMap) hashForm(a *actionSpec) {
	a.hash = tokenize.HashHex
	forms := []tokenize.HashForm{
		tokenize.HashBase64, tokenize.HashDigits, tokenize.HashHex, tokenize.HashHex128, tokenize.HashUUID,
	}
	words := make([]string, len(forms))
	for i, f := range forms {
		words[i] = f.String()
	}
	if word, ok := m.word("form", "form", words...); ok {
		a.hash = forms[slices.Index(words, word)]
	}
	a.prefix, _ = m.text("prefix")
	if _, err := tokenize.NewHash(make([]byte, tokenize.HashKeySize), a.hash, tokenize.WithHashPrefix(a.prefix)); err != nil {
		m.failf("prefix", "%s", strings.TrimPrefix(err.Error(), "tokenize: "))
	}
}

// ff1 reads the parameters of format-preserving encryption.
func (m policyMap) ff1(a *actionSpec, at string) {
	o := &a.ff1
	o.KeepFirst, o.KeepLast = m.count("keep_first"), m.count("keep_last")
	if m.has("separators") {
		o.Separators, _ = m.text("separators")
	}
	switch word, _ := m.word("luhn", "way", "break", "keep"); word {
	case "keep":
		o.Luhn = tokenize.LuhnKeep
	case "break":
		o.Luhn = tokenize.LuhnBreak
	}
	word := "digits"
	if m.has("alphabet") {
		word, _ = m.text("alphabet")
	}
	alphabet, err := alphabetOf(word)
	if err != nil {
		m.failf("alphabet", "%s: name one of %s, or give the characters themselves",
			strings.TrimPrefix(err.Error(), "tokenize: "), strings.Join(slices.Sorted(maps.Keys(alphabets())), ", "))
		return
	}
	o.Alphabet = alphabet
	// The cipher itself knows what it can do.
	if _, err := tokenize.NewFF1(make([]byte, tokenize.FF1KeySize), *o); err != nil {
		if !m.has(at) {
			at = "action"
		}
		m.failf(at, "%s", strings.TrimPrefix(err.Error(), "tokenize: "))
	}
}

// shift reads the parameters of action shift.
func (m policyMap) shift(a *actionSpec) {
	if m.require("days") {
		a.shift.days = int(m.integer("days", 1, 36525)) //nolint:gosec // a hundred years
	}
	m.layout(&a.shift.layout)
	if m.require("by") {
		m.subject(&a.by)
	}
}

// person reads the parameters of encryption under the key of a person.
func (m policyMap) person(a *actionSpec, doc *policyDoc) {
	if doc.persons == nil {
		m.failf("mode", "the policy has no section persons, which says under which KEK their keys stand")
		return
	}
	if m.has("key") {
		m.failf("key", "each person has a key of his own: leave this key out")
	}
	switch {
	case m.has("by"):
		m.subject(&a.by)
	case doc.persons.by == (subject{}):
		m.failf("mode", `whose key is it? Say "by" here, or once under persons`)
	default:
		a.by = doc.persons.by
	}
}

// subject reads where the identifier of a person stands.
func (m policyMap) subject(to *subject) {
	by, ok := m.name("by", maxPolicyPath)
	if !ok {
		return
	}
	header, named := strings.CutPrefix(by, "header:")
	switch {
	case by == "key":
		to.key = true
	case named && nameFault(header, maxPolicyName) == "":
		to.header = header
	case strings.HasPrefix(by, "/") && !strings.ContainsAny(by, "[]{}*"):
		if m.r.fieldPath(m.values["by"], m.at("by"), false) {
			to.path = by
		}
	default:
		m.failf("by", "expected what identifies the person: key, header:NAME, or the path of a field that a record has once, such as /customer_id")
	}
}

// tokenize reads the parameters of action tokenize.
func (m policyMap) tokenize(a *actionSpec, doc *policyDoc) {
	m.joins(a)
	if m.has("vault") == m.has("key") {
		m.r.failf(m.node, m.path, `action tokenize needs either "vault", for random tokens that a vault remembers, or "key", for tokens that are computed`)
		return
	}
	if !m.require("format") {
		return
	}
	word, ok := m.word("format", "format", tokenFormats()...)
	if !ok {
		return
	}
	if m.has("vault") {
		name, ok := m.text("vault")
		if v, known := doc.vaults[name]; ok && known {
			a.vault, a.key = name, v.key
		} else if ok {
			m.failf("vault", "the policy has no vault%s under vaults", quoted(name))
		}
		m.vaulted(a, word)
		return
	}
	a.format = word
	m.domainKey(a, doc)
	switch word {
	case tokenPAN:
		a.ff1.Separators, a.ff1.Luhn = " -", tokenize.LuhnBreak
	case tokenSSN:
		a.ff1.Separators = "-"
	case tokenDigits:
		a.ff1.Separators = " -"
	default:
		m.failf("format", "a computed token has the format digits, pan or ssn: for others use encrypt with mode: deterministic, or a vault")
		return
	}
	for _, key := range []string{"length", "prefix"} {
		if m.has(key) {
			m.failf(key, "goes with a vault only")
		}
	}
	m.ff1(a, "format")
}

// vaulted reads the shape of random tokens.
func (m policyMap) vaulted(a *actionSpec, word string) {
	a.format = word
	takes := map[string][]string{
		tokenDigits:   {"keep_last", "length"},
		tokenPAN:      {"keep_first", "keep_last", "luhn"},
		tokenPrefixed: {"prefix"},
		tokenSSN:      {"keep_last"},
		tokenUUID:     nil,
	}[word]
	for _, key := range []string{"keep_first", "keep_last", "length", "luhn", "prefix"} {
		if m.has(key) && !slices.Contains(takes, key) {
			m.failf(key, "does not belong to format %s", word)
		}
	}
	var err error
	first, last := m.count("keep_first"), m.count("keep_last")
	switch word {
	case tokenDigits:
		if m.has("length") {
			if m.has("keep_last") {
				m.failf("keep_last", "goes with tokens that are as long as the value, so without length")
			}
			a.token, err = tokenize.DigitsFormat(m.count("length"))
		} else {
			a.token, err = tokenize.SameDigitsFormat(last)
		}
	case tokenPAN:
		luhn, _ := m.word("luhn", "way", "break", "keep")
		a.token, err = tokenize.PANFormat(tokenize.PANOptions{KeepFirst: first, KeepLast: last, ValidLuhn: luhn == "keep"})
	case tokenSSN:
		a.token, err = tokenize.SSNFormat(last)
	case tokenUUID:
		a.token = tokenize.UUIDFormat()
	default:
		prefix := "tok_"
		if m.has("prefix") {
			prefix, _ = m.text("prefix")
		}
		a.token, err = tokenize.PrefixedFormat(prefix)
	}
	if err != nil {
		m.failf("format", "%s", strings.TrimPrefix(err.Error(), "tokenize: "))
	}
	// For those who read a plan.
	a.ff1.KeepFirst, a.ff1.KeepLast = first, last
}
