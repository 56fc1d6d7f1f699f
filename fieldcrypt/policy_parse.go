package fieldcrypt

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits on a policy beyond those of its text. They are far above what people
// write and keep every check below quadratic cost that would be felt.
const (
	maxPolicyItems  = 1000 // entries of one list or mapping
	maxPolicyName   = 255  // bytes of a dataset, tenant, tag or header
	maxPolicyPath   = 1024 // bytes of the path of a field
	maxPolicyKEK    = 2048 // bytes of the URI of a KEK
	maxPolicyTopic  = 249  // bytes of a topic name, as Kafka has it
	maxPolicySeals  = 1 << 32
	maxPolicyExpire = 24 * time.Hour
	minPolicyAge    = time.Second
)

func parsePolicyFile(file string, text []byte) (*Policy, error) {
	return parsePolicyIn(file, text, moduleEnforced())
}

// parsePolicyIn reads a policy for a process that enforces FIPS 140-3 or not.
func parsePolicyIn(file string, text []byte, enforced bool) (*Policy, error) {
	r := &policyReader{file: file}
	p := &Policy{digest: policyDigest(text)}
	if root := r.document(text); root != nil {
		p.doc = r.policy(root)
	}
	r.refuseUnapproved(p.doc.fips, enforced)
	p.doc.unapproved = r.unapproved
	if err := r.result(); err != nil {
		return nil, err
	}
	return p, nil
}

func (r *policyReader) policy(root *yaml.Node) policyDoc {
	var doc policyDoc
	if !r.version(root) {
		return doc
	}
	m, ok := r.mapping(root, "", slices.Concat(
		[]string{"version", "profile", "dataset", "tenant", "on_mismatch", "ignore_tags", "keys", "domain_keys", "vaults", "persons", "rules", "topics"},
		guardKeys())...)
	if !ok {
		return doc
	}
	r.profile(m, &doc)
	doc.dataset, _ = m.name("dataset", maxPolicyName)
	if node := m.values["tenant"]; node != nil {
		doc.tenant = r.tenant(node)
		r.tenants = doc.tenant != (tenantRule{})
	}
	doc.guards = m.guards()
	if word, ok := m.word("on_mismatch", "mode", "report", "strict"); ok && word == "report" {
		doc.onMismatch = mismatchReport
	}
	if node := m.values["keys"]; node != nil {
		doc.keys = r.keys(node)
	}
	if node := m.values["domain_keys"]; node != nil {
		doc.domainKeys = r.domainKeys(node, doc.keys)
	}
	if node := m.values["vaults"]; node != nil {
		doc.vaults = r.vaults(node, &doc)
	}
	if node := m.values["persons"]; node != nil {
		doc.persons = r.persons(node)
	}
	doc.rules = r.rules(m, "rules", selector{word: selectTag}, &doc)
	doc.topics = r.topics(m, &doc)
	doc.allTopics = !m.has("topics")
	doc.ignoreTags = r.ignoreTags(m, doc.rules)

	if len(r.errs) == 0 && !protects(doc) {
		r.failf(root, "", "protects nothing: there is no rule, and no topic has rules or fields")
	}
	return doc
}

// version is read before the rest: a later version may well have keys that
// this release would call unknown, and that would hide the one true reason.
func (r *policyReader) version(root *yaml.Node) bool {
	if root.Kind != yaml.MappingNode {
		r.failf(root, "", "expected a mapping, found %s", kindOf(root))
		return false
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value != "version" || !isText(key) {
			continue
		}
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!int" || value.Value != "1" {
			r.failf(value, "version", "this release reads version 1 only, written as the number 1")
			return false
		}
		return true
	}
	r.failf(root, "", `"version" is missing: begin with version: 1`)
	return false
}

func protects(doc policyDoc) bool {
	return len(doc.rules) > 0 || slices.ContainsFunc(doc.topics, func(t topicRule) bool {
		return len(t.rules) > 0 || len(t.fields) > 0 || len(t.headers) > 0 || t.key != nil
	})
}

func (r *policyReader) tenant(node *yaml.Node) tenantRule {
	var t tenantRule
	m, ok := r.mapping(node, "tenant", "from", "required")
	if !ok || !m.require("from") {
		return t
	}
	// A policy that knows tenants refuses records without one, unless it says
	// otherwise: a forgotten header must not fall back to a shared key.
	t.required = m.boolean("required", true)
	from, ok := m.name("from", maxPolicyName)
	if !ok {
		return t
	}
	form, name, named := strings.Cut(from, ":")
	switch {
	case form == "key" && !named:
		t.fromKey = true
	case form == "value" && named:
		if strings.ContainsAny(name, "[]{}*") {
			m.failf("from", "expected the path of a field that a record has once, such as value:/tenant_id")
			break
		}
		node := *m.values["from"]
		if node.Value = name; r.fieldPath(&node, m.at("from"), false) {
			t.path = name
		}
	case form == "header" && (name == "fv-key" || name == "fv-meta"):
		m.failf("from", "this header belongs to the format and cannot name a tenant")
	case form == "header" && nameFault(name, maxPolicyName) == "":
		t.header = name
	case form == "fixed" && nameFault(name, maxPolicyName) == "":
		t.fixed = name
		if m.has("required") {
			m.r.failf(m.names["required"], m.at("required"), "a fixed tenant is never missing: leave this key out")
		}
	case form == "key" || form == "header" || form == "fixed" || form == "value":
		m.failf("from", "expected header:NAME, key, value:/path or fixed:NAME, without spaces around the name")
	default:
		m.failf("from", "%s", unknown("form", form, []string{"fixed:NAME", "header:NAME", "key", "value:/path"}))
	}
	return t
}

func (r *policyReader) ignoreTags(m policyMap, rules []rule) []string {
	var tags []string
	for i, item := range m.list("ignore_tags") {
		path := indexPath(m.at("ignore_tags"), i)
		if !r.tag(item, path) {
			continue
		}
		tag := item.Value
		if slices.ContainsFunc(tags, func(earlier string) bool { return tagCovers(earlier, tag) }) {
			r.failf(item, path, "tag %q is ignored already", tag)
		}
		for j := range rules {
			if tagCovers(rules[j].tag, tag) {
				r.failf(item, path, "tag %q is not ignored: rules[%d] on line %d is for it", tag, j, rules[j].line)
				break
			}
		}
		tags = append(tags, tag)
	}
	return tags
}
