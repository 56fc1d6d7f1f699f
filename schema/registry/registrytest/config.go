package registrytest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Compatibility levels.
const (
	LevelNone               = "NONE"
	LevelBackward           = "BACKWARD"
	LevelBackwardTransitive = "BACKWARD_TRANSITIVE"
	LevelForward            = "FORWARD"
	LevelForwardTransitive  = "FORWARD_TRANSITIVE"
	LevelFull               = "FULL"
	LevelFullTransitive     = "FULL_TRANSITIVE"
)

func knownLevel(level string) bool {
	return slices.Contains([]string{
		LevelNone, LevelBackward, LevelBackwardTransitive, LevelForward, LevelForwardTransitive, LevelFull, LevelFullTransitive,
	}, level)
}

// config is what is configured in one place. A nil pointer or an empty text
// means that the place says nothing.
type config struct {
	Alias               string    `json:"alias,omitempty"`
	Normalize           *bool     `json:"normalize,omitempty"`
	ValidateFields      *bool     `json:"validateFields,omitempty"`
	ValidateNewSchemas  *bool     `json:"validateNewSchemas,omitempty"`
	ValidateRules       *bool     `json:"validateRules,omitempty"`
	CompatibilityLevel  string    `json:"compatibilityLevel,omitempty"`
	CompatibilityPolicy string    `json:"compatibilityPolicy,omitempty"`
	CompatibilityGroup  string    `json:"compatibilityGroup,omitempty"`
	DefaultMetadata     *Metadata `json:"defaultMetadata,omitempty"`
	OverrideMetadata    *Metadata `json:"overrideMetadata,omitempty"`
	DefaultRuleSet      *RuleSet  `json:"defaultRuleSet,omitempty"`
	OverrideRuleSet     *RuleSet  `json:"overrideRuleSet,omitempty"`
}

// over fills what c does not say from base.
func (c config) over(base config) config {
	c.Alias = either(c.Alias, base.Alias)
	c.Normalize = either(c.Normalize, base.Normalize)
	c.ValidateFields = either(c.ValidateFields, base.ValidateFields)
	c.ValidateNewSchemas = either(c.ValidateNewSchemas, base.ValidateNewSchemas)
	c.ValidateRules = either(c.ValidateRules, base.ValidateRules)
	c.CompatibilityLevel = either(c.CompatibilityLevel, base.CompatibilityLevel)
	c.CompatibilityPolicy = either(c.CompatibilityPolicy, base.CompatibilityPolicy)
	c.CompatibilityGroup = either(c.CompatibilityGroup, base.CompatibilityGroup)
	c.DefaultMetadata = either(c.DefaultMetadata, base.DefaultMetadata)
	c.OverrideMetadata = either(c.OverrideMetadata, base.OverrideMetadata)
	c.DefaultRuleSet = either(c.DefaultRuleSet, base.DefaultRuleSet)
	c.OverrideRuleSet = either(c.OverrideRuleSet, base.OverrideRuleSet)
	return c
}

func either[T comparable](a, b T) T {
	var none T
	if a == none {
		return b
	}
	return a
}

// update applies the body of a request: a value sets, null clears, and what the
// body does not name stays. The level is called compatibility there.
func (c config) update(body []byte) (config, *Error) {
	var named map[string]json.RawMessage
	if err := decode(body, &named); err != nil {
		return c, err
	}
	targets := map[string]func([]byte) error{
		"alias":               func(b []byte) error { return json.Unmarshal(b, &c.Alias) },
		"normalize":           func(b []byte) error { c.Normalize = nil; return json.Unmarshal(b, &c.Normalize) },
		"validateFields":      func(b []byte) error { c.ValidateFields = nil; return json.Unmarshal(b, &c.ValidateFields) },
		"validateNewSchemas":  func(b []byte) error { c.ValidateNewSchemas = nil; return json.Unmarshal(b, &c.ValidateNewSchemas) },
		"validateRules":       func(b []byte) error { c.ValidateRules = nil; return json.Unmarshal(b, &c.ValidateRules) },
		"compatibility":       func(b []byte) error { return json.Unmarshal(b, &c.CompatibilityLevel) },
		"compatibilityLevel":  func(b []byte) error { return json.Unmarshal(b, &c.CompatibilityLevel) },
		"compatibilityPolicy": func(b []byte) error { return json.Unmarshal(b, &c.CompatibilityPolicy) },
		"compatibilityGroup":  func(b []byte) error { return json.Unmarshal(b, &c.CompatibilityGroup) },
		"defaultMetadata":     func(b []byte) error { c.DefaultMetadata = nil; return json.Unmarshal(b, &c.DefaultMetadata) },
		"overrideMetadata":    func(b []byte) error { c.OverrideMetadata = nil; return json.Unmarshal(b, &c.OverrideMetadata) },
		"defaultRuleSet":      func(b []byte) error { c.DefaultRuleSet = nil; return json.Unmarshal(b, &c.DefaultRuleSet) },
		"overrideRuleSet":     func(b []byte) error { c.OverrideRuleSet = nil; return json.Unmarshal(b, &c.OverrideRuleSet) },
	}
	for name, raw := range named {
		set, ok := targets[name]
		if !ok {
			return c, unrecognized(name)
		}
		if bytes.Equal(raw, []byte("null")) && text(name) {
			raw = []byte(`""`)
		}
		if err := set(raw); err != nil {
			return c, unreadable(err)
		}
	}
	if level := strings.ToUpper(c.CompatibilityLevel); level != "" {
		if !knownLevel(level) {
			return c, errorf(CodeInvalidLevel, "Invalid compatibility level. Valid values are none, backward, forward, full, "+
				"backward_transitive, forward_transitive, and full_transitive")
		}
		c.CompatibilityLevel = level
	}
	c.DefaultMetadata, c.OverrideMetadata = c.DefaultMetadata.clone(), c.OverrideMetadata.clone()
	c.DefaultRuleSet, c.OverrideRuleSet = c.DefaultRuleSet.clone(), c.OverrideRuleSet.clone()
	for _, rules := range []*RuleSet{c.DefaultRuleSet, c.OverrideRuleSet} {
		rules.complete()
		if err := rules.validate(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// text tells the values that are texts: null leaves those as they are in Go.
func text(name string) bool {
	return slices.Contains([]string{"alias", "compatibility", "compatibilityLevel", "compatibilityPolicy", "compatibilityGroup"}, name)
}

// scopes lists where something about a subject may be configured, nearest
// first.
func scopes(full string) []string {
	name := parseSubject(full)
	if name.context == defaultContext {
		return []string{name.name, ""}
	}
	return []string{name.String(), ":" + name.context + ":", ""}
}

// configInScope is what holds for a subject, everything considered.
func (st *store) configInScope(full string) config {
	var c config
	for _, scope := range scopes(full) {
		c = c.over(st.configs[scope])
	}
	return c.over(config{CompatibilityLevel: st.level})
}

const (
	modeReadWrite        = "READWRITE"
	modeReadOnly         = "READONLY"
	modeReadOnlyOverride = "READONLY_OVERRIDE"
	modeImport           = "IMPORT"
)

func (st *store) modeInScope(full string) string {
	// The override holds everywhere, whatever a subject says.
	if st.modes[""] == modeReadOnlyOverride {
		return modeReadOnlyOverride
	}
	for _, scope := range scopes(full) {
		if mode := st.modes[scope]; mode != "" {
			return mode
		}
	}
	return modeReadWrite
}

// writable refuses changes in a mode that only reads.
func (st *store) writable(full string) *Error {
	switch st.modeInScope(full) {
	case modeReadOnly, modeReadOnlyOverride:
		return errorf(CodeNotPermitted, "Subject %s is in read-only mode", full)
	default:
		return nil
	}
}
