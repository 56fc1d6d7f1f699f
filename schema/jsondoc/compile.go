package jsondoc

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/schema"
)

// A FitError says that an edit does not fit its field.
type FitError struct {
	Path   string // empty when there is no such field
	Type   schema.Type
	Reason string
}

// Field returns the path, as [schema.MisfitError] wants it.
func (e *FitError) Field() string { return e.Path }

func (e *FitError) Error() string {
	if e.Path == "" {
		return "jsondoc: " + e.Reason
	}
	return fmt.Sprintf("jsondoc: %s: %s: %s", e.Path, e.Type, e.Reason)
}

// Compile implements [schema.Schema]. Its program hands values over as follows.
//
// For Replace the value must be a string: the visitor gets what it means, without
// escapes, and appends the new content, which must be UTF-8. For Wrap the visitor
// gets the value as it stands in the document, a string with its quotes and
// escapes, and its answer becomes a string. For Nullify see [Shape.Omit]. Null
// stays null, and is not handed over.
//
// For Number the value must be a number. The visitor gets it as it stands in the
// document, and its answer stands there as it is. An answer ends the Rewrite with
// [schema.ErrNumber] when it is not exactly one number by the grammar of RFC 8259,
// when it is more than 64 bytes longer than the number in whose place it stands,
// and when it has a fraction in a field of [schema.TypeInteger]. 5.0 and 50e-1 have
// none: JSON Schema tells integers by their value. Beyond that no number is too
// large or too precise, here as elsewhere in a document.
//
// A value with an edit is handled as a whole: nothing inside it is looked at for
// other fields, but all of it is checked.
func (s *Schema) Compile(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	return s.compile(edits, unknown, false)
}

// Restore implements [schema.Schema]. Its program hands over what a string means,
// without escapes. For Replace the visitor appends the new content; escapes that
// an original had without need are not found again, so that only Wrap gives back
// the very bytes. For Wrap it appends a JSON value, which stands in the document
// as it is when it is exactly one, by the rules for documents and no deeper than
// they allow. A value at the place of a Wrap that is no string is handed over as
// it stands in the document, like content, to be refused or kept: it is none that
// was wrapped. For Number it does what Compile does, but that a value can be kept.
func (s *Schema) Restore(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	return s.compile(edits, unknown, true)
}

// Derive implements [schema.Schema]. There is no text to derive from, so changed
// is always false.
func (s *Schema) Derive([]schema.Edit, schema.Origin) (text schema.Text, changed bool, err error) {
	return schema.Text{}, false, nil
}

func (s *Schema) compile(edits []schema.Edit, unknown schema.Unknown, back bool) (schema.Program, error) {
	p := &program{
		schema: s,
		edits:  make(map[int]int32, len(edits)),
		ops:    make([]schema.Op, len(edits)),
		nodes:  map[*Shape]*node{},
		open:   &node{edit: noEdit, any: true, plain: true},
		reject: unknown != schema.KeepUnknown,
		back:   back,
		seeds:  newSeeds(),
	}
	for i, e := range edits {
		if err := s.fits(e, back); err != nil {
			return nil, err
		}
		if _, twice := p.edits[e.Field]; twice {
			return nil, s.misfit(e.Field, "edited twice")
		}
		p.edits[e.Field], p.ops[i] = int32(i), e.Op
	}
	for _, e := range edits {
		for in := e.Field + 1; in < s.fields[e.Field].End; in++ {
			if _, ok := p.edits[in]; ok {
				return nil, s.misfit(e.Field, "edited together with "+s.fields[in].Path)
			}
		}
	}
	b := builder{program: p, nodes: p.nodes}
	p.root = b.node(s.root)
	b.protect()
	if err := s.reached(edits, b.order); err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Schema) misfit(field int, reason string) error {
	return &FitError{s.fields[field].Path, s.fields[field].Type, reason}
}

// fits tells whether an edit can be done to its field.
func (s *Schema) fits(e schema.Edit, back bool) error {
	if e.Field < 0 || e.Field >= len(s.fields) {
		return &FitError{Reason: fmt.Sprintf("edit of field %d, there are %d", e.Field, len(s.fields))}
	}
	f := &s.fields[e.Field]
	switch e.Op {
	case schema.Replace:
		if f.Type != schema.TypeString && f.Type != schema.TypeJSON {
			return s.misfit(e.Field, "only strings can be replaced")
		}
	case schema.Nullify:
		if back {
			return s.misfit(e.Field, "what was made null cannot be restored")
		}
		if !f.Nullable {
			return s.misfit(e.Field, "cannot be null")
		}
	case schema.Wrap:
		if f.Wrapped == "" {
			return s.misfit(e.Field, "cannot be wrapped")
		}
	case schema.Number:
		if !f.Numeric {
			return s.misfit(e.Field, "is not a number")
		}
	default:
		return s.misfit(e.Field, "unknown operation")
	}
	return nil
}

// reached fails when an edit would never be done, because no value is its field.
// What Match gives is not known before, so then the edit stands.
func (s *Schema) reached(edits []schema.Edit, nodes []*node) error {
	found := map[int32]bool{}
	for _, n := range nodes {
		if n.match != nil {
			return nil
		}
		found[n.edit] = true
	}
	for i, e := range edits {
		if !found[int32(i)] {
			return s.misfit(e.Field, "no value of a document is this field")
		}
	}
	return nil
}

// program is a schema with edits. It is immutable but for what it has learned of
// the shapes that Match gives.
type program struct {
	schema *Schema
	edits  map[int]int32 // field to edit
	ops    []schema.Op
	root   *node
	open   *node // of values that nothing, or Any, describes
	nodes  map[*Shape]*node
	reject bool
	back   bool
	seeds  seeds
	pool   sync.Pool // of *scratch

	learned sync.Map // *Shape to *node
	count   atomic.Int64
	met     atomic.Int64 // names that meet noted
}

// maxLearned bounds the shapes that Match gives: it could make up new ones.
const maxLearned = 1 << 16

// resolve returns the node of a shape that Match gave.
func (p *program) resolve(s *Shape) (*node, error) {
	if n, ok := p.nodes[s]; ok {
		return n, nil
	}
	if n, ok := p.learned.Load(s); ok {
		if n, ok := n.(*node); ok {
			return n, nil
		}
	}
	return p.learn(s)
}

func (p *program) learn(s *Shape) (*node, error) {
	b := builder{program: p, nodes: map[*Shape]*node{}}
	n := b.node(s)
	if b.err != nil {
		return nil, b.err
	}
	b.protect()
	if p.count.Add(int64(len(b.nodes))) > maxLearned {
		return nil, fmt.Errorf("jsondoc: %s: more than %d shapes", p.schema.name, maxLearned)
	}
	for shape, n := range b.nodes {
		p.learned.LoadOrStore(shape, n)
	}
	return n, nil
}

const noEdit = -1

// An answer is a shape that Match gave, with its node.
type answer struct {
	shape *Shape
	node  *node
}

// A node is a shape with the edits that matter to it.
type node struct {
	edit int32 // or noEdit
	op   schema.Op
	// plain tells that a string may stand here, and stays as it is.
	plain bool
	omit  bool
	any   bool
	// integral tells that the answers to an edit by schema.Number have to be.
	integral bool
	// protects tells that an edit lies here or below.
	protects bool
	kinds    Kinds // only where the node protects
	names
	// met are the names with those of other members that were met, see meet.
	met   atomic.Pointer[names]
	meets bool
	match func(name []byte) (*Shape, bool)
	// first is the first answer of match, which most have only one of.
	first  atomic.Pointer[answer]
	rest   *node
	prefix []*node
	items  *node
}

// builder makes nodes of shapes.
type builder struct {
	program *program
	nodes   map[*Shape]*node // made here
	order   []*node
	err     error
}

// node returns the node of s. The nodes inside are made without recursion: the
// shapes may be nested deeper than any document.
func (b *builder) node(s *Shape) *node {
	var open []*Shape
	get := func(s *Shape) *node {
		if s == nil {
			return nil
		}
		if n, ok := b.program.nodes[s]; ok {
			return n
		}
		n, ok := b.nodes[s]
		if !ok {
			n = b.start(s)
			open = append(open, s)
		}
		return n
	}
	first := get(s)
	for len(open) > 0 && b.err == nil {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		if b.err = b.program.schema.check(s); b.err != nil {
			break
		}
		n := get(s)
		members := make([]member, 0, len(s.Members))
		for name, m := range s.Members {
			members = append(members, member{name: name, node: get(m)})
		}
		n.names = namesOf(members)
		n.match, n.rest, n.items = s.Match, get(s.rest), get(s.Items)
		for _, item := range s.Prefix {
			n.prefix = append(n.prefix, get(item))
		}
		n.meets = len(n.members) > 0 && len(n.members)+maxMet <= bitNames && n.match == nil
	}
	return first
}

func (b *builder) start(s *Shape) *node {
	n := &node{edit: noEdit, any: s.Any || s.Field != NoField && s.leaf(), kinds: s.Kinds}
	if edit, ok := b.program.edits[s.Field]; ok {
		n.edit, n.op = edit, b.program.ops[edit]
		n.omit = s.Omit && n.op == schema.Nullify
		n.integral = s.Integral || b.program.schema.fields[s.Field].Type == schema.TypeInteger
	}
	b.nodes[s] = n
	b.order = append(b.order, n)
	return n
}

// protect finds the nodes at or above an edit, and the names of members that lead
// to them. Where Match is, there may be one.
func (b *builder) protect() {
	above := map[*node][]*node{}
	var found []*node
	mark := func(n *node) {
		if !n.protects {
			n.protects = true
			found = append(found, n)
		}
	}
	for _, n := range b.order {
		if n.edit != noEdit || n.match != nil && len(b.program.edits) > 0 {
			mark(n)
		}
		n.each(func(child *node) {
			if child.protects {
				mark(n)
			}
			above[child] = append(above[child], n)
		})
	}
	for len(found) > 0 {
		n := found[len(found)-1]
		found = found[:len(found)-1]
		for _, outer := range above[n] {
			mark(outer)
		}
	}
	for _, n := range b.order {
		if !n.protects {
			n.kinds = 0
		}
		n.plain = n.edit == noEdit && n.kinds == 0
		n.foldProtected()
	}
}

// each calls f for the nodes that n leads to.
func (n *node) each(f func(*node)) {
	for _, m := range n.members {
		f(m.node)
	}
	for _, item := range n.prefix {
		f(item)
	}
	if n.items != nil {
		f(n.items)
	}
	if n.rest != nil {
		f(n.rest)
	}
}
