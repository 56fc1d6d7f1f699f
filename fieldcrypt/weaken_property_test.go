package fieldcrypt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomRules returns a policy of few words, so that its parts meet often.
func randomRules(rng *rand.Rand) string {
	tags := []string{"A", "A.B", "A.C", "B", "B.C", "D"}
	actions := []string{"reject", "drop", "encrypt, key: k", "mask, keep_last: 2", "mask, keep_last: 0"}
	paths := []string{"/x", "/x/y", "/x/z", "/w"}
	list := func(word string, of []string, most int) string {
		var out []string
		for _, i := range rng.Perm(len(of))[:rng.IntN(most+1)] {
			out = append(out, fmt.Sprintf("{%s: %s, action: %s}", word, of[i], actions[rng.IntN(len(actions))]))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nkeys: {k: {kek: \"aws-kms:k\"}}\nunknown_tag: %s\n", []string{"allow", "reject"}[rng.IntN(2)])
	fmt.Fprintf(&b, "rules: %s\n", list("tag", tags, 5))
	if rng.IntN(4) == 0 {
		b.WriteString("ignore_tags: [D]\n")
	}
	if rng.IntN(5) > 0 {
		b.WriteString("topics:\n")
		globs := []string{"*", "a*", "*b", "a?", "ab", "?b*"}
		for _, i := range rng.Perm(len(globs))[:1+rng.IntN(3)] {
			fmt.Fprintf(&b, "  - {match: \"%s\", fields: %s, rules: %s}\n", globs[i], list("path", paths, 2), list("tag", tags, 2))
		}
	}
	return b.String()
}

// strength is the order of the actions of randomRules.
func strength(a *actionSpec) int {
	switch a.kind {
	case actReject:
		return 5
	case actDrop:
		return 4
	case actEncrypt:
		return 3
	default:
		return 2 - a.mask.keepLast/2
	}
}

// Whatever Weakens does not object to protects each field of each topic as much as
// before, as the policies themselves decide about it.
func TestWhatIsNotFoundIsNotWeaker(t *testing.T) {
	var tagSets [][]string
	all := []string{"A", "A.B", "A.C", "A.X", "B", "B.C", "D", "X"}
	for i, a := range all {
		tagSets = append(tagSets, []string{a})
		for j, b := range all[:i] {
			tagSets = append(tagSets, []string{a, b})
			for _, c := range all[:j] {
				tagSets = append(tagSets, []string{b, c, a})
			}
		}
	}
	tagSets = append(tagSets, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	parse := func(text string) *Policy {
		p, err := parsePolicyIn("", []byte(text), false)
		if err != nil {
			return nil
		}
		return p
	}
	compared, passed := 0, 0
	for range 2_500 {
		text := randomRules(rng)
		was := parse(text)
		// Most changes are small, so that not all of them are found.
		next := randomRules(rng)
		if rng.IntN(4) > 0 {
			lines := strings.Split(text, "\n")
			other := strings.Split(next, "\n")
			i := 1 + rng.IntN(len(lines)-1)
			if i < len(other) {
				lines[i] = other[i]
			}
			next = strings.ReplaceAll(strings.Join(lines, "\n"), "mask, keep_last: 2", []string{"mask, keep_last: 2", "drop"}[rng.IntN(2)])
		}
		is := parse(next)
		if was == nil || is == nil || next == text {
			continue
		}
		compared++
		if len(Weakens(was, is)) > 0 {
			continue
		}
		passed++
		for _, topic := range []string{"a", "ab", "b", "cb", "abc", "c"} {
			o, governed := was.topic(topic)
			if !governed {
				continue
			}
			n, still := is.topic(topic)
			if !still {
				t.Fatalf("topic %s is not governed any more\n%s\n%s", topic, text, next)
			}
			for _, path := range []string{"/x", "/x/y", "/x/y/v", "/x/q", "/w", "/v"} {
				for _, tags := range tagSets {
					before, _, _, err := was.ruleFor(o, path, tags)
					if err != nil || before == nil {
						continue
					}
					now, _, _, err := is.ruleFor(n, path, tags)
					if err != nil {
						continue // refused
					}
					if now == nil || strength(&now.action) < strength(&before.action) {
						t.Fatalf("topic %s, %s tagged %s: weaker\n%s\n%s", topic, path, slices.Sorted(slices.Values(tags)), text, next)
					}
				}
			}
		}
	}
	if passed < 80 || compared < 300 {
		t.Errorf("of %d pairs, %d passed: too few to tell anything", compared, passed)
	}
	t.Logf("%d pairs compared, %d passed", compared, passed)
}
