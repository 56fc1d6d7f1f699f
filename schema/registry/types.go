package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// A Schema is one version of a subject, or what a registry tells about an id.
// What a [Client] returns is shared with others and must not be changed.
type Schema struct { //nolint:recvcheck // values are written, and read in place
	// ID is the id within the registry or the context, GUID the one that holds
	// everywhere, Version the number within Subject. Those that an answer does
	// not tell are zero.
	ID      int
	GUID    string
	Version int
	Subject string
	// Type is the schema language: "AVRO", "JSON" or "PROTOBUF". Empty stands
	// for AVRO in requests.
	Type       string
	Text       string
	References []Reference
	// Metadata and RuleSet are nil when there are none. A schema registered
	// without them inherits those of the version before it.
	Metadata *Metadata
	RuleSet  *RuleSet
}

// A Reference names a version of a subject whose types a text uses.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Metadata says something about a schema without being part of its text.
type Metadata struct { //nolint:recvcheck // values are written, and read in place
	// Tags are the tags of fields, by patterns of their names.
	Tags       map[string][]string
	Properties map[string]string
	Sensitive  []string
	// Extra holds the members that this release does not know.
	Extra map[string]json.RawMessage
}

// A RuleSet holds the rules that clients run on records.
type RuleSet struct { //nolint:recvcheck // values are written, and read in place
	MigrationRules []Rule
	DomainRules    []Rule
	EncodingRules  []Rule
	// EnableAt says who runs the rules: ALL, CLIENT, GATEWAY, SERVER or NONE.
	// Empty stands for all.
	EnableAt string
	// Extra holds the members that this release does not know.
	Extra map[string]json.RawMessage
}

// A Rule is one rule of a RuleSet.
type Rule struct { //nolint:recvcheck // values are written, and read in place
	Name      string
	Doc       string
	Kind      string
	Mode      string
	Type      string
	Tags      []string
	Params    map[string]string
	Expr      string
	OnSuccess string
	OnFailure string
	Disabled  bool
	// Extra holds the members that this release does not know.
	Extra map[string]json.RawMessage
}

// SubjectVersion names a version of a subject.
type SubjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Config is the configuration of a subject, or of a whole registry.
type Config struct { //nolint:recvcheck // values are written, and read in place
	// Compatibility is the level: BACKWARD, FORWARD, FULL, each with
	// _TRANSITIVE, or NONE.
	Compatibility      string
	Normalize          *bool
	Alias              string
	CompatibilityGroup string
	DefaultMetadata    *Metadata
	OverrideMetadata   *Metadata
	DefaultRuleSet     *RuleSet
	OverrideRuleSet    *RuleSet
	// Extra holds the members that this release does not know.
	Extra map[string]json.RawMessage
}

func (s *Schema) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "id":
			s.ID, err = c.integer()
		case "guid":
			s.GUID, err = c.text()
		case "version":
			s.Version, err = c.integer()
		case "subject":
			s.Subject, err = c.text()
		case "schemaType":
			s.Type, err = c.text()
		case "schema":
			s.Text, err = c.text()
		case "references":
			err = c.array(func() error {
				var r Reference
				defer func() { s.References = append(s.References, r) }()
				return r.read(c)
			})
		case "metadata":
			s.Metadata, err = readMetadata(c)
		case "ruleSet":
			s.RuleSet, err = readRuleSet(c)
		default:
			_, err = c.raw()
		}
		return err
	})
}

func (r *Reference) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "name":
			r.Name, err = c.text()
		case "subject":
			r.Subject, err = c.text()
		case "version":
			r.Version, err = c.integer()
		default:
			_, err = c.raw()
		}
		return err
	})
}

func (m *Metadata) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "tags":
			err = c.object(func(pattern string) (err error) {
				if m.Tags == nil {
					m.Tags = map[string][]string{}
				}
				m.Tags[pattern], err = c.texts()
				return err
			})
		case "properties":
			m.Properties, err = c.textMap()
		case "sensitive":
			m.Sensitive, err = c.texts()
		default:
			m.Extra, err = c.extra(m.Extra, key)
		}
		return err
	})
}

func (r *RuleSet) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "migrationRules":
			r.MigrationRules, err = readRules(c)
		case "domainRules":
			r.DomainRules, err = readRules(c)
		case "encodingRules":
			r.EncodingRules, err = readRules(c)
		case "enableAt":
			r.EnableAt, err = c.text()
		default:
			r.Extra, err = c.extra(r.Extra, key)
		}
		return err
	})
}

func readRules(c *cursor) (rules []Rule, err error) {
	err = c.array(func() error {
		var r Rule
		err := r.read(c)
		rules = append(rules, r)
		return err
	})
	return rules, err
}

func (r *Rule) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "name":
			r.Name, err = c.text()
		case "doc":
			r.Doc, err = c.text()
		case "kind":
			r.Kind, err = c.text()
		case "mode":
			r.Mode, err = c.text()
		case "type":
			r.Type, err = c.text()
		case "tags":
			r.Tags, err = c.texts()
		case "params":
			r.Params, err = c.textMap()
		case "expr":
			r.Expr, err = c.text()
		case "onSuccess":
			r.OnSuccess, err = c.text()
		case "onFailure":
			r.OnFailure, err = c.text()
		case "disabled":
			r.Disabled, err = c.boolean()
		default:
			r.Extra, err = c.extra(r.Extra, key)
		}
		return err
	})
}

func (v *SubjectVersion) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "subject":
			v.Subject, err = c.text()
		case "version":
			v.Version, err = c.integer()
		default:
			_, err = c.raw()
		}
		return err
	})
}

func (f *Config) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		// A registry answers with the first name and is told with the second.
		case "compatibilityLevel", "compatibility":
			f.Compatibility, err = c.text()
		case "normalize":
			if !c.null() {
				f.Normalize = new(bool)
				*f.Normalize, err = c.boolean()
			}
		case "alias":
			f.Alias, err = c.text()
		case "compatibilityGroup":
			f.CompatibilityGroup, err = c.text()
		case "defaultMetadata":
			f.DefaultMetadata, err = readMetadata(c)
		case "overrideMetadata":
			f.OverrideMetadata, err = readMetadata(c)
		case "defaultRuleSet":
			f.DefaultRuleSet, err = readRuleSet(c)
		case "overrideRuleSet":
			f.OverrideRuleSet, err = readRuleSet(c)
		default:
			f.Extra, err = c.extra(f.Extra, key)
		}
		return err
	})
}

func readMetadata(c *cursor) (*Metadata, error) {
	if c.null() {
		return nil, nil
	}
	m := new(Metadata)
	err := m.read(c)
	return m, err
}

func readRuleSet(c *cursor) (*RuleSet, error) {
	if c.null() {
		return nil, nil
	}
	r := new(RuleSet)
	err := r.read(c)
	return r, err
}

// UnmarshalJSON reads the form that registries have, as strictly as a Client
// does: wrong types, repeated members and text that is not UTF-8 are errors.
func (s *Schema) UnmarshalJSON(b []byte) error {
	*s = Schema{}
	return decode(b, s.read)
}

// UnmarshalJSON reads the form that registries have.
func (m *Metadata) UnmarshalJSON(b []byte) error {
	*m = Metadata{}
	return decode(b, m.read)
}

// UnmarshalJSON reads the form that registries have.
func (r *RuleSet) UnmarshalJSON(b []byte) error {
	*r = RuleSet{}
	return decode(b, r.read)
}

// UnmarshalJSON reads the form that registries have.
func (r *Rule) UnmarshalJSON(b []byte) error {
	*r = Rule{}
	return decode(b, r.read)
}

// MarshalJSON writes the form that registries have.
func (s Schema) MarshalJSON() ([]byte, error) {
	typ := s.Type
	if typ == typeAvro {
		typ = "" // what old registries know is the absence of a type
	}
	return json.Marshal(struct {
		Subject    string      `json:"subject,omitempty"`
		Version    int         `json:"version,omitempty"`
		ID         int         `json:"id,omitempty"`
		GUID       string      `json:"guid,omitempty"`
		Type       string      `json:"schemaType,omitempty"`
		Text       string      `json:"schema"`
		References []Reference `json:"references,omitempty"`
		Metadata   *Metadata   `json:"metadata,omitempty"`
		RuleSet    *RuleSet    `json:"ruleSet,omitempty"`
	}{s.Subject, s.Version, s.ID, s.GUID, typ, s.Text, s.References, s.Metadata, s.RuleSet})
}

// MarshalJSON writes the form that registries have.
func (m Metadata) MarshalJSON() ([]byte, error) {
	return withExtra(struct {
		Tags       map[string][]string `json:"tags,omitempty"`
		Properties map[string]string   `json:"properties,omitempty"`
		Sensitive  []string            `json:"sensitive,omitempty"`
	}{m.Tags, m.Properties, m.Sensitive}, m.Extra, "tags", "properties", "sensitive")
}

// MarshalJSON writes the form that registries have.
func (r RuleSet) MarshalJSON() ([]byte, error) {
	return withExtra(struct {
		MigrationRules []Rule `json:"migrationRules,omitempty"`
		DomainRules    []Rule `json:"domainRules,omitempty"`
		EncodingRules  []Rule `json:"encodingRules,omitempty"`
		EnableAt       string `json:"enableAt,omitempty"`
	}{r.MigrationRules, r.DomainRules, r.EncodingRules, r.EnableAt}, r.Extra,
		"migrationRules", "domainRules", "encodingRules", "enableAt")
}

// MarshalJSON writes the form that registries have.
func (r Rule) MarshalJSON() ([]byte, error) {
	return withExtra(struct {
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
	}{r.Name, r.Doc, r.Kind, r.Mode, r.Type, r.Tags, r.Params, r.Expr, r.OnSuccess, r.OnFailure, r.Disabled}, r.Extra,
		"name", "doc", "kind", "mode", "type", "tags", "params", "expr", "onSuccess", "onFailure", "disabled")
}

// MarshalJSON writes the form in which a registry is told a configuration.
func (f Config) MarshalJSON() ([]byte, error) {
	return withExtra(struct {
		Compatibility      string    `json:"compatibility,omitempty"`
		Normalize          *bool     `json:"normalize,omitempty"`
		Alias              string    `json:"alias,omitempty"`
		CompatibilityGroup string    `json:"compatibilityGroup,omitempty"`
		DefaultMetadata    *Metadata `json:"defaultMetadata,omitempty"`
		OverrideMetadata   *Metadata `json:"overrideMetadata,omitempty"`
		DefaultRuleSet     *RuleSet  `json:"defaultRuleSet,omitempty"`
		OverrideRuleSet    *RuleSet  `json:"overrideRuleSet,omitempty"`
	}{f.Compatibility, f.Normalize, f.Alias, f.CompatibilityGroup, f.DefaultMetadata, f.OverrideMetadata, f.DefaultRuleSet, f.OverrideRuleSet}, f.Extra,
		"compatibility", "compatibilityLevel", "normalize", "alias", "compatibilityGroup",
		"defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet")
}

// withExtra writes a struct, and behind it the members that have no field.
func withExtra(known any, extra map[string]json.RawMessage, names ...string) ([]byte, error) {
	b, err := json.Marshal(known)
	if err != nil || len(extra) == 0 {
		return b, err
	}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		if slices.Contains(names, key) {
			return nil, errors.New("registry: an extra member has the name of a known one")
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		if b[len(b)-2] == '{' {
			b = b[:len(b)-1]
		} else {
			b[len(b)-1] = ','
		}
		b = append(append(append(append(b, name...), ':'), extra[key]...), '}')
	}
	return b, nil
}
