package jsonschema

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fieldveil/fieldveil/schema"
)

// checkRules looks at the tags beside the text.
func checkRules(rules []schema.TagRule) error {
	if len(rules) > maxRules {
		return fmt.Errorf("jsonschema: more than %d rules for tags", maxRules)
	}
	for _, r := range rules {
		if len(r.Pattern) > maxPath {
			return fmt.Errorf("jsonschema: pattern of a tag is longer than %d bytes", maxPath)
		}
		if len(r.Tags) > maxTags || slices.Contains(r.Tags, "") {
			return fmt.Errorf("jsonschema: pattern %.80q: %w", r.Pattern, errTags)
		}
	}
	return nil
}

// sameRules tells whether the rules have the same to say about what is inside of
// two places, so that one can stand for the other.
func (e *expansion) sameRules(p, q *place) (bool, error) {
	for _, r := range e.rules {
		pairs := [][2]string{{p.path, q.path}}
		if r.Pattern == "" || r.Pattern[0] != '/' {
			pairs = [][2]string{{p.names[0], q.names[0]}, {p.names[1], q.names[1]}}
		}
		for _, pair := range pairs {
			e.work += len(r.Pattern) * (len(pair[0]) + len(pair[1]))
			if e.work > maxRuleWork {
				return false, errRuleWork
			}
			// The last position, behind the pattern, leads to no longer name.
			n := len(r.Pattern)
			if !slices.Equal(reach(r.Pattern, pair[0])[:n], reach(r.Pattern, pair[1])[:n]) {
				return false, nil
			}
		}
	}
	return true, nil
}

var errRuleWork = errors.New("jsonschema: too many tags beside the schema for a schema of that size")

// reach tells, for each position in a pattern of [schema.MatchName], whether what
// stands before it matches the whole name. What a longer name has to look like to
// match depends on nothing else.
func reach(pattern, name string) []bool {
	sep := byte('.')
	if pattern != "" && pattern[0] == '/' {
		sep = '/'
	}
	now := make([]bool, len(pattern)+1)
	now[0] = true
	stars := func(set []bool) {
		for i := 0; i < len(pattern); i++ {
			if pattern[i] == '*' {
				// Nothing needs to stand for it. Of two, the second begins none.
				if i+1 < len(pattern) && pattern[i+1] == '*' {
					set[i+2] = set[i+2] || set[i]
					i++
				} else {
					set[i+1] = set[i+1] || set[i]
				}
			}
		}
	}
	stars(now)
	next := make([]bool, len(now))
	for k := range len(name) {
		clear(next)
		for i := 0; i < len(pattern); i++ {
			double := pattern[i] == '*' && i+1 < len(pattern) && pattern[i+1] == '*'
			switch {
			case double:
				next[i] = next[i] || now[i]
				i++
			case pattern[i] == '*':
				next[i] = next[i] || now[i] && name[k] != sep
			case pattern[i] == name[k] || pattern[i] == '?' && name[k] != sep:
				next[i+1] = now[i]
			}
		}
		stars(next)
		now, next = next, now
	}
	return now
}
