package fieldcrypt

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/mask"
)

// A selector is what the rules of a list select by.
type selector struct {
	word      string // the key of the YAML mapping
	wildcards bool   // paths may hold * and **
}

// The words of selectors.
const (
	selectTag    = "tag"
	selectHeader = "name"
	selectPath   = "path"
)

// rules reads the list of rules at key of m.
func (r *policyReader) rules(m policyMap, key string, by selector, doc *policyDoc) []rule {
	var rules []rule
	for i, node := range m.list(key) {
		next, ok := r.rule(node, indexPath(m.at(key), i), by, doc)
		if !ok {
			// Its place is kept, so that the indices in later texts are right.
			next = rule{}
		}
		for j := range rules {
			if ok && next.shadowedBy(rules[j]) {
				r.failf(node, indexPath(m.at(key), i), "never reached: %s on line %d is for %q already",
					indexPath(m.at(key), j), rules[j].line, next.tag+next.path)
				break
			}
		}
		rules = append(rules, next)
	}
	return rules
}

func (r rule) shadowedBy(earlier rule) bool {
	if r.path != "" {
		return r.path == earlier.path
	}
	return earlier.tag != "" && tagCovers(earlier.tag, r.tag)
}

// rule reads one rule. It returns false when what it selects is not known.
func (r *policyReader) rule(node *yaml.Node, path string, by selector, doc *policyDoc) (rule, bool) {
	m, ok := r.mapping(node, path, append([]string{by.word, "action"}, actionParameters()...)...)
	if !ok {
		return rule{}, false
	}
	out := rule{pos: pos{line: node.Line, column: node.Column}, action: r.action(m, doc)}
	if !m.require(by.word) {
		return out, false
	}
	value := m.values[by.word]
	switch by.word {
	case selectTag:
		out.tag = value.Value
		return out, r.tag(value, m.at(by.word))
	case selectHeader:
		if out.action.kind == actEncrypt && out.action.whole {
			r.failf(m.names["apply"], m.at("apply"), "a header is one value")
		}
		out.path = value.Value
		return out, r.headerName(value, m.at(by.word))
	default:
		out.path = value.Value
		return out, r.fieldPath(value, m.at(by.word), by.wildcards)
	}
}

// tag checks the tag of a rule.
func (r *policyReader) tag(node *yaml.Node, path string) bool {
	if !isText(node) {
		r.failf(node, path, "expected text, found %s", kindOf(node))
		return false
	}
	tag := node.Value
	fault := ""
	switch {
	case tag == "":
		fault = "must not be empty"
	case len(tag) > maxPolicyName:
		fault = fmt.Sprintf("longer than %d bytes", maxPolicyName)
	case strings.ContainsFunc(tag, unicode.IsSpace):
		fault = "a tag holds no spaces"
	case strings.ContainsFunc(tag, func(c rune) bool { return !unicode.IsGraphic(c) }):
		fault = "a tag holds no invisible characters"
	case strings.ContainsAny(tag, "*?"):
		fault = "a tag has no wildcards: PII is for PII and all that is dotted below it, such as PII.EMAIL"
	case strings.HasPrefix(tag, ".") || strings.HasSuffix(tag, ".") || strings.Contains(tag, ".."):
		fault = "a part between the dots is empty"
	}
	if fault != "" {
		r.failf(node, path, "%s", fault)
	}
	return fault == ""
}

// fieldPath checks the canonical path of a field, or a pattern of such paths.
func (r *policyReader) fieldPath(node *yaml.Node, path string, wildcards bool) bool {
	if !isText(node) {
		r.failf(node, path, "expected text, found %s", kindOf(node))
		return false
	}
	fault := nameFault(node.Value, maxPolicyPath)
	if fault == "" && !strings.HasPrefix(node.Value, "/") {
		fault = "a path begins with a slash, such as /user/ip"
	}
	if fault == "" {
		for part := range strings.SplitSeq(node.Value[1:], "/") {
			switch {
			case part == "":
				fault = "a part between the slashes is empty"
			case !wildcards && (part == "*" || part == "**"):
				fault = "wildcards are for records without a schema (format: json)"
			case part != "[]" && part != "{}" && strings.ContainsAny(part, "[]{}"):
				fault = "items of an array are a part [] of their own and values of a map a part {}, such as /cards/[]/pan"
			}
		}
	}
	if fault != "" {
		r.failf(node, path, "%s", fault)
	}
	return fault == ""
}

// actionParameters lists the parameters of all actions.
func actionParameters() []string {
	return []string{"apply", "fill", "join", "keep_first", "keep_last", "key", "mode", "value"}
}

// takes lists the parameters of one action.
func (k actionKind) takes() []string {
	switch k {
	case actConstant:
		return []string{"value"}
	case actEncrypt:
		return []string{"apply", "join", "key", "mode"}
	case actMask:
		return []string{"fill", "keep_first", "keep_last"}
	default: // drop
		return []string{"apply"}
	}
}

func (r *policyReader) action(m policyMap, doc *policyDoc) actionSpec {
	var a actionSpec
	if !m.require("action") {
		return a
	}
	word, ok := m.word("action", "action", string(actConstant), string(actDrop), string(actEncrypt), string(actMask))
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
	switch a.kind {
	case actConstant:
		if m.require("value") {
			a.constant, _ = m.text("value")
		}
	case actEncrypt:
		m.encrypt(&a, doc)
	case actMask:
		m.mask(&a)
	case actDrop:
	}
	return a
}

// encrypt reads the parameters of action encrypt.
func (m policyMap) encrypt(a *actionSpec, doc *policyDoc) {
	if word, ok := m.word("mode", "mode", "deterministic", "random"); ok {
		a.deterministic = word == "deterministic"
	}
	if m.has("join") {
		a.join, _ = m.name("join", maxPolicyName)
		if !a.deterministic && (!m.has("mode") || isText(m.values["mode"])) {
			m.failf("join", "goes with mode: deterministic only: under mode random no two values are equal")
		}
	}
	if !m.require("key") {
		return
	}
	name, ok := m.text("key")
	if !ok {
		return
	}
	a.key = name
	_, random := doc.keys[name]
	_, domain := doc.domainKeys[name]
	shown := ""
	if shownName(name) != "" {
		shown = " " + strconv.Quote(name)
	}
	switch {
	case a.deterministic && domain, !a.deterministic && random:
	case a.deterministic && random:
		m.failf("key", "key%s is for mode random: deterministic encryption takes one from domain_keys", shown)
	case a.deterministic:
		m.failf("key", "the policy has no key%s under domain_keys", shown)
	case domain:
		m.failf("key", "key%s is a domain key, which goes with mode: deterministic only", shown)
	default:
		m.failf("key", "the policy has no key%s under keys", shown)
	}
}

func (m policyMap) mask(a *actionSpec) {
	a.fill = '*'
	if !m.has("keep_first") && !m.has("keep_last") {
		m.r.failf(m.node, m.path, `action mask needs "keep_first", "keep_last" or both; 0 hides the whole value`)
		return
	}
	first := m.integer("keep_first", 0, math.MaxInt32)
	last := m.integer("keep_last", 0, math.MaxInt32)
	a.keepFirst, a.keepLast = int(first), int(last) //nolint:gosec // both fit in 31 bits
	if !m.has("fill") {
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
	// The mask itself knows what it can do; asking it here turns its answer
	// into a fault with a position.
	if _, err := mask.Keep(a.keepFirst, a.keepLast, mask.WithFill(fill)); err != nil {
		m.failf("fill", "%s", strings.TrimPrefix(err.Error(), "mask: "))
		return
	}
	a.fill = fill
}
