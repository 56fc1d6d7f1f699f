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

// rules reads the list of rules at key of m, which select by "tag" or "path".
func (r *policyReader) rules(m policyMap, key, selector string, keys map[string]keySpec) []rule {
	var rules []rule
	for i, node := range m.list(key) {
		next, ok := r.rule(node, indexPath(m.at(key), i), selector, keys)
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

// rule reads one rule. It returns false when the selector is not known.
func (r *policyReader) rule(node *yaml.Node, path, selector string, keys map[string]keySpec) (rule, bool) {
	known := append([]string{selector, "action"}, actionParameters()...)
	m, ok := r.mapping(node, path, known...)
	if !ok {
		return rule{}, false
	}
	out := rule{pos: pos{line: node.Line, column: node.Column}, action: r.action(m, keys)}
	if !m.require(selector) {
		return out, false
	}
	value := m.values[selector]
	if selector == "tag" {
		out.tag = value.Value
		return out, r.tag(value, m.at(selector))
	}
	out.path = value.Value
	return out, r.fieldPath(value, m.at(selector))
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

// fieldPath checks the canonical path of a field.
func (r *policyReader) fieldPath(node *yaml.Node, path string) bool {
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
func actionParameters() []string { return []string{"fill", "keep_first", "keep_last", "key", "value"} }

// takes lists the parameters of one action.
func (k actionKind) takes() []string {
	switch k {
	case actConstant:
		return []string{"value"}
	case actEncrypt:
		return []string{"key"}
	case actMask:
		return []string{"fill", "keep_first", "keep_last"}
	default: // drop takes none
		return nil
	}
}

func (r *policyReader) action(m policyMap, keys map[string]keySpec) actionSpec {
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
	switch a.kind {
	case actConstant:
		if m.require("value") {
			a.constant, _ = m.text("value")
		}
	case actEncrypt:
		if m.require("key") {
			a.key = m.keyName(keys)
		}
	case actMask:
		m.mask(&a)
	case actDrop:
	}
	return a
}

// keyName returns the name of the key of action encrypt.
func (m policyMap) keyName(keys map[string]keySpec) string {
	name, ok := m.text("key")
	if !ok {
		return ""
	}
	if _, ok := keys[name]; !ok {
		shown := ""
		if shownName(name) != "" {
			shown = " " + strconv.Quote(name)
		}
		m.failf("key", "the policy has no key%s under keys", shown)
	}
	return name
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
