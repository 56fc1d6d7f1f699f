package fieldcrypt

import (
	"bytes"
	"maps"
	"reflect"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// A PolicyKey is a named key of a policy, as far as KEKs go.
type PolicyKey struct {
	Name string
	// Domain tells a domain key, whose versions stand in the policy.
	Domain bool
	// KEK is the URI of the KEK that wraps new keys; Also are further ones that
	// may open.
	KEK  string
	Also []string
	// Person tells the root keys of persons, of the section persons.
	Person bool
	// Versions are the key blocks of a domain key, the oldest first.
	Versions [][]byte
	// Limits are those that the policy gives; what it leaves to the default is zero.
	Limits datakey.Limits
	// Persist tells that the last data key is kept, wrapped, for the next start.
	Persist bool
}

// Keys returns the named keys of the policy, in the order of their names. They
// are copies.
func (p *Policy) Keys() []PolicyKey {
	var out []PolicyKey
	for _, name := range slices.Sorted(maps.Keys(p.doc.keys)) {
		k := p.doc.keys[name]
		out = append(out, PolicyKey{Name: name, KEK: k.kek, Also: slices.Clone(k.also), Limits: scopeSpec(k).Limits, Persist: k.persist})
	}
	for _, name := range slices.Sorted(maps.Keys(p.doc.domainKeys)) {
		k := p.doc.domainKeys[name]
		versions := make([][]byte, len(k.blocks))
		for i, b := range k.blocks {
			versions[i] = bytes.Clone(b)
		}
		out = append(out, PolicyKey{Name: name, Domain: true, KEK: k.kek, Also: slices.Clone(k.also), Versions: versions})
	}
	if k := p.doc.persons; k != nil {
		out = append(out, PolicyKey{Name: "persons", Person: true, KEK: k.kek, Also: slices.Clone(k.also), Limits: scopeSpec(k.keySpec).Limits})
	}
	return out
}

// SameKeys tells whether two policies describe their keys in the same way: names,
// KEKs, limits and versions. Then engines of both may share a [datakey.Cache],
// which refuses a key that it knows otherwise.
func (p *Policy) SameKeys(other *Policy) bool {
	a, b := &p.doc, &other.doc
	return reflect.DeepEqual(a.keys, b.keys) && reflect.DeepEqual(a.domainKeys, b.domainKeys) &&
		(a.persons == nil) == (b.persons == nil) && (a.persons == nil || reflect.DeepEqual(a.persons.keySpec, b.persons.keySpec))
}

// Policy returns the policy of the engine.
func (e *Engine) Policy() *Policy { return e.policy }
