package registrytest

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parameters that name the key of an encryption rule.
const (
	paramKEKName  = "encrypt.kek.name"
	paramKMSType  = "encrypt.kms.type"
	paramKMSKeyID = "encrypt.kms.key.id"
)

const maxRuleName = 256

// complete fills what a registry fills: kind and mode, and in domain rules the
// name of a key that is given by its id alone.
func (r *RuleSet) complete() {
	if r == nil {
		return
	}
	for _, list := range [][]Rule{r.MigrationRules, r.DomainRules, r.EncodingRules} {
		for i := range list {
			if list[i].Kind == "" {
				list[i].Kind = "TRANSFORM"
			}
			if list[i].Mode == "" {
				list[i].Mode = "WRITEREAD"
			}
		}
	}
	for _, rule := range r.DomainRules {
		id := rule.Params[paramKMSKeyID]
		if id == "" {
			continue
		}
		if rule.Params[paramKEKName] == "" {
			rule.Params[paramKEKName] = keyName(id)
		}
		if rule.Params[paramKMSType] == "" && strings.HasPrefix(id, "arn:") {
			rule.Params[paramKMSType] = "aws-kms"
		}
	}
}

func keyName(id string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-') {
			return r
		}
		return '-'
	}, strings.TrimPrefix(id, "arn:"))
}

// validate checks a completed rule set.
func (r *RuleSet) validate() *Error {
	if r == nil {
		return nil
	}
	if !slices.Contains([]string{"", "ALL", "CLIENT", "GATEWAY", "SERVER", "NONE"}, r.EnableAt) {
		return errorf(400, "unknown enableAt of a rule set")
	}
	names := make(map[string]bool)
	for _, list := range []struct {
		rules []Rule
		what  string
		modes []string
	}{
		{r.MigrationRules, "Migration", []string{"UPGRADE", "DOWNGRADE", "UPDOWN"}},
		{r.DomainRules, "Domain", []string{"WRITE", "READ", "WRITEREAD"}},
		{r.EncodingRules, "Encoding", []string{"WRITE", "READ", "WRITEREAD"}},
	} {
		for _, rule := range list.rules {
			if err := rule.validate(); err != nil {
				return err
			}
			if names[rule.Name] {
				return errorf(CodeInvalidRuleSet, "Found rule with duplicate name '%s'", rule.Name)
			}
			names[rule.Name] = true
			if !slices.Contains(list.modes, rule.Mode) {
				return errorf(CodeInvalidRuleSet, "%s rules can only be %s", list.what, strings.Join(list.modes, ", "))
			}
		}
	}
	return nil
}

func (r *Rule) validate() *Error {
	switch {
	case r.Name == "":
		return errorf(CodeInvalidRuleSet, "Missing rule name")
	case len(r.Name) > maxRuleName:
		return errorf(CodeInvalidRuleSet, "Rule name too long")
	case r.Type == "":
		return errorf(CodeInvalidRuleSet, "Missing rule type")
	case r.Kind != "TRANSFORM" && r.Kind != "CONDITION":
		// A real registry fails to read the body: these are enumerations.
		return errorf(400, "unknown kind of a rule")
	case !slices.Contains([]string{"WRITE", "READ", "WRITEREAD", "UPGRADE", "DOWNGRADE", "UPDOWN"}, r.Mode):
		return errorf(400, "unknown mode of a rule")
	}
	for i, c := range r.Name {
		switch {
		case c == '_' || unicode.IsLetter(c):
		case i > 0 && (c == '-' || unicode.IsDigit(c)):
		default:
			return errorf(CodeInvalidRuleSet, "Illegal character in rule name '%s'", r.Name)
		}
	}
	return nil
}
