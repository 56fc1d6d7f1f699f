package avro

import (
	"errors"

	"github.com/fieldveil/fieldveil/schema"
)

// Compile returns the program that carries the edits out. Its errors are
// [*FitError], but for one when the program would be too long. Avro has no content
// that its schema does not describe, so the last argument has no meaning.
//
// Records in whose values a number takes more bytes than it needs are refused
// where it would be written anew: the way back could not give it as it was. Only
// the bytes of a decimal are not, when it is edited by [schema.Number].
//
// A program needs no memory of its own but for such numbers, where it keeps a
// few kilobytes for each Rewrite that runs at a time. The text that a visitor was
// shown there is cleared when it returns.
func (s *Schema) Compile(edits []schema.Edit, _ schema.Unknown) (schema.Program, error) {
	return s.program(edits, false)
}

// Restore returns the program of the way back. Of a derived schema, the edits
// must wrap all fields that are sealed, and no others.
func (s *Schema) Restore(edits []schema.Edit, _ schema.Unknown) (schema.Program, error) {
	return s.program(edits, true)
}

func (s *Schema) program(edits []schema.Edit, back bool) (schema.Program, error) {
	places, err := s.edits(edits, back)
	if err != nil {
		return nil, err
	}
	c := &compiler{
		edits:  places,
		back:   back,
		edited: make(map[*place]bool),
		plain:  make(map[*node]int32),
		called: make(map[*place]int32),

		outerPlaces: make(map[*place]bool),
		outerNames:  make(map[string]bool),
		empties:     make(map[*node]bool),
	}
	c.recursion(s.tree)
	for c.mark(s.tree) {
	}
	c.place(s.tree)
	c.emit(instr{op: opEnd})
	// Subroutines may ask for more of them.
	for len(c.pending) > 0 && len(c.code) <= maxCode {
		next := c.pending[0]
		c.pending = c.pending[1:]
		start := c.pc()
		if next.place != nil {
			c.called[next.place] = start
			c.record(next.place)
		} else {
			c.plain[next.node] = start
			c.plainRecord(next.node)
		}
		c.emit(instr{op: opEnd})
	}
	if len(c.code) > maxCode {
		return nil, errors.New("avro: program is too long")
	}
	c.link()
	return &program{code: c.code, tables: c.tables, back: back, numbers: c.numbers}, nil
}

// compiler emits code. Where a place has no edit below, the code of its type
// serves all places.
type compiler struct {
	edits   map[*place]edited
	back    bool // edits are undone
	edited  map[*place]bool
	code    []instr
	tables  []int32
	numbers []number
	fixups  []fixup
	pending []target
	plain   map[*node]int32  // subroutine of a record without edits
	called  map[*place]int32 // subroutine of a recursive record with edits
	barrier int32            // instructions before it are jumped to behind: not merged

	// What recursive references refer to. Every cycle of types has one of these,
	// so counting the calls of these bounds the nesting, and types that merely
	// nest without recursion do not count. Types go by name, as a derived schema
	// has definitions of its own in each property.
	outerPlaces map[*place]bool
	outerNames  map[string]bool
	empties     map[*node]bool // answers of empty
}

type target struct {
	node  *node
	place *place
}

type fixup struct {
	at int32
	target
}

const unresolved = -1

func (c *compiler) pc() int32 { return int32(len(c.code)) } //nolint:gosec // below maxCode

// merges tells whether neighbours of this kind can be one instruction.
func merges(op opcode) bool {
	return op == opFixed || op == opInts || op == opLongs || op == opBytes
}

func (c *compiler) emit(in instr) int32 {
	// Neighbours of the same kind are one instruction.
	if n := len(c.code); n > 0 && c.pc() > c.barrier {
		last := &c.code[n-1]
		if last.op == in.op {
			if merges(in.op) && int64(last.n)+int64(in.n) < 1<<31 {
				last.n += in.n
				return c.pc() - 1
			}
		}
	}
	c.code = append(c.code, in)
	return c.pc() - 1
}

// here marks the next instruction as one that is jumped to.
func (c *compiler) here() int32 {
	c.barrier = c.pc()
	return c.barrier
}

// mark finds the places at or below which an edit lies. A recursive reference
// counts as what it refers to, so the answer is sought until it stands.
func (c *compiler) mark(p *place) (changed bool) {
	_, edited := c.edits[p]
	edited = edited || p.sealed // its records are not of the node's type
	if p.outer != nil {
		edited = c.edited[p.outer]
	}
	for _, ch := range p.children {
		changed = c.mark(ch) || changed
		edited = edited || c.edited[ch]
	}
	if edited && !c.edited[p] {
		c.edited[p] = true
		changed = true
	}
	return changed
}

func (c *compiler) recursion(p *place) {
	if p.outer != nil {
		c.outerPlaces[p.outer], c.outerNames[p.node.name] = true, true
	}
	for _, ch := range p.children {
		c.recursion(ch)
	}
}

func (c *compiler) place(p *place) {
	e, ok := c.edits[p]
	switch {
	case ok && e.op == schema.Wrap:
		c.wrap(p, e.index)
	case p.sealed:
		c.sealed(p.node)
	case ok && e.op == schema.Replace:
		c.emit(instr{op: opEdit, n: int32(e.index)}) //nolint:gosec // number of fields
	case ok && e.op == schema.Number:
		c.number(p.node, e.index)
	case !c.edited[p]:
		c.typ(p.node)
	case p.outer != nil:
		c.call(target{place: p.outer})
	case c.outerPlaces[p]:
		c.call(target{place: p})
	case p.node.kind == "record":
		c.record(p)
	case p.node.kind == "union":
		c.union(p.node, func(i int) { c.place(p.children[i]) }, p)
	default:
		c.loop(p.node, c.emptyAt(p.children[0]), func() { c.place(p.children[0]) })
	}
}

// wrap emits the wrapping of a place, or the way back. Its type follows as a
// subroutine.
func (c *compiler) wrap(p *place, edit int) {
	in := instr{op: opWrap, a: int32(edit), table: int32(nullBranch(p.node))} //nolint:gosec // number of fields
	if c.back {
		in.op = opUnwrap
	}
	at := c.emit(in)
	c.here()
	c.typ(p.node)
	c.emit(instr{op: opEnd})
	c.code[at].n = c.here()
}

// number emits the edit of a number.
func (c *compiler) number(n *node, edit int) {
	f, ok := numberOf(n)
	if !ok {
		panic("avro: edit of a number that is none") //nolint:forbidigo // fits refuses it
	}
	c.emit(instr{op: opNumber, a: int32(len(c.numbers)), n: int32(edit)}) //nolint:gosec // number of fields
	c.numbers = append(c.numbers, f)
}

// sealed emits code that passes over the wrapped form of a value of n.
func (c *compiler) sealed(n *node) {
	if nullBranch(n) < 0 {
		c.emit(instr{op: opBytes, n: 1})
		return
	}
	in := instr{op: opNullable}
	if nullLast(n) {
		in.a = 1
	}
	at := c.emit(in)
	c.here()
	c.emit(instr{op: opBytes, n: 1})
	c.code[at].n = c.here()
}

func (c *compiler) record(p *place) {
	for _, ch := range p.children {
		c.place(ch)
	}
}

// typ emits code that checks and passes over a value without edits.
func (c *compiler) typ(n *node) {
	for n.kind == kindReference {
		n = n.items
	}
	switch n.kind {
	case kindSealed:
		c.sealed(n.items)
	case "record":
		// A type without bytes has nothing to check. Passing over it field by
		// field would be work that no byte of a record pays for.
		if !c.empty(n) || c.outerNames[n.name] {
			c.call(target{node: n})
		}
	case "union":
		c.union(n, func(i int) { c.typ(n.branches[i]) }, nil)
	case "array", "map":
		c.loop(n, c.empty(n.items), func() { c.typ(n.items) })
	default:
		c.leaf(n)
	}
}

func (c *compiler) plainRecord(n *node) {
	for i := range n.fields {
		c.typ(n.fields[i].typ)
	}
}

func (c *compiler) leaf(n *node) {
	switch n.kind {
	case "null":
	case "boolean":
		c.emit(instr{op: opBool})
	case "int":
		c.emit(instr{op: opInts, n: 1})
	case "long":
		c.emit(instr{op: opLongs, n: 1})
	case "float":
		c.emit(instr{op: opFixed, n: 4})
	case "double":
		c.emit(instr{op: opFixed, n: 8})
	case "string", "bytes":
		c.emit(instr{op: opBytes, n: 1})
	case "fixed":
		c.emit(instr{op: opFixed, n: int32(n.size)}) //nolint:gosec // bounded
	case "enum":
		c.emit(instr{op: opEnum, n: int32(len(n.symbols))}) //nolint:gosec // bounded by the text
	default:
		panic("avro: unknown kind " + n.kind) //nolint:forbidigo // the builder makes no other kinds
	}
}

func (c *compiler) call(t target) {
	if t.place != nil {
		if _, ok := c.called[t.place]; !ok {
			c.called[t.place] = unresolved
			c.pending = append(c.pending, t)
		}
	} else if _, ok := c.plain[t.node]; !ok {
		c.plain[t.node] = unresolved
		c.pending = append(c.pending, t)
	}
	in := instr{op: opCall}
	if t.place != nil || c.outerNames[t.node.name] {
		in.a = 1
	}
	c.fixups = append(c.fixups, fixup{c.emit(in), t})
}

func (c *compiler) link() {
	for _, f := range c.fixups {
		if f.place != nil {
			c.code[f.at].n = c.called[f.place]
		} else {
			c.code[f.at].n = c.plain[f.node]
		}
	}
}

// loop emits the blocks of an array or map. empty tells whether its items may
// take no bytes.
func (c *compiler) loop(n *node, empty bool, body func()) {
	op := opArray
	if n.kind == "map" {
		op = opMap
	}
	at := c.emit(instr{op: op, empty: op == opArray && empty})
	c.here()
	body()
	if c.pc() == at+2 {
		item := &c.code[at+1]
		c.code[at].strings = item.op == opBytes && item.n == 1
	}
	c.emit(instr{op: opEnd})
	c.code[at].n = c.here()
}

// union emits a union. p is its place when it has edits, else nil.
func (c *compiler) union(u *node, branch func(i int), p *place) {
	n, null := len(u.branches), nullBranch(u)
	nullify := func(i int) bool {
		return p != nil && i != null && (c.edits[p].op == schema.Nullify || c.edits[p.children[i]].op == schema.Nullify)
	}
	// Null and one other is the usual union, and needs no table.
	if other := 1 - null; n == 2 && null >= 0 && !nullify(other) {
		at := c.emit(instr{op: opNullable, a: int32(null)})
		c.here()
		branch(other)
		c.code[at].n = c.here()
		return
	}
	head := instr{op: opUnion, n: int32(n), table: int32(len(c.tables))} //nolint:gosec // bounded by the text
	c.tables = append(c.tables, make([]int32, n)...)
	// Branches have unions of their own, so the table is found by its place.
	table := func() []int32 { return c.tables[head.table : int(head.table)+n] }
	for i := range n {
		if nullify(i) {
			head.op, head.a = opNullify, int32(null) //nolint:gosec // bounded by the text
		}
	}
	c.emit(head)
	var ends []int32
	for i := range n {
		start := c.here()
		if nullify(i) {
			// Read by itself, as a subroutine.
			table()[i] = -start
			c.typ(p.children[i].node)
			c.emit(instr{op: opEnd})
			continue
		}
		table()[i] = start
		branch(i)
		if c.pc() > start && i == n-1 {
			continue
		}
		ends = append(ends, c.emit(instr{op: opJump}))
	}
	end := c.here()
	for _, e := range ends {
		c.code[e].n = end
	}
	// A branch that is only a jump goes straight on.
	for i, t := range table() {
		if t > 0 && int(t) < len(c.code) && c.code[t].op == opJump {
			table()[i] = c.code[t].n
		}
	}
}

// emptyAt tells whether values at p, as the records hold them that are read, take
// no bytes.
func (c *compiler) emptyAt(p *place) bool {
	switch {
	case p.sealed || c.back && c.edits[p].op == schema.Wrap:
		return false
	case !c.edited[p] || p.node.kind != "record" || p.outer != nil:
		return c.empty(p.node)
	}
	for _, ch := range p.children {
		if !c.emptyAt(ch) {
			return false
		}
	}
	return true
}

// empty tells whether values of n take no bytes. Of a record that contains
// itself without end, of which there are no values, it may tell either.
func (c *compiler) empty(n *node) bool {
	for n.kind == kindReference {
		n = n.items
	}
	switch n.kind {
	case "null":
		return true
	case "fixed":
		return n.size == 0
	case "record":
		if known, ok := c.empties[n]; ok {
			return known
		}
		c.empties[n] = true
		for i := range n.fields {
			if !c.empty(n.fields[i].typ) {
				c.empties[n] = false
				break
			}
		}
		return c.empties[n]
	default:
		return false
	}
}
