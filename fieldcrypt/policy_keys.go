package fieldcrypt

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// keys reads the named keys. The names of faulty ones are kept, so that the
// rules that use them are not called wrong too.
func (r *policyReader) keys(node *yaml.Node) map[string]keySpec {
	keys := map[string]keySpec{}
	r.named(node, "keys", func(key, value *yaml.Node, name string) {
		if _, ok := keys[name]; ok {
			r.failf(key, "keys", "key %q was given before", name)
			return
		}
		keys[name] = r.key(value, name)
	})
	return keys
}

// named calls each for the entries of a mapping from names.
func (r *policyReader) named(node *yaml.Node, path string, each func(key, value *yaml.Node, name string)) {
	switch {
	case node.Kind != yaml.MappingNode:
		r.failf(node, path, "expected a mapping, found %s", kindOf(node))
		return
	case len(node.Content) > 2*maxPolicyItems:
		r.failf(node, path, "more than %d entries", maxPolicyItems)
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := shownName(key.Value)
		if !isText(key) || name == "" {
			r.failf(key, path, "a name is a letter, then up to 63 letters, digits, _ or -")
			continue
		}
		each(key, value, name)
	}
}

func (r *policyReader) key(node *yaml.Node, name string) keySpec {
	spec := keySpec{name: name, suite: suiteGCM}
	m, ok := r.mapping(node, "keys."+name,
		"kek", "also", "refresh", "expire", "max_seals", "max_bytes", "suite", "persist")
	if !ok {
		return spec
	}
	spec.kek, spec.also = m.keks()
	spec.refresh = m.age("refresh")
	spec.expire = m.age("expire")
	m.checkAges(spec)
	spec.maxSeals = m.integer("max_seals", 1, maxPolicySeals)
	spec.maxBytes = m.size("max_bytes")
	if word, ok := m.word("suite", "suite", string(suiteGCM), string(suiteXAES)); ok {
		spec.suite = suiteName(word)
	}
	spec.persist = m.boolean("persist", false)
	if spec.persist && spec.suite == suiteGCM && spec.maxSeals > maxPersistSeals {
		m.failf("max_seals", "at most 268435456 with persist, unless suite is xaes")
	}
	return spec
}

// maxPersistSeals is what package datakey allows for keys that persist.
const maxPersistSeals = 1 << 28

// keks reads the KEK of a key and those that go on unwrapping.
func (m policyMap) keks() (kek string, also []string) {
	if m.require("kek") {
		kek, _ = m.text("kek")
		if isText(m.values["kek"]) {
			m.r.kek(m.values["kek"], m.at("kek"))
		}
	}
	for i, item := range m.list("also") {
		path := indexPath(m.at("also"), i)
		switch {
		case !m.r.kek(item, path):
		case item.Value == kek || slices.Contains(also, item.Value):
			m.r.failf(item, path, "this KEK was named before")
		default:
			also = append(also, item.Value)
		}
	}
	return kek, also
}

// domainKeys reads the keys for deterministic encryption.
func (r *policyReader) domainKeys(node *yaml.Node, random map[string]keySpec) map[string]domainKeySpec {
	keys := map[string]domainKeySpec{}
	r.named(node, "domain_keys", func(key, value *yaml.Node, name string) {
		if _, ok := random[name]; ok {
			r.failf(key, "domain_keys", "key %q stands under keys too", name)
		}
		if _, ok := keys[name]; ok {
			r.failf(key, "domain_keys", "key %q was given before", name)
			return
		}
		keys[name] = r.domainKey(value, name)
	})
	return keys
}

// vaults reads the named token vaults.
func (r *policyReader) vaults(node *yaml.Node, doc *policyDoc) map[string]vaultSpec {
	vaults := map[string]vaultSpec{}
	r.named(node, "vaults", func(key, value *yaml.Node, name string) {
		if _, ok := vaults[name]; ok {
			r.failf(key, "vaults", "vault %q was given before", name)
			return
		}
		spec := vaultSpec{name: name}
		if m, ok := r.mapping(value, "vaults."+name, "key"); ok {
			var a actionSpec
			m.domainKey(&a, doc)
			spec.key = a.key
		}
		vaults[name] = spec
	})
	return vaults
}

// persons reads under which KEK the keys of persons stand.
func (r *policyReader) persons(node *yaml.Node) *personsSpec {
	spec := new(personsSpec)
	m, ok := r.mapping(node, "persons", "kek", "also", "refresh", "expire", "by", "on_forgotten")
	if !ok {
		return spec
	}
	var key keySpec
	key.kek, key.also = m.keks()
	key.refresh, key.expire = m.age("refresh"), m.age("expire")
	m.checkAges(key)
	spec.keySpec = key
	if m.has("by") {
		m.subject(&spec.by)
	}
	if word, ok := m.word("on_forgotten", "way", "redact", "reject"); ok {
		spec.redact = word == "redact"
	}
	return spec
}

func (r *policyReader) domainKey(node *yaml.Node, name string) domainKeySpec {
	spec := domainKeySpec{name: name}
	m, ok := r.mapping(node, "domain_keys."+name, "kek", "also", "versions")
	if !ok {
		return spec
	}
	spec.kek, spec.also = m.keks()
	if !m.require("versions") {
		return spec
	}
	items := m.list("versions")
	if len(items) == 0 && m.values["versions"].Kind == yaml.SequenceNode {
		m.failf("versions", "a domain key has at least one version: fieldveil kek domain makes one")
	}
	for i, item := range items {
		path := indexPath(m.at("versions"), i)
		block, err := base64.StdEncoding.Strict().DecodeString(item.Value)
		if !isText(item) || err != nil {
			r.failf(item, path, "expected a key block in base64, as fieldveil kek domain prints it")
			continue
		}
		kb, err := envelope.ParseKeyBlock(block)
		switch {
		case err != nil:
			r.failf(item, path, "not a key block")
		case !slices.ContainsFunc(append([]string{spec.kek}, spec.also...), func(k string) bool { return kekOf(k, kb.Tenant) == kb.KEK }):
			r.failf(item, path, "wrapped under a KEK that this key does not name")
		case slices.ContainsFunc(spec.blocks, func(b []byte) bool { return bytes.Equal(b, block) }):
			r.failf(item, path, "this version was given before")
		default:
			spec.blocks = append(spec.blocks, block)
		}
	}
	return spec
}

// kek checks the URI of a KEK. It is never shown: it can hold the name of an
// account or, where someone put it there, a token.
func (r *policyReader) kek(node *yaml.Node, path string) bool {
	if !isText(node) {
		r.failf(node, path, "expected text, found %s", kindOf(node))
		return false
	}
	if fault := nameFault(node.Value, maxPolicyKEK); fault != "" {
		r.failf(node, path, "%s", fault)
		return false
	}
	if fault := kekFault(node.Value, r.tenants); fault != "" {
		r.failf(node, path, "%s", fault)
		return false
	}
	scheme, rest, ok := strings.Cut(node.Value, ":")
	if !ok || rest == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || scheme == "" {
		r.failf(node, path, "expected the URI of a KEK, such as local:./dev.kek")
		return false
	}
	return true
}

// age returns the duration at key, 0 when it is missing or faulty.
func (m policyMap) age(key string) time.Duration {
	node := m.values[key]
	if node == nil {
		return 0
	}
	d, err := time.ParseDuration(node.Value)
	switch {
	case !isText(node) || err != nil:
		m.failf(key, "expected a duration with a unit, such as 15m or 1h30m")
	case d < minPolicyAge:
		m.failf(key, "must not be shorter than 1s")
	case d > maxPolicyExpire:
		m.failf(key, "must not be longer than 24h")
	default:
		return d
	}
	return 0
}

// checkAges compares the two ages when neither is faulty, with the default for
// the one that was left out.
func (m policyMap) checkAges(spec keySpec) {
	if m.has("refresh") && spec.refresh == 0 || m.has("expire") && spec.expire == 0 {
		return
	}
	switch {
	case !m.has("expire") && spec.refresh > defaultExpire:
		m.failf("refresh", "longer than expire, which is 60m unless given")
	case !m.has("refresh") && m.has("expire") && spec.expire < defaultRefresh:
		m.failf("expire", "shorter than refresh, which is 15m unless given")
	case m.has("expire") && spec.refresh > spec.expire:
		m.failf("refresh", "longer than expire")
	}
}

// size returns the number of bytes at key, 0 when it is missing or faulty.
func (m policyMap) size(key string) uint64 {
	node := m.values[key]
	if node == nil {
		return 0
	}
	digits, shift := node.Value, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if number, ok := strings.CutSuffix(node.Value, unit); ok {
			digits, shift = number, 10*(i+1)
		}
	}
	n, ok := decimal(digits)
	switch {
	case node.Kind != yaml.ScalarNode || !isDigits(digits) || isText(node) == (shift == 0):
		m.failf(key, "expected a number of bytes, or one with the unit KiB, MiB or GiB, such as 64GiB")
	case n == 0 && ok:
		m.failf(key, "must not be 0")
	case !ok || n > math.MaxInt64>>shift:
		m.failf(key, "too large")
	default:
		return n << shift
	}
	return 0
}
