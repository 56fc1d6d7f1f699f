package auth

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A Rule lets, or denies, principals do something. Of all rules that match a
// principal, an operation, a topic and a tenant the first decides; without any it
// is denied. In patterns * stands for any text and ? for one byte.
type Rule struct {
	Principals []string `yaml:"principals"` // patterns of names; required
	Operations []string `yaml:"operations"` // names, or "*"; required
	Topics     []string `yaml:"topics"`     // patterns; default all
	Tenants    []string `yaml:"tenants"`    // patterns; default all, and records of none
	Deny       bool     `yaml:"deny"`
}

// rule is a Rule, compiled.
type rule struct {
	principals []glob
	operations uint16
	topics     []glob // nil for all
	scope      tenantRule
}

// A tenantRule is what is left of a rule once all but the tenant is known.
type tenantRule struct {
	tenants []glob // nil for all
	deny    bool
}

const (
	// maxDecisions is how many decisions are remembered, and maxTopic how long the
	// name of a topic can be in Kafka.
	maxDecisions = 4096
	maxTopic     = 249
	maxRules     = 1000
)

// rules decide. They are immutable but for what they remember.
type rules struct {
	list []rule

	mu    sync.RWMutex
	known map[question][]tenantRule
}

type question struct {
	name, topic string
	op          Operation
}

// defaultRules are those of a configuration without any: who was let in may write,
// and see what he writes to. All that takes protection away needs a rule.
func defaultRules() []Rule {
	return []Rule{{Principals: []string{"*"}, Operations: []string{"produce", "check", "protect", "metadata"}}}
}

// compileRules returns all that is wrong, by the paths of the keys.
func compileRules(list []Rule) (*rules, error) {
	if len(list) == 0 {
		list = defaultRules()
	}
	var errs []error
	if len(list) > maxRules {
		errs = append(errs, fmt.Errorf("rules: more than %d", maxRules))
	}
	out := &rules{known: make(map[question][]tenantRule)}
	for i := range list {
		r := &list[i]
		fail := func(key string, err error) { errs = append(errs, fmt.Errorf("rules[%d].%s: %w", i, key, err)) }
		set, err := parseOperations(r.Operations)
		if err == nil && set == 0 {
			err = errEmptyList
		}
		if err != nil {
			fail("operations", err)
		}
		c := rule{operations: set, scope: tenantRule{deny: r.Deny}}
		for _, list := range []struct {
			key  string
			from []string
			to   *[]glob
		}{{"principals", r.Principals, &c.principals}, {"topics", r.Topics, &c.topics}, {"tenants", r.Tenants, &c.scope.tenants}} {
			// A list that is there and empty lets nobody pass, and is a mistake.
			if len(list.from) == 0 && (list.from != nil || list.key == "principals") {
				fail(list.key, errEmptyList)
			}
			for _, text := range list.from {
				if text == "" {
					fail(list.key, errors.New("a pattern is empty"))
				}
				*list.to = append(*list.to, glob(text))
			}
		}
		out.list = append(out.list, c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

var errEmptyList = errors.New("expected one at least")

// decide returns what is left to decide by the tenant.
func (r *rules) decide(name string, op Operation, topic string) []tenantRule {
	q := question{name, topic, op}
	r.mu.RLock()
	scopes, ok := r.known[q]
	r.mu.RUnlock()
	if ok {
		return scopes
	}
	for i := range r.list {
		c := &r.list[i]
		if op >= operations || c.operations&(1<<op) == 0 || !anyMatch(c.principals, name) || (c.topics != nil && !anyMatch(c.topics, topic)) {
			continue
		}
		scopes = append(scopes, c.scope)
		if c.scope.tenants == nil {
			break // nothing gets past it
		}
	}
	if len(topic) > maxTopic {
		return scopes
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxDecisions {
		// Names of principals and topics come from outside. To begin anew is cheap,
		// and those in use are soon back.
		clear(r.known)
	}
	r.known[q] = scopes
	return scopes
}

// A TenantSet is the tenants that a principal may act for. The zero TenantSet is
// none. It is immutable.
type TenantSet struct {
	scopes []tenantRule
	who    Principal
}

// Allows tells whether a tenant is in the set. The empty tenant is that of records
// that name none: it is in the set where a rule says nothing of tenants, or "*",
// and the credential does not limit them.
func (s TenantSet) Allows(tenant string) bool {
	if !s.who.has(tenant) {
		return false
	}
	for _, scope := range s.scopes {
		if scope.tenants == nil || anyMatch(scope.tenants, tenant) {
			return !scope.deny
		}
	}
	return false
}

// Empty tells whether no tenant at all is in the set.
func (s TenantSet) Empty() bool {
	if s.who.Limited {
		return !slices.ContainsFunc(s.who.Tenants, s.Allows)
	}
	for _, scope := range s.scopes {
		if !scope.deny {
			return false
		}
	}
	return true
}
