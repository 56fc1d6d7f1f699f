package fieldcrypt

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/fieldveil/fieldveil/schema"
)

// actionClear is the action of what leaves as it is.
const actionClear = "clear"

// A FieldAction says what a [Plan] does to one field.
type FieldAction struct {
	Path    string      `json:"path"`
	Type    schema.Type `json:"type"`
	Logical string      `json:"logical,omitempty"`
	Tags    []string    `json:"tags,omitempty"`
	// Tag is the tag that chose the action; empty when the path did.
	Tag string `json:"tag,omitempty"`
	// Rule is the selector of the rule that matched, with its line in the
	// policy: "PII, line 7" or "/user/ip, line 12". Empty for none.
	Rule   string `json:"rule,omitempty"`
	Action string `json:"action"`          // of the policy, or "clear"
	Key    string `json:"key,omitempty"`   // name of the key, for actions that need one
	Mode   string `json:"mode,omitempty"`  // "random", "deterministic", "format-preserving" or "person", for encrypt
	How    string `json:"how,omitempty"`   // the parameters of the action, such as "rule card" or "to year"
	Stored string `json:"stored"`          // type of the field in protected records
	Reader string `json:"reader_sees"`     // what a reader without keys sees
	Whole  bool   `json:"whole,omitempty"` // a container that is taken as one value
	// Ignored is true when the field has tags and the policy ignores them all.
	Ignored bool `json:"ignored,omitempty"`
}

// with completes d for a field that a rule matches.
func (d FieldAction) with(f *fieldPlan, r *rule) FieldAction {
	d.Action = string(f.kind)
	selector := r.tag
	if selector == "" {
		selector = r.path
	}
	d.Rule = fmt.Sprintf("%s, line %d", selector, r.line)
	d.Whole, d.Key, d.How = r.action.whole, r.action.key, r.action.how()
	if f.kind == actEncrypt {
		d.Mode = r.action.mode.String()
	}
	if f.wrapped {
		d.Stored = string(schema.TypeBytes)
		if f.text {
			d.Stored = string(schema.TypeString)
		}
	}
	return d
}

// A Description is what a [Plan] does to each field, for people and programs.
type Description struct {
	Topic    string        `json:"topic"`
	Schema   string        `json:"schema"`
	SchemaID int           `json:"schema_id,omitempty"`
	Dataset  string        `json:"dataset"`
	Derived  bool          `json:"derived"` // protected records follow another schema
	Fields   []FieldAction `json:"fields"`
}

// Describe returns what the plan does to each leaf of the schema, in the order
// of the schema; a container that is taken as one value stands for its leaves.
func (p *Plan) Describe() Description {
	d := Description{
		Topic: p.topic, Schema: p.name, SchemaID: p.schemaID, Dataset: p.dataset,
		Derived: p.derived != nil, Fields: make([]FieldAction, len(p.described)),
	}
	for i, f := range p.described {
		if f.Stored == "" {
			f.Stored = string(f.Type)
		}
		f.Reader = f.sees()
		d.Fields[i] = f
	}
	return d
}

// Actions returns those fields of the description that do not leave in clear.
func (p *Plan) Actions() []FieldAction {
	out := make([]FieldAction, 0, len(p.fields))
	for _, f := range p.Describe().Fields {
		if f.Action != actionClear {
			out = append(out, f)
		}
	}
	return out
}

// Derived returns the schema of protected records where that differs from the
// schema of the plan, because fields change their types.
func (p *Plan) Derived() (schema.Text, bool) {
	if p.derived == nil {
		return schema.Text{}, false
	}
	return *p.derived, true
}

func (d FieldAction) sees() string {
	switch actionKind(d.Action) {
	case actEncrypt:
		switch d.Mode {
		case modeDeterministic.String():
			return "ciphertext, null, and which values are equal"
		case modeFormat.String():
			return "another value of the form, null, and which values are equal"
		case modePerson.String():
			return "ciphertext of its length, null, and which values are of one person"
		default:
			return "ciphertext of its length, null"
		}
	case actMask:
		return "what the rule shows, null"
	case actGeneralize:
		return "a coarser value, null"
	case actShift:
		return "another time, intervals of one person, null"
	case actHash, actUnsafe:
		return "a hash, null, and which values are equal"
	case actTokenize:
		return "a token, null, and which values are equal"
	case actConstant:
		return "the constant, null"
	case actDrop, actReject:
		return "nothing"
	default:
		return "the value"
	}
}

// String returns the description as a table.
func (d Description) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "topic %s, schema %s, dataset %s\n", d.Topic, d.Schema, d.Dataset)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PATH\tTYPE\tTAGS\tACTION\tKEY\tSTORED AS\tA READER WITHOUT KEYS SEES\tRULE")
	protected := 0
	for i := range d.Fields {
		f := &d.Fields[i]
		typ, action := string(f.Type), f.Action
		if f.Logical != "" {
			typ += " (" + f.Logical + ")"
		}
		if f.Whole {
			action += ", whole"
		}
		if f.Mode != "" && f.Mode != modeRandom.String() {
			action += ", " + f.Mode
		}
		if f.How != "" {
			action += ", " + f.How
		}
		if f.Action != actionClear {
			protected++
		}
		rule := f.Rule
		if f.Ignored {
			rule = "tags ignored"
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			f.Path, typ, dash(strings.Join(f.Tags, " ")), action, dash(f.Key), f.Stored, f.Reader, dash(rule),
		}, "\t"))
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "%d of %d fields are protected", protected, len(d.Fields))
	if d.Derived {
		b.WriteString("; records follow a derived schema")
	}
	b.WriteString("\n")
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
