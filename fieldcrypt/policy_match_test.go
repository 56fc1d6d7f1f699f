package fieldcrypt

import (
	"errors"
	"strings"
	"testing"
)

func TestRuleFor(t *testing.T) {
	p, err := ParsePolicy([]byte(`
version: 1
ignore_tags: [PUBLIC, PII.HARMLESS]
keys:
  pii: {kek: "local:dev.kek"}
rules:
  - {tag: PII.NAME, action: mask, keep_first: 1}
  - {tag: PCI, action: drop}
  - {tag: PII.EMAIL, action: encrypt, key: pii}
topics:
  - match: clicks
    fields:
      - {path: /user/ip, action: constant, value: "0.0.0.0"}
    rules:
      - {tag: PII, action: drop}
  - match: "*"
`))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name        string
		topic, path string
		tags        []string
		wantLine    int // 0 for no rule
		wantTag     string
		wantIgnored bool
		wantErr     string
	}{
		{name: "the tag itself", topic: "orders", path: "/a", tags: []string{"PII.NAME"}, wantLine: 7, wantTag: "PII.NAME"},
		{name: "a tag below the rule's", topic: "orders", path: "/a", tags: []string{"PCI.PAN"}, wantLine: 8, wantTag: "PCI.PAN"},
		{name: "the rule's order decides, not the tags'", topic: "orders", path: "/a", tags: []string{"PII.EMAIL", "PCI"}, wantLine: 8, wantTag: "PCI"},
		{name: "the first of two tags for one rule is named", topic: "orders", path: "/a", tags: []string{"PCI.B", "PCI.A"}, wantLine: 8, wantTag: "PCI.B"},
		{name: "a tag above the rule's has no rule", topic: "orders", path: "/a", tags: []string{"PII"}, wantErr: `no rule for tag "PII"`},
		{name: "a longer word is another tag", topic: "orders", path: "/a", tags: []string{"PCIX"}, wantErr: `no rule for tag "PCIX"`},
		{name: "tags differ by case", topic: "orders", path: "/a", tags: []string{"pci"}, wantErr: `no rule for tag "pci"`},
		{name: "an empty tag has no rule", topic: "orders", path: "/a", tags: []string{""}, wantErr: `no rule for tag ""`},
		{name: "all tags without a rule are named", topic: "orders", path: "/a", tags: []string{"A", "PUBLIC", "B"}, wantErr: `no rule for tags "A", "B"`},
		{name: "an ignored tag", topic: "orders", path: "/a", tags: []string{"PUBLIC"}, wantIgnored: true},
		{name: "below an ignored tag", topic: "orders", path: "/a", tags: []string{"PUBLIC.X", "PII.HARMLESS"}, wantIgnored: true},
		{name: "an ignored tag beside a ruled one", topic: "orders", path: "/a", tags: []string{"PUBLIC", "PCI"}, wantLine: 8, wantTag: "PCI"},
		{name: "an ignored tag does not excuse another", topic: "orders", path: "/a", tags: []string{"PUBLIC", "A"}, wantErr: `no rule for tag "A"`},
		{name: "no tags and no path", topic: "orders", path: "/a"},
		{name: "a path of another topic", topic: "orders", path: "/user/ip"},
		{name: "a path of the topic", topic: "clicks", path: "/user/ip", wantLine: 13},
		{name: "a path comes before tags", topic: "clicks", path: "/user/ip", tags: []string{"PCI"}, wantLine: 13},
		{name: "a path covers what stands below it", topic: "clicks", path: "/user/ip/v4", wantLine: 13},
		{name: "a longer name is another path", topic: "clicks", path: "/user/ipv4"},
		{name: "the topic's rules come before the policy's", topic: "clicks", path: "/a", tags: []string{"PII.NAME"}, wantLine: 15, wantTag: "PII.NAME"},
		{name: "the topic's rules come before ignoring", topic: "clicks", path: "/a", tags: []string{"PII.HARMLESS"}, wantLine: 15, wantTag: "PII.HARMLESS"},
		{name: "the policy's rules hold for what the topic leaves", topic: "clicks", path: "/a", tags: []string{"PCI"}, wantLine: 8, wantTag: "PCI"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			topic, ok := p.topic(tt.topic)
			if !ok {
				t.Fatal("topic is not governed")
			}
			r, tag, ignored, err := p.ruleFor(topic, tt.path, tt.tags)
			line := 0
			if r != nil {
				line = r.line
			}
			if line != tt.wantLine || tag != tt.wantTag || ignored != tt.wantIgnored {
				t.Errorf("rule on line %d, tag %q, ignored %v; want %d, %q, %v", line, tag, ignored, tt.wantLine, tt.wantTag, tt.wantIgnored)
			}
			if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("err = %v, want %q", err, tt.wantErr)
			}
			if _, ok := errors.AsType[*noRuleError](err); ok != (err != nil) {
				t.Errorf("err is a %T", err)
			}
		})
	}
}

func TestTopic(t *testing.T) {
	parse := func(t *testing.T, topics string) *Policy {
		t.Helper()
		p, err := ParsePolicy([]byte("version: 1\nrules: [{tag: PII, action: drop}]\n" + topics))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Run("without a section every topic is governed", func(t *testing.T) {
		p := parse(t, "")
		for _, name := range []string{"", "orders", "a.b.c"} {
			topic, ok := p.topic(name)
			if !ok || topic.match != "" || topic.dataset != "" || topic.guards != (guardModes{}) || topic.fields != nil || topic.rules != nil {
				t.Errorf("topic %q: %+v, %v", name, topic, ok)
			}
		}
	})
	t.Run("the first match counts and the rest is not governed", func(t *testing.T) {
		p := parse(t, `topics: [{match: orders.eu}, {match: "orders.*"}, {match: "log-?"}]`)
		for name, want := range map[string]string{
			"orders.eu": "orders.eu", "orders.us": "orders.*", "orders.": "orders.*", "log-1": "log-?",
			"orders": "", "log-": "", "log-12": "", "Orders.eu": "", "": "",
		} {
			topic, ok := p.topic(name)
			got := ""
			if ok {
				got = topic.match
			}
			if got != want {
				t.Errorf("topic %q is governed by %q, want %q", name, got, want)
			}
		}
	})
}

func TestGlobMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"ab", "a", false},
		{"a", "A", false},
		{"a.b", "axb", false},
		{"*", "", true},
		{"*", "anything.at-all", true},
		{"**", "", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"?*", "", false},
		{"?*", "ab", true},
		{"*?", "a", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"*ab?d", "ababcd", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{strings.Repeat("a*", 100) + "b", strings.Repeat("a", 249), false},
	}
	for _, tt := range tests {
		if got := globMatch(tt.pattern, tt.name); got != tt.want {
			t.Errorf("globMatch(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

// Short patterns and names over a tiny alphabet are all there are to go wrong:
// every pair is checked against the plain definition.
func TestGlobsAgainstTheDefinition(t *testing.T) {
	patterns, names := words("ab*?", 4), words("ab", 5)
	matches := make(map[string][]bool, len(patterns))
	for _, pattern := range patterns {
		for _, name := range names {
			want := globByDefinition(pattern, name)
			if got := globMatch(pattern, name); got != want {
				t.Fatalf("globMatch(%q, %q) = %v, want %v", pattern, name, got, want)
			}
			matches[pattern] = append(matches[pattern], want)
		}
	}
	covers := 0
	for _, outer := range patterns {
		for _, inner := range patterns {
			if !globCoversGlob(outer, inner) {
				continue
			}
			covers++
			for i, name := range names {
				if matches[inner][i] && !matches[outer][i] {
					t.Fatalf("%q is said to cover %q, but does not match %q", outer, inner, name)
				}
			}
		}
	}
	if covers < len(patterns) {
		t.Errorf("only %d pairs cover: each pattern covers at least itself", covers)
	}
}

func words(alphabet string, longest int) []string {
	all := []string{""}
	for from := 0; longest > 0; longest-- {
		to := len(all)
		for _, word := range all[from:to] {
			for _, c := range alphabet {
				all = append(all, word+string(c))
			}
		}
		from = to
	}
	return all
}

func globByDefinition(pattern, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case pattern[0] == '*':
		return globByDefinition(pattern[1:], name) || name != "" && globByDefinition(pattern, name[1:])
	case name == "":
		return false
	default:
		return (pattern[0] == '?' || pattern[0] == name[0]) && globByDefinition(pattern[1:], name[1:])
	}
}
