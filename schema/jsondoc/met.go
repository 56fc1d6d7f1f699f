package jsondoc

import "slices"

// Bounds of the names that a program notes because it met them.
const (
	maxMet      = 64      // in one node
	maxMetNames = 1 << 10 // in all of them
	maxMetName  = 64      // bytes
)

// meet notes the name of a member that the node has no name for, but describes or
// keeps: objects that have one of the names of a node mostly have the same others,
// and what is known by name is found fast. It changes nothing but that. A node
// without names is that of a map, whose names are not noted: they are no part of a
// structure, but data.
//
// A run that reads an object goes on with the names that it began with.
func (p *program) meet(n *node, name []byte, child *node) {
	old := n.met.Load()
	if old == nil {
		old = &n.names
	}
	if len(old.members) >= len(n.members)+maxMet || len(name) > maxMetName || p.met.Load() >= maxMetNames {
		return
	}
	if old.find(name, wordsOf(name)) >= 0 {
		return // by another run, or twice in the same object
	}
	members := slices.Grow(slices.Clone(old.members), 1)
	more := namesOf(append(members, member{name: string(name), node: child}))
	if old == &n.names {
		old = nil
	}
	if n.met.CompareAndSwap(old, &more) {
		p.met.Add(1)
	}
}
