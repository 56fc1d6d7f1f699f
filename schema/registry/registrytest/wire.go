package registrytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
)

// Formats of schemas, as the field schemaType has them.
const (
	Avro     = "AVRO"
	JSON     = "JSON"
	Protobuf = "PROTOBUF"
)

// A Schema is what is registered: a text with everything beside it that takes
// part in its identity.
type Schema struct {
	Text       string      `json:"schema"`
	Format     string      `json:"schemaType,omitempty"` // empty for Avro
	References []Reference `json:"references,omitempty"`
	Metadata   *Metadata   `json:"metadata,omitempty"`
	RuleSet    *RuleSet    `json:"ruleSet,omitempty"`
}

// A Reference names a version of a subject whose types the text uses. Version
// -1 is replaced by the latest one when the schema is registered.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Metadata says something about a schema without being part of its text.
type Metadata struct {
	Tags       map[string][]string `json:"tags,omitempty"` // by pattern of a field's name
	Properties map[string]string   `json:"properties,omitempty"`
	Sensitive  []string            `json:"sensitive,omitempty"` // names of properties
}

// A RuleSet holds the rules that clients run on records.
type RuleSet struct {
	MigrationRules []Rule `json:"migrationRules,omitempty"`
	DomainRules    []Rule `json:"domainRules,omitempty"`
	EncodingRules  []Rule `json:"encodingRules,omitempty"`
	EnableAt       string `json:"enableAt,omitempty"`
}

// A Rule is one rule of a rule set. The registry runs none.
type Rule struct {
	Name      string            `json:"name"`
	Doc       string            `json:"doc,omitempty"`
	Kind      string            `json:"kind,omitempty"`
	Mode      string            `json:"mode,omitempty"`
	Type      string            `json:"type"`
	Tags      []string          `json:"tags,omitempty"`
	Params    map[string]string `json:"params,omitempty"`
	Expr      string            `json:"expr,omitempty"`
	OnSuccess string            `json:"onSuccess,omitempty"`
	OnFailure string            `json:"onFailure,omitempty"`
	Disabled  bool              `json:"disabled"`
}

// clone returns a copy that shares nothing, with sets sorted and without
// repeats, and with nothing where there was an empty list.
func (s Schema) clone() Schema {
	if len(s.References) == 0 {
		s.References = nil
	}
	s.References = slices.Clone(s.References)
	s.Metadata = s.Metadata.clone()
	s.RuleSet = s.RuleSet.clone()
	return s
}

func (m *Metadata) clone() *Metadata {
	if m == nil {
		return nil
	}
	out := &Metadata{Sensitive: set(m.Sensitive)}
	if len(m.Properties) > 0 {
		out.Properties = maps.Clone(m.Properties)
	}
	for pattern, tags := range m.Tags {
		if out.Tags == nil {
			out.Tags = make(map[string][]string, len(m.Tags))
		}
		out.Tags[pattern] = append([]string{}, set(tags)...)
	}
	return out
}

func (r *RuleSet) clone() *RuleSet {
	if r == nil {
		return nil
	}
	return &RuleSet{
		MigrationRules: cloneRules(r.MigrationRules),
		DomainRules:    cloneRules(r.DomainRules),
		EncodingRules:  cloneRules(r.EncodingRules),
		EnableAt:       r.EnableAt,
	}
}

func cloneRules(rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		r.Tags = set(r.Tags)
		if len(r.Params) == 0 {
			r.Params = nil
		}
		r.Params = maps.Clone(r.Params)
		out = append(out, r)
	}
	return out
}

// set returns a sorted copy without repeats, nil if it is empty.
func set(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// merge lays over on top of m. Tags and properties are replaced by key,
// sensitive names are added.
func (m *Metadata) merge(over *Metadata) *Metadata {
	if m == nil || over == nil {
		if m == nil {
			m = over
		}
		return m.clone()
	}
	out, top := m.clone(), over.clone()
	if out.Tags == nil {
		out.Tags = top.Tags
	} else {
		maps.Copy(out.Tags, top.Tags)
	}
	if out.Properties == nil {
		out.Properties = top.Properties
	} else {
		maps.Copy(out.Properties, top.Properties)
	}
	out.Sensitive = set(append(out.Sensitive, top.Sensitive...))
	return out
}

// merge lays over on top of r: a rule of over replaces one of the same name.
func (r *RuleSet) merge(over *RuleSet) *RuleSet {
	if r == nil || over == nil {
		if r == nil {
			r = over
		}
		return r.clone()
	}
	out, top := r.clone(), over.clone()
	out.MigrationRules = mergeRules(out.MigrationRules, top.MigrationRules)
	out.DomainRules = mergeRules(out.DomainRules, top.DomainRules)
	out.EncodingRules = mergeRules(out.EncodingRules, top.EncodingRules)
	if top.EnableAt != "" {
		out.EnableAt = top.EnableAt
	}
	return out
}

func mergeRules(old, top []Rule) []Rule {
	kept := slices.DeleteFunc(old, func(o Rule) bool {
		return slices.ContainsFunc(top, func(t Rule) bool { return t.Name == o.Name })
	})
	return append(kept, top...)
}

// identity hashes all that makes two schemas the same. It expects a clone, so
// that sets and empty lists are spelled in one way.
func (s Schema) identity() [32]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(s.Format), []byte(s.Text), encode(s.References), encode(s.Metadata), encode(s.RuleSet)} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// encode marshals what the package itself built of strings, numbers and maps,
// which cannot fail. HTML characters stay as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("registrytest: impossible: " + err.Error()) //nolint:forbidigo // all types here marshal
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
