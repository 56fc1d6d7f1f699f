package fieldcrypt

import (
	"slices"
	"strconv"
	"strings"
)

// topic returns what the policy says about a topic, and false when the topic
// is not governed. The first entry that matches counts.
func (p *Policy) topic(name string) (*topicRule, bool) {
	if p.doc.allTopics {
		return &topicRule{}, true
	}
	for i := range p.doc.topics {
		if t := &p.doc.topics[i]; globMatch(t.match, name) {
			return t, true
		}
	}
	return nil, false
}

// ruleFor finds the rule for one field of a topic. A rule for the field's path
// or the longest path that encloses it comes first, then the topic's rules by
// tag, then those of the policy; in each list the first that matches any of the
// tags counts.
//
// tag is the tag of the field that the rule matched, empty for a rule by path.
// Without a rule there are three answers: ignored is true when the field has
// tags and all of them are ignored; all results are zero when it has no tags;
// and a tag that is neither ruled nor ignored is an error that names it.
func (p *Policy) ruleFor(t *topicRule, path string, tags []string) (r *rule, tag string, ignored bool, err error) {
	for i := range t.fields {
		f := &t.fields[i]
		if pathCovers(f.path, path) && (r == nil || len(f.path) > len(r.path)) {
			r = f
		}
	}
	if r != nil {
		return r, "", false, nil
	}
	for _, rules := range [][]rule{t.rules, p.doc.rules} {
		for i := range rules {
			for _, tag := range tags {
				if tagCovers(rules[i].tag, tag) {
					return &rules[i], tag, false, nil
				}
			}
		}
	}
	var unruled []string
	for _, tag := range tags {
		if !slices.ContainsFunc(p.doc.ignoreTags, func(pattern string) bool { return tagCovers(pattern, tag) }) {
			unruled = append(unruled, tag)
		}
	}
	if len(unruled) > 0 && is(t.guards.or(p.doc.guards).unknownTag, guardReject) == guardReject {
		return nil, "", false, &noRuleError{tags: unruled}
	}
	return nil, "", len(tags) > 0, nil
}

// pathCovers reports whether a rule for outer is a rule for path: for the field
// itself and for what it holds.
func pathCovers(outer, path string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '/')
}

// A noRuleError names the tags of a field that the policy does not know. A tag
// without a rule is an error and never means that its field may pass.
type noRuleError struct{ tags []string }

func (e *noRuleError) Error() string {
	quoted := make([]string, len(e.tags))
	for i, tag := range e.tags {
		quoted[i] = strconv.Quote(tag)
	}
	noun := "tag "
	if len(quoted) > 1 {
		noun = "tags "
	}
	return "the policy has no rule for " + noun + strings.Join(quoted, ", ")
}

// tagCovers reports whether a rule for pattern is a rule for tag: for the tag
// itself and for what is dotted below it.
func tagCovers(pattern, tag string) bool {
	rest, ok := strings.CutPrefix(tag, pattern)
	return ok && (rest == "" || rest[0] == '.')
}

// globMatch reports whether name matches pattern, in which * stands for any
// run of characters and ? for one. Topic names are ASCII, so bytes will do.
// It goes back to the last * only: its time is at most the product of both
// lengths.
func globMatch(pattern, name string) bool {
	return globCovers(pattern, name, func(byte) bool { return true })
}

// globCoversGlob reports whether all that inner matches is matched by outer
// too. It reads inner as a name in which a * can be taken in by a * of outer
// alone. So it says yes only where that is certain.
func globCoversGlob(outer, inner string) bool {
	return globCovers(outer, inner, func(c byte) bool { return c != '*' })
}

func globCovers(pattern, name string, single func(byte) bool) bool {
	p, n := 0, 0
	star, resume := -1, 0 // the last * of pattern, and where its run ends in name
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' && single(name[n]) || pattern[p] != '?' && pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
