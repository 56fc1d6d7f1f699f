package fieldcrypt

import (
	"encoding/hex"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

func guardKeys() []string {
	return []string{"untagged_schema", "untagged_field", "unknown_tag", "unknown_field", "validate"}
}

// guards reads the modes that the mapping has.
func (m policyMap) guards() guardModes {
	g := guardModes{
		untaggedSchema: m.guard("untagged_schema"),
		untaggedField:  m.guard("untagged_field"),
		unknownTag:     m.guard("unknown_tag"),
		unknownField:   m.guard("unknown_field"),
	}
	if m.has("validate") {
		validate := m.boolean("validate", false)
		g.validate = &validate
	}
	return g
}

// guard returns nil when the mapping does not say.
func (m policyMap) guard(key string) *guardMode {
	word, ok := m.word(key, "mode", "allow", "reject")
	if !ok {
		return nil
	}
	mode := guardReject
	if word == "allow" {
		mode = guardAllow
	}
	return &mode
}

func (r *policyReader) topics(m policyMap, doc *policyDoc) []topicRule {
	nodes := m.list("topics")
	if m.has("topics") && m.values["topics"].Kind == yaml.SequenceNode && len(nodes) == 0 {
		m.failf("topics", "an empty list governs no topic: leave the key out to govern all")
	}
	var topics []topicRule
	for i, node := range nodes {
		path := indexPath("topics", i)
		t := r.topic(node, path, doc)
		for j := range topics {
			if t.match != "" && topics[j].match != "" && globCoversGlob(topics[j].match, t.match) {
				r.failf(node, path, "never reached: topics[%d] on line %d matches the same topics", j, topics[j].line)
				break
			}
		}
		topics = append(topics, t)
	}
	return topics
}

func (r *policyReader) topic(node *yaml.Node, path string, doc *policyDoc) topicRule {
	t := topicRule{pos: pos{line: node.Line, column: node.Column}}
	m, ok := r.mapping(node, path, slices.Concat(
		[]string{
			"match", "dataset", "format", "derived_subject", "pins", "clear", "acknowledge",
			"key", "headers", "fields", "rules",
		}, guardKeys())...)
	if !ok {
		return t
	}
	if m.require("match") {
		if match, ok := m.name("match", maxPolicyTopic); ok {
			if strings.ContainsFunc(match, notInGlob) {
				m.failf("match", "a topic name is made of ASCII letters, digits, '.', '_' and '-'; the wildcards are * for any run and ? for one character")
			} else {
				t.match = match
			}
		}
	}
	t.dataset, _ = m.name("dataset", maxPolicyName)
	if word, ok := m.word("format", "format", string(formatJSON), "registry"); ok && word != "registry" {
		t.format = formatWord(word)
	}
	t.guards = m.guards()
	if subject, ok := m.name("derived_subject", maxPolicyName); ok {
		t.derived = subject
	}
	t.pins = r.pins(m)
	t.clear = r.paths(m, "clear")
	t.acknowledge = r.digests(m)
	t.fields = r.rules(m, "fields", selector{word: selectPath, wildcards: t.format == formatJSON}, doc)
	t.rules = r.rules(m, "rules", selector{word: selectTag}, doc)
	t.headers = r.rules(m, "headers", selector{word: selectHeader}, doc)
	t.key = r.keyRule(m, doc)
	r.checkFormat(m, &t)
	for i := range t.headers {
		if name := t.headers[i].path; name != "" && name == doc.tenant.header {
			m.failf("headers", "header %q names the tenant, so it has to stay clear", name)
		}
	}
	if doc.tenant.path != "" {
		for _, key := range []string{"key", "headers"} {
			if m.has(key) {
				m.failf(key, "the value names the tenant, and a tombstone has none: take the tenant from a header")
			}
		}
	}
	if t.key != nil && doc.tenant.fromKey {
		m.failf("key", "the key names the tenant, so it has to stay clear")
	}
	if (t.key != nil || len(t.headers) > 0) && t.dataset == "" && doc.dataset == "" {
		for _, key := range []string{"key", "headers"} {
			if m.has(key) {
				m.failf(key, "needs a dataset, here or for the policy: a key or header belongs to no schema whose name could stand for it")
				break
			}
		}
	}
	return t
}

// checkFormat refuses what makes no sense for records without a schema.
func (r *policyReader) checkFormat(m policyMap, t *topicRule) {
	if t.format != formatJSON {
		return
	}
	if len(t.fields) == 0 && m.has("format") {
		m.failf("format", `records without a schema have no tags: say under "fields" what to protect`)
	}
	for _, key := range []string{"rules", "derived_subject", "acknowledge", "pins", "clear", "untagged_schema", "untagged_field", "unknown_tag", "unknown_field", "validate"} {
		if m.has(key) {
			r.failf(m.names[key], m.at(key), "has no meaning for records without a schema (format: json)")
		}
	}
}

// keyRule reads the rule for the record key.
func (r *policyReader) keyRule(m policyMap, doc *policyDoc) *rule {
	node := m.values["key"]
	if node == nil {
		return nil
	}
	path := m.at("key")
	km, ok := r.ruleMapping(node, path)
	if !ok {
		return nil
	}
	out := &rule{pos: pos{line: node.Line, column: node.Column}, path: pathOfKey, action: r.action(km, doc)}
	if a := &out.action; a.kind != "" && a.kind != actHash && a.kind != actTokenize && (a.kind != actEncrypt || a.mode == modeRandom || a.mode == modePerson) {
		km.failf("action", "a record key takes only hash, tokenize, and encrypt with mode: deterministic or format-preserving: equal keys must stay equal, or compaction and the order of records break")
	}
	if out.action.redact {
		km.failf("on_invalid", "keys that become one word would be one key: compaction would delete all records but the last")
	}
	return out
}

// pins reads the list of what must be protected.
func (r *policyReader) pins(m policyMap) []pin {
	var pins []pin
	for i, node := range m.list("pins") {
		path := indexPath(m.at("pins"), i)
		pm, ok := r.mapping(node, path, "path", "schema")
		if !ok || !pm.require("path") {
			continue
		}
		p := pin{path: pm.values["path"].Value}
		if !r.fieldPath(pm.values["path"], pm.at("path"), false) {
			continue
		}
		p.schema, _ = pm.name("schema", maxPolicyName)
		if slices.Contains(pins, p) {
			r.failf(node, path, "this path was pinned before")
		}
		pins = append(pins, p)
	}
	return pins
}

func (r *policyReader) paths(m policyMap, key string) []string {
	var paths []string
	for i, node := range m.list(key) {
		path := indexPath(m.at(key), i)
		if !r.fieldPath(node, path, false) {
			continue
		}
		if slices.Contains(paths, node.Value) {
			r.failf(node, path, "this path was named before")
		}
		paths = append(paths, node.Value)
	}
	return paths
}

// digests reads the digests of acknowledged schemas.
func (r *policyReader) digests(m policyMap) [][32]byte {
	var out [][32]byte
	for i, node := range m.list("acknowledge") {
		path := indexPath(m.at("acknowledge"), i)
		b, err := hex.DecodeString(strings.TrimPrefix(node.Value, "sha256:"))
		if !isText(node) || err != nil || len(b) != 32 || !strings.HasPrefix(node.Value, "sha256:") {
			r.failf(node, path, "expected the digest of a schema as the refusal names it: sha256: and 64 hexadecimal digits")
			continue
		}
		out = append(out, [32]byte(b))
	}
	return out
}

// headerName checks the name of a header.
func (r *policyReader) headerName(node *yaml.Node, path string) bool {
	if !isText(node) {
		r.failf(node, path, "expected text, found %s", kindOf(node))
		return false
	}
	fault := nameFault(node.Value, maxPolicyName)
	if node.Value == envelope.HeaderKey || node.Value == envelope.HeaderMeta {
		fault = "this header belongs to the format"
	}
	if fault != "" {
		r.failf(node, path, "%s", fault)
	}
	return fault == ""
}

func notInGlob(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	default:
		return !strings.ContainsRune("._-*?", c)
	}
}
