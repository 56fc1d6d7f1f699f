package fieldcrypt

import (
	"cmp"
	"fmt"
	"slices"
)

// entries returns the topics section of a policy; one without governs all.
func (d *policyDoc) entries() []topicRule {
	if d.allTopics {
		return []topicRule{{match: "*"}}
	}
	return d.topics
}

// topics compares each entry of the old policy with those of the new one that can
// decide for the same topics.
func (w *weakening) topics() {
	prev, next := w.old.entries(), w.new.entries()
	for i := range prev {
		o := &prev[i]
		pattern, caught := topicGlyphs(o.match), false
		for j := range next {
			n := &next[j]
			if !meet(pattern, topicGlyphs(n.match)) {
				continue
			}
			// What an earlier entry of the old policy decided for, this one did not.
			if !slices.ContainsFunc(prev[:i], func(e topicRule) bool { return globCoversGlob(e.match, n.match) }) {
				w.topic(o, n)
			}
			if globCoversGlob(n.match, o.match) {
				caught = true
				break
			}
		}
		if !caught {
			w.addf("topic-ungoverned", 0, "topics", "topics that match %s were governed, and not all of them are now", o.match)
		}
	}
}

// topic compares two entries for the topics that both can decide for.
func (w *weakening) topic(o, n *topicRule) {
	at := "topics." + n.match
	if o.format != n.format {
		w.addf("topic-format", n.line, at+".format", "the records were of another format, for which other rules count")
		return
	}
	w.besides(o, n, at)
	if o.format == formatJSON {
		w.patterns(o, n, at)
		return
	}
	w.guards(o.guards.or(w.old.guards), n.guards.or(w.new.guards), n, at)
	for _, p := range o.pins {
		if !slices.ContainsFunc(n.pins, func(q pin) bool { return pathCovers(q.path, p.path) && (q.schema == "" || q.schema == p.schema) }) {
			w.addf("pin-removed", n.line, at+".pins", "%s had to be protected, and need not be now", p.path)
		}
	}
	for _, p := range n.clear {
		if !slices.ContainsFunc(o.clear, func(q string) bool { return pathCovers(q, p) }) {
			w.addf("clear-added", n.line, at+".clear", "%s may leave in clear", p)
		}
	}
	for _, d := range n.acknowledge {
		if !slices.Contains(o.acknowledge, d) {
			w.addf("loss-acknowledged", n.line, at+".acknowledge", "the schema sha256:%x may lose what was protected", d)
		}
	}
	w.paths(o, n, at)
	w.tags(o, n, at)
	w.scope(o, n, at)
}

func (w *weakening) guards(from, to guardModes, n *topicRule, at string) {
	for _, g := range []struct {
		name    string
		was, is *guardMode
		missing guardMode
	}{
		{"untagged_schema", from.untaggedSchema, to.untaggedSchema, guardReject},
		{"untagged_field", from.untaggedField, to.untaggedField, guardAllow},
		{"unknown_tag", from.unknownTag, to.unknownTag, guardReject},
		{"unknown_field", from.unknownField, to.unknownField, guardReject},
	} {
		if is(g.was, g.missing) == guardReject && is(g.is, g.missing) == guardAllow {
			w.addf("guard-opened", n.line, at+"."+g.name, "what was refused is sent in clear")
		}
	}
	if from.validate != nil && *from.validate && (to.validate == nil || !*to.validate) {
		w.addf("validate-off", n.line, at+".validate", "records were checked against all that their schema says, and are not now")
	}
}

// besides compares what is done to record keys and headers.
func (w *weakening) besides(o, n *topicRule, at string) {
	if o.key != nil {
		w.pair(o.key, n.key, at+".key", "the record key")
	}
	for i := range o.headers {
		r := &o.headers[i]
		var now *rule
		if j := slices.IndexFunc(n.headers, func(h rule) bool { return h.path == r.path }); j >= 0 {
			now = &n.headers[j]
		}
		w.pair(r, now, at+".headers", "header "+r.path)
	}
}

// pair compares the rule that decided for something with the one that does now.
func (w *weakening) pair(was, now *rule, path, what string) {
	switch {
	case now == nil:
		w.addf("rule-removed", 0, path, "%s: %s before, no rule now", what, was.action.said())
	case !w.atLeast(&now.action, &was.action):
		w.addf("rule-weaker", now.line, path, "%s: %s before, %s now", what, was.action.said(), now.action.said())
	}
}

// paths compares the rules by path. The longest path that is named and covers a
// field stands for the field in both policies, so the named paths are all there is
// to look at.
func (w *weakening) paths(o, n *topicRule, at string) {
	byTag := slices.Concat(o.rules, w.old.rules)
	var named []string
	for _, r := range slices.Concat(o.fields, n.fields) {
		if !slices.Contains(named, r.path) {
			named = append(named, r.path)
		}
	}
	for _, path := range named {
		was, now := longest(o.fields, path), longest(n.fields, path)
		if was != nil {
			w.pair(was, now, at+".fields", path)
			continue
		}
		// A rule by path counts before all rules by tag, and nobody knows here which
		// tags the field has.
		for i := range byTag {
			r := &byTag[i]
			if !w.atLeast(&now.action, &r.action) {
				w.addf("path-over-tag", now.line, at+".fields", "%s: %s now, also where it is tagged %s, for which it was %s", path, now.action.said(), r.tag, r.action.said())
				break
			}
		}
	}
}

func longest(rules []rule, path string) *rule {
	var found *rule
	for i := range rules {
		if r := &rules[i]; pathCovers(r.path, path) && (found == nil || len(r.path) > len(found.path)) {
			found = r
		}
	}
	return found
}

// patterns compares the rules of records without a schema, of which the first that
// matches counts.
func (w *weakening) patterns(o, n *topicRule, at string) {
	for i := range o.fields {
		was := &o.fields[i]
		pattern, caught := pathGlyphs(was.path), false
		for j := range n.fields {
			now := &n.fields[j]
			if now.path == was.path {
				w.pair(was, now, at+".fields", was.path)
				caught = true
				break
			}
			earlier := slices.ContainsFunc(o.fields[:i], func(r rule) bool { return r.path == now.path })
			if !earlier && meet(pattern, pathGlyphs(now.path)) {
				w.pair(was, now, at+".fields", fmt.Sprintf("what matches %s and %s", was.path, now.path))
			}
		}
		if !caught {
			w.pair(was, nil, at+".fields", was.path)
		}
	}
}

// verdict is what both policies make of a tag: the place of its first rule in each
// list, or -1.
type verdict struct {
	old, new int
	tag      string
	ignored  bool // by the new policy and not by the old
}

// tags compares the rules by tag. Of a field with several tags the first rule that
// matches any counts, so pairs of tags show all that sets of them can.
func (w *weakening) tags(o, n *topicRule, at string) {
	was, now := slices.Concat(o.rules, w.old.rules), slices.Concat(n.rules, w.new.rules)
	all := w.verdicts(was, now)
	// Rules of the policy are named once, and not for each topic.
	place := func(old, next int) string {
		if old >= len(o.rules) && (next < 0 || next >= len(n.rules)) {
			return "rules"
		}
		return at + ".rules"
	}
	for i, a := range all {
		if a.ignored {
			w.addf("tag-ignored", 0, "ignore_tags", "%s leaves in clear", a.tag)
		}
		if a.old < 0 {
			continue
		}
		if a.new < 0 {
			w.pair(&was[a.old], nil, place(a.old, a.new), "tag "+a.tag)
			continue
		}
		w.pair(&was[a.old], &now[a.new], place(a.old, a.new), "tag "+a.tag)
		for j, b := range all {
			// With both tags, a decided before and b decides now.
			if i != j && b.new >= 0 && b.new < a.new && (b.old < 0 || b.old > a.old) && !w.atLeast(&now[b.new].action, &was[a.old].action) {
				w.addf("rule-order", now[b.new].line, place(a.old, b.new), "tags %s and %s together: %s before, %s now",
					a.tag, b.tag, was[a.old].action.said(), now[b.new].action.said())
			}
		}
	}
}

// verdicts returns one tag for each pair of rules that decides. What is dotted
// below a tag and not named has the rules of the tag itself.
func (w *weakening) verdicts(was, now []rule) []verdict {
	var tags []string
	for _, r := range slices.Concat(was, now) {
		tags = append(tags, r.tag)
	}
	tags = append(append(tags, w.old.ignoreTags...), w.new.ignoreTags...)
	var all []verdict
	for _, tag := range tags {
		v := verdict{old: firstFor(was, tag), new: firstFor(now, tag), tag: tag}
		v.ignored = v.new < 0 && ignores(w.new, tag) && !ignores(w.old, tag)
		if !slices.ContainsFunc(all, func(x verdict) bool { return x.old == v.old && x.new == v.new && x.ignored == v.ignored }) {
			all = append(all, v)
		}
	}
	return all
}

func firstFor(rules []rule, tag string) int {
	return slices.IndexFunc(rules, func(r rule) bool { return tagCovers(r.tag, tag) })
}

func ignores(d *policyDoc, tag string) bool {
	return slices.ContainsFunc(d.ignoreTags, func(pattern string) bool { return tagCovers(pattern, tag) })
}

// scope finds topics that come into the dataset of others: without a join, equal
// values are equal within a dataset.
func (w *weakening) scope(o, n *topicRule, at string) {
	was, now := cmp.Or(o.dataset, w.old.dataset), cmp.Or(n.dataset, w.new.dataset)
	if was == now || now == "" {
		return
	}
	shares := 0
	for _, t := range w.new.entries() {
		if cmp.Or(t.dataset, w.new.dataset) == now {
			shares++
		}
	}
	equal := slices.ContainsFunc(slices.Concat(n.fields, n.rules, w.new.rules), func(r rule) bool { return r.action.join == "" && showsEqual(&r.action) })
	if shares > 1 && equal {
		w.addf("dataset-shared", n.line, at+".dataset", "values become equal to those of other topics of dataset %s", now)
	}
}
