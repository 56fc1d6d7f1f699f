package avro

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// A FitError says that an edit does not fit its field.
type FitError struct {
	Path   string // empty when there is no such field
	Type   schema.Type
	Reason string
}

func (e *FitError) Error() string {
	if e.Path == "" {
		return "avro: " + e.Reason
	}
	return fmt.Sprintf("avro: %s: %s: %s", e.Path, e.Type, e.Reason)
}

// Compile returns the program that carries the edits out.
func (s *Schema) Compile(edits []schema.Edit, _ schema.Unknown) (schema.Program, error) {
	return s.program(edits, false)
}

// Restore returns the program that undoes the edits.
func (s *Schema) Restore(edits []schema.Edit, _ schema.Unknown) (schema.Program, error) {
	return s.program(edits, true)
}

// compiler emits code. Where a place has no edit below, the code of its type
// serves all places.
type compiler struct {
	back    bool        // restore what the edits have done
	edits   map[int]int // field to edit
	ops     map[int]schema.Op
	edited  map[*place]bool
	code    []instr
	tables  []int32
	fixups  []fixup
	pending []target
	plain   map[*node]int32  // subroutine of a record without edits
	called  map[*place]int32 // subroutine of a recursive record with edits
	barrier int32            // instructions before it are jumped to behind: not merged

	// What recursive references refer to. Every cycle of types has one of these,
	// so counting the calls of these bounds the nesting, and types that merely
	// nest without recursion do not count.
	outerPlaces map[*place]bool
	outerNodes  map[*node]bool
	empties     map[*node]bool // answers of empty
}

// newCompiler checks the edits.
func (s *Schema) newCompiler(edits []schema.Edit, back bool) (*compiler, error) {
	c := &compiler{
		back:   back,
		edits:  make(map[int]int, len(edits)),
		ops:    make(map[int]schema.Op, len(edits)),
		edited: make(map[*place]bool),
		plain:  make(map[*node]int32),
		called: make(map[*place]int32),

		outerPlaces: make(map[*place]bool),
		outerNodes:  make(map[*node]bool),
		empties:     make(map[*node]bool),
	}
	for i, e := range edits {
		if e.Field < 0 || e.Field >= len(s.fields) {
			return nil, &FitError{Reason: fmt.Sprintf("edit of field %d, there are %d", e.Field, len(s.fields))}
		}
		f := &s.fields[e.Field]
		_, twice := c.edits[e.Field]
		reason := ""
		switch {
		case twice:
			reason = "edited twice"
		case e.Op == schema.Replace && (f.Type != schema.TypeString && f.Type != schema.TypeBytes || f.Sealed):
			reason = "only string and bytes can be replaced"
		case e.Op == schema.Nullify && !f.Nullable:
			reason = "cannot be null"
		case e.Op == schema.Nullify && back:
			reason = "what became null cannot be restored"
		case e.Op == schema.Wrap && f.Wrapped == "":
			reason = "the content itself can be replaced"
		case f.Sealed && !back:
			reason = "records of this schema are protected already"
		case e.Op != schema.Replace && e.Op != schema.Nullify && e.Op != schema.Wrap:
			reason = "unknown operation"
		}
		if reason != "" {
			return nil, &FitError{f.Path, f.Type, reason}
		}
		c.edits[e.Field], c.ops[e.Field] = i, e.Op
	}
	end, inside := 0, 0
	for i := range s.fields {
		f := &s.fields[i]
		op := c.ops[i]
		switch {
		case i < end && op != 0:
			return nil, &FitError{f.Path, f.Type, "is inside " + s.fields[inside].Path + ", which is edited as a whole"}
		case i >= end && f.Sealed && back && op != schema.Wrap:
			return nil, &FitError{f.Path, f.Type, "the schema says that it was wrapped, and no edit restores it"}
		}
		if i >= end && f.End > 0 && (op != 0 || f.Sealed) {
			end, inside = f.End, i
		}
	}
	if err := c.unions(s, s.tree); err != nil {
		return nil, err
	}
	if err := c.shared(s, s.tree, make(map[*node]string)); err != nil {
		return nil, err
	}
	return c, nil
}

// unions refuses wrapped branches that would stand twice in the derived union.
func (c *compiler) unions(s *Schema, p *place) error {
	if p.node.kind == "union" && p.outer == nil {
		last := -1
		for i, ch := range p.children {
			wrapped := ch.sealed || ch.field >= 0 && c.ops[ch.field] == schema.Wrap
			if !wrapped && (ch.node.kind != "bytes" || ch.node.logical != "" && wrapped) {
				continue
			}
			if last >= 0 && (wrapped || c.wrapped(p.children[last])) {
				f := &s.fields[ch.field]
				return &FitError{f.Path, f.Type, "the union would hold bytes twice: wrap it as a whole"}
			}
			last = i
		}
	}
	for _, ch := range p.children {
		if err := c.unions(s, ch); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) wrapped(p *place) bool {
	return p.sealed || p.field >= 0 && c.ops[p.field] == schema.Wrap
}

// shared refuses edits that would need two versions of a named type in the
// derived schema: one type is defined once.
func (c *compiler) shared(s *Schema, p *place, seen map[*node]string) error {
	if c.wrapped(p) || p.outer != nil {
		return nil
	}
	if p.node.kind == "record" {
		sign := c.signature(p)
		before, ok := seen[p.node]
		if ok && before != sign {
			return &FitError{s.pathOf(p), schema.TypeRecord, "type " + p.node.name +
				" would have two versions, because not all fields of this type are wrapped alike: protect them everywhere, or wrap what holds them as a whole"}
		}
		seen[p.node] = sign
	}
	for _, ch := range p.children {
		if err := c.shared(s, ch, seen); err != nil {
			return err
		}
	}
	return nil
}

// signature tells which places below p are wrapped; it is empty for none.
func (c *compiler) signature(p *place) string {
	if c.wrapped(p) {
		return "w"
	}
	if p.outer != nil {
		return ""
	}
	var out strings.Builder
	for i, ch := range p.children {
		if sign := c.signature(ch); sign != "" {
			_, _ = fmt.Fprintf(&out, "%d(%s)", i, sign)
		}
	}
	return out.String()
}

func (s *Schema) pathOf(p *place) string {
	if p.field >= 0 {
		return s.fields[p.field].Path
	}
	return "/"
}

func (s *Schema) program(edits []schema.Edit, back bool) (schema.Program, error) {
	c, err := s.newCompiler(edits, back)
	if err != nil {
		return nil, err
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
	return &program{code: c.code, tables: c.tables, back: c.back}, nil
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
	edited := p.sealed
	if p.field >= 0 && !edited {
		_, edited = c.edits[p.field]
	}
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
		c.outerPlaces[p.outer], c.outerNodes[p.outer.node] = true, true
	}
	for _, ch := range p.children {
		c.recursion(ch)
	}
}

func (c *compiler) place(p *place) {
	op := schema.Op(0)
	if p.field >= 0 {
		op = c.ops[p.field]
	}
	switch {
	case op == schema.Replace:
		c.emit(instr{op: opEdit, n: int32(c.edits[p.field])}) //nolint:gosec // number of fields
	case op == schema.Wrap:
		c.wrap(p)
	case p.sealed:
		// A derived schema whose fields stay as they are: the union and the
		// bytes that stand there now.
		c.typ(wrappedType(&node{kind: kindWrapped, items: p.node}))
	case op == schema.Nullify && p.node.kind == "union":
		c.union(p.node, func(i int) { c.place(p.children[i]) }, p)
	case p.leaf:
		c.leaf(p.node)
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
		c.loop(p.node, func() { c.place(p.children[0]) })
	}
}

// wrap emits the wrapping of a place, or the way back. Its type follows as a
// subroutine.
func (c *compiler) wrap(p *place) {
	in := instr{op: opWrap, a: int32(c.edits[p.field]), table: noNull} //nolint:gosec // number of fields
	if c.back {
		in.op = opUnwrap
	}
	if p.node.kind == "union" {
		if null := nullBranch(p.node); null >= 0 {
			in.table = int32(null) //nolint:gosec // bounded by the text
		}
	}
	c.cycles(p.node, make(map[*node]bool), make(map[*node]bool))
	at := c.emit(in)
	c.here()
	c.typ(p.node)
	c.emit(instr{op: opEnd})
	c.code[at].n = c.here()
}

// cycles marks the types that contain themselves, so that their nesting is
// counted. The original type of a wrapped field has types of its own, which no
// place tells about.
func (c *compiler) cycles(n *node, open, done map[*node]bool) {
	if n.kind == "record" {
		if open[n] {
			c.outerNodes[n] = true
			return
		}
		if done[n] {
			return
		}
		open[n], done[n] = true, true
		defer delete(open, n)
	}
	if n.items != nil {
		c.cycles(n.items, open, done)
	}
	for _, b := range n.branches {
		c.cycles(b, open, done)
	}
	for i := range n.fields {
		c.cycles(n.fields[i].typ, open, done)
	}
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
	case kindWrapped:
		c.typ(wrappedType(n))
	case "record":
		// A type without bytes has nothing to check. Passing over it field by
		// field would be work that no byte of a record pays for.
		if !c.empty(n) || c.outerNodes[n] {
			c.call(target{node: n})
		}
	case "union":
		c.union(n, func(i int) { c.typ(n.branches[i]) }, nil)
	case "array", "map":
		c.loop(n, func() { c.typ(n.items) })
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
	if t.place != nil || c.outerNodes[t.node] {
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

// loop emits the blocks of an array or map.
func (c *compiler) loop(n *node, body func()) {
	op := opArray
	if n.kind == "map" {
		op = opMap
	}
	at := c.emit(instr{op: op, empty: op == opArray && c.empty(n.items)})
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
		if p == nil || u.branches[i].kind == "null" {
			return false
		}
		ch := p.children[i]
		return p.field >= 0 && c.ops[p.field] == schema.Nullify || ch.field >= 0 && c.ops[ch.field] == schema.Nullify
	}
	// Null and one other is the usual union, and needs no table.
	if other := 1 - null; n == 2 && null >= 0 && !nullify(other) {
		at := c.emit(instr{op: opNullable, a: int32(null)}) //nolint:gosec // 0 or 1
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
