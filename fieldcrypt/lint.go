package fieldcrypt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Severity says how much a [Finding] weighs.
type Severity string

// The severities.
const (
	// SeverityError: this does not protect what it seems to protect.
	SeverityError Severity = "error"
	// SeverityWarning: this is right only for a reason that somebody should know.
	SeverityWarning Severity = "warning"
	// SeverityInfo: this is so by design, and has a consequence.
	SeverityInfo Severity = "info"
)

// A Finding is something in a policy that works as written and may still not be
// what its author wants. It holds names of the policy and schema, never data.
type Finding struct {
	// Code names the kind of finding, for programs. Codes are stable.
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// Line is the line of the policy, 0 for a finding about what is not there.
	Line int `json:"line,omitempty"`
	// Path is the field of the schema or the place in the policy.
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
}

// String returns one line.
func (f Finding) String() string {
	where := f.Path
	if f.Line > 0 {
		where = strings.TrimPrefix(where+fmt.Sprintf(", line %d", f.Line), ", ")
	}
	if where != "" {
		where = " " + where
	}
	return fmt.Sprintf("%s [%s]%s: %s", f.Severity, f.Code, where, f.Text)
}

// Lint looks for what the policy allows and a reviewer would ask about, in the
// order of the lines. It finds nothing in most policies; what must never be is an
// error of [ParsePolicy] instead.
func (p *Policy) Lint() []Finding {
	l := &linter{doc: &p.doc}
	l.guards()
	l.keys()
	all := l.all()
	for _, r := range all {
		l.rule(r)
	}
	l.cards(all)
	l.recordKeys()
	slices.SortStableFunc(l.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return l.found
}

type linter struct {
	doc   *policyDoc
	found []Finding
}

func (l *linter) addf(code string, s Severity, line int, path, format string, args ...any) {
	l.found = append(l.found, Finding{Code: code, Severity: s, Line: line, Path: path, Text: fmt.Sprintf(format, args...)})
}

// all returns every rule, whatever it selects by.
func (l *linter) all() []rule {
	all := slices.Clone(l.doc.rules)
	for i := range l.doc.topics {
		t := &l.doc.topics[i]
		all = append(append(append(all, t.rules...), t.fields...), t.headers...)
		if t.key != nil {
			all = append(all, *t.key)
		}
	}
	return all
}

// selector returns what a rule is for.
func (r rule) selector() string { return cmp.Or(r.tag, r.path) }

func (l *linter) guards() {
	open := func(g guardModes, line int, path string) {
		for _, mode := range []struct {
			name string
			mode *guardMode
			text string
		}{
			{"untagged_schema", g.untaggedSchema, "a schema that lost all of its tags is sent in clear"},
			{"unknown_tag", g.unknownTag, "a tag that is misspelt is sent in clear"},
			{"unknown_field", g.unknownField, "content that the schema does not describe is sent in clear"},
		} {
			if mode.mode != nil && *mode.mode == guardAllow {
				l.addf("guard-open", SeverityWarning, line, path+mode.name, "%s", mode.text)
			}
		}
	}
	open(l.doc.guards, 0, "")
	for i := range l.doc.topics {
		t := &l.doc.topics[i]
		open(t.guards, t.line, fmt.Sprintf("topics[%d].", i))
	}
	if l.doc.onMismatch == mismatchReport {
		l.addf("mismatch-report", SeverityWarning, 0, "on_mismatch", "values that were moved to another place, or never sealed, are handed out and only counted")
	}
	for _, tag := range l.doc.ignoreTags {
		if classOf(tag) != classNone {
			l.addf("ignored-personal-tag", SeverityWarning, 0, "ignore_tags", "tag %s sounds personal, and is sent in clear", tag)
		}
	}
	if t := l.doc.tenant; (t.header != "" || t.fromKey) && !t.required {
		l.addf("tenant-optional", SeverityWarning, 0, "tenant", "records without a tenant share keys that belong to none")
	}
}

func (l *linter) keys() {
	for name, k := range l.doc.keys {
		if k.expire > time.Hour {
			l.addf("key-long-lived", SeverityInfo, 0, "keys."+name, "who may no longer use the KEK goes on for up to %s", k.expire)
		}
	}
}

func (l *linter) rule(r rule) {
	a, where := &r.action, r.selector()
	class := classOf(where)
	switch a.kind {
	case actUnsafe:
		l.addf("unsafe-hash", SeverityError, r.line, where, "a hash without a key is undone by trying all values: use action hash")
	case actHash:
		if a.hash == tokenize.HashUUID && class == classCard {
			l.addf("hash-short", SeverityWarning, r.line, where, "a UUID holds 122 bits of the hash, and PCI DSS 3.5.1.1 asks for 128")
		}
	case actMask:
		shown := a.mask.keepFirst + a.mask.keepLast
		if class == classCard && (a.mask.keepFirst > 6 || a.mask.keepLast > 4) {
			l.addf("mask-shows-card", SeverityWarning, r.line, where, "more than the first six and last four digits of a card stay readable: use rule card")
		} else if class == classCountable && shown > 4 {
			l.addf("mask-shows-much", SeverityWarning, r.line, where, "%d characters stay readable, of values of which there are few", shown)
		}
	case actGeneralize:
		if a.general.to == "year" && class == classCountable {
			l.addf("age-over-89", SeverityInfo, r.line, where, "the year of birth of the oldest stays readable, which HIPAA Safe Harbor does not allow: use to: birth-year")
		}
	case actShift:
		if a.shift.days < 30 {
			l.addf("shift-small", SeverityWarning, r.line, where, "times are moved by %d days at most, which one known event gives away", a.shift.days)
		}
	case actEncrypt, actTokenize:
		l.formats(&r, class)
	default:
	}
	if a.reason != "" && a.kind != actUnsafe {
		l.addf("reason-given", SeverityInfo, r.line, where, "refused without its reason: %s", a.reason)
	}
	if a.redact {
		l.addf("invalid-redacted", SeverityInfo, r.line, where, "values that do not fit are lost, and only counted")
	}
}

// formats looks at what keeps the form of values.
func (l *linter) formats(r *rule, class class) {
	a, where := &r.action, r.selector()
	computed := a.mode == modeFormat || a.kind == actTokenize && a.vault == ""
	if !computed {
		return
	}
	if a.ff1.Luhn == tokenize.LuhnKeep {
		l.addf("looks-like-a-card", SeverityWarning, r.line, where, "the encrypted numbers pass the Luhn check, so nobody can tell them from card numbers: luhn: break")
	} else if class == classCard && a.ff1.Luhn == tokenize.LuhnNone {
		l.addf("looks-like-a-card", SeverityWarning, r.line, where, "one in ten encrypted numbers passes the Luhn check, and cannot be told from a card number: luhn: break")
	}
	l.addf("no-integrity", SeverityInfo, r.line, where, "format-preserving values carry no proof of their key: without the record's %s header they cannot be revealed", HeaderMeta)
}

// cards finds one kind of card number in two forms that can be put together
// (PCI DSS v4.0.1, 3.5.1).
func (l *linter) cards(all []rule) {
	var first *rule
	for i := range all {
		r := &all[i]
		if classOf(r.selector()) != classCard || r.action.cardForm() == "" {
			continue
		}
		if first == nil {
			first = r
			continue
		}
		if a, b := first.action.cardForm(), r.action.cardForm(); a != b {
			l.addf("card-in-two-forms", SeverityWarning, r.line, r.selector(),
				"card numbers leave as %s here and as %s on line %d: together they narrow down the number", b, a, first.line)
		}
	}
}

// cardForm names what an action leaves of a card number, empty where that tells
// nothing of the number itself.
func (a *actionSpec) cardForm() string {
	switch {
	case a.kind == actMask && a.mask.rule != "":
		return "mask " + a.mask.rule
	case a.kind == actMask && a.mask.match == nil:
		return fmt.Sprintf("mask %d+%d", a.mask.keepFirst, a.mask.keepLast)
	case a.kind == actHash || a.kind == actUnsafe:
		return "hash"
	case a.ff1.KeepFirst+a.ff1.KeepLast > 0:
		return fmt.Sprintf("%s keeping %d+%d", a.kind, a.ff1.KeepFirst, a.ff1.KeepLast)
	default:
		return ""
	}
}

// recordKeys reminds of the record key, which no schema tells about.
func (l *linter) recordKeys() {
	const text = "the policy says nothing about the record key, so it leaves in clear"
	if l.doc.allTopics {
		l.addf("record-key-clear", SeverityInfo, 0, "topics", text)
		return
	}
	for i := range l.doc.topics {
		if t := &l.doc.topics[i]; t.key == nil && !l.doc.tenant.fromKey {
			l.addf("record-key-clear", SeverityInfo, t.line, fmt.Sprintf("topics[%d]", i), text)
		}
	}
}

// Lint looks at the fields of one schema under the policy: for what leaves in
// clear and sounds personal, unless the topic states that it is not, and for card
// numbers in two forms.
func (p *Plan) Lint() []Finding {
	l := new(linter)
	card := ""
	form := ""
	for i := range p.described {
		f := &p.described[i]
		last := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
		if f.Action == actionClear {
			stated := slices.ContainsFunc(p.clear, func(c string) bool { return pathCovers(c, f.Path) })
			if classOf(snake(last)) != classNone && !f.Ignored && !stated {
				l.addf("clear-sounds-personal", SeverityWarning, 0, f.Path, "the field leaves in clear and sounds personal: tag it, or list it under clear")
			}
			continue
		}
		classes := append([]string{snake(last)}, f.Tags...)
		if !slices.ContainsFunc(classes, func(t string) bool { return classOf(t) == classCard }) {
			continue
		}
		switch now := f.Action + " " + f.How; {
		case card == "":
			card, form = f.Path, now
		case now != form:
			l.addf("card-in-two-forms", SeverityWarning, 0, f.Path, "a card number leaves as %s here and as %s in %s: together they narrow it down", now, form, card)
		}
	}
	return l.found
}

// snake puts a separator before each capital that begins a word, so that the
// parts of cardNumber are seen.
func snake(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && 'A' <= c && c <= 'Z' && name[i-1] >= 'a' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return b.String()
}
