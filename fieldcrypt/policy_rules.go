package fieldcrypt

import (
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
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
	m, ok := r.ruleMapping(node, path, by.word)
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
		if !r.tag(value, m.at(by.word)) {
			return out, false
		}
		r.fitsClass(m, &out)
		return out, true
	case selectHeader:
		if out.action.whole {
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

// fitsClass refuses what must not be done to values of the tag's class.
func (r *policyReader) fitsClass(m policyMap, rule *rule) {
	kind := rule.action.kind
	if kind == "" {
		return
	}
	switch classOf(rule.tag) {
	case classSecret:
		if kind != actReject && kind != actDrop {
			m.failf("action", "card verification values, PINs and tracks must not be stored in any form: only reject and drop fit the tag")
		}
	case classCard, classCountable:
		if kind == actUnsafe {
			m.failf("action", "there are so few such values that anyone can try them all against a hash without a key: use action hash")
		}
	case classNone:
	}
}
