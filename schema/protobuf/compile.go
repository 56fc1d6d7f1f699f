package protobuf

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

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
		return "protobuf: " + e.Reason
	}
	return fmt.Sprintf("protobuf: %s: %s: %s", e.Path, e.Type, e.Reason)
}

// Compile returns the program that carries the edits out on original records.
// An edit that does not fit its field gives a [*FitError].
func (s *Schema) Compile(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	return s.compile(edits, unknown, false)
}

// Restore returns the program of the way back. It takes the edits of original
// schemas, and in a derived schema edits of the sealed fields.
func (s *Schema) Restore(edits []schema.Edit, unknown schema.Unknown) (schema.Program, error) {
	return s.compile(edits, unknown, true)
}

func (s *Schema) compile(edits []schema.Edit, unknown schema.Unknown, restore bool) (schema.Program, error) {
	if unknown != schema.RejectUnknown && unknown != schema.KeepUnknown {
		return nil, errors.New("protobuf: unknown is neither to be rejected nor to be kept")
	}
	chosen, err := s.check(edits, restore)
	if err != nil {
		return nil, err
	}
	c := &compiler{
		schema: s, edits: chosen, restore: restore, keep: unknown == schema.KeepUnknown,
		edited: make(map[*place]bool), places: make(map[*place]int32), plain: make(map[plainKey]int32),
	}
	for c.mark(s.tree) {
	}
	c.placeTable(s.tree)
	for len(c.pending) > 0 && c.entries <= maxEntries {
		next := c.pending[0]
		c.pending = c.pending[1:]
		next()
	}
	if c.entries > maxEntries {
		return nil, errors.New("protobuf: program is too long")
	}
	return &program{tables: c.tables, restore: restore}, nil
}

// edit is what is done at a place.
type edit struct {
	op     schema.Op
	number int32
}

// check finds the place of each edit. An element of a repeated field stands for
// itself, although the program edits the same occurrences as for the container.
func (s *Schema) check(edits []schema.Edit, restore bool) (map[*place]edit, error) {
	chosen := make(map[*place]edit, len(edits))
	for i, e := range edits {
		if e.Field < 0 || e.Field >= len(s.fields) {
			return nil, &FitError{Reason: fmt.Sprintf("edit of field %d, there are %d", e.Field, len(s.fields))}
		}
		f, p := &s.fields[e.Field], s.places[e.Field]
		if _, twice := chosen[p]; twice {
			return nil, &FitError{f.Path, f.Type, "edited twice"}
		}
		if reason := s.misfit(f, p, e.Op, restore); reason != "" {
			return nil, &FitError{f.Path, f.Type, reason}
		}
		chosen[p] = edit{e.Op, int32(i)}
	}
	for _, e := range edits {
		for up := s.places[e.Field].parent; up != nil; up = up.parent {
			if _, both := chosen[up]; both {
				f := &s.fields[e.Field]
				return nil, &FitError{f.Path, f.Type, "edited together with what encloses it"}
			}
		}
	}
	return chosen, nil
}

// misfit tells why an edit does not fit, or nothing.
func (s *Schema) misfit(f *schema.Field, p *place, op schema.Op, restore bool) string {
	switch {
	case op != schema.Replace && op != schema.Nullify && op != schema.Wrap && op != schema.Number:
		return "unknown operation"
	case op == schema.Replace && f.Type != schema.TypeString && f.Type != schema.TypeBytes:
		return "only string and bytes can be replaced"
	case op == schema.Nullify && restore:
		return "a value that was left out cannot be restored"
	case op == schema.Nullify && !f.Nullable:
		return "cannot be null"
	case op == schema.Number && !f.Numeric:
		return "is not a number"
	case op == schema.Wrap && f.Wrapped == "":
		return "is not wrapped, because its content can be replaced"
	case p.inside:
		return "lies inside a value that is wrapped"
	case p.sealed && !restore:
		return "records of this schema are protected already"
	case p.sealed && op != schema.Wrap:
		return "is wrapped"
	case op == schema.Wrap && !p.sealed && s.file.derived:
		return "is not wrapped in records of this schema"
	case p.container() && len(p.children) > 0 && p.children[0].sealed:
		return "its elements are wrapped"
	}
	return ""
}

// compiler makes tables. Where a place has no edit below, the table of its type
// serves all places.
type compiler struct {
	schema  *Schema
	edits   map[*place]edit
	restore bool
	keep    bool // unknown fields
	edited  map[*place]bool
	tables  []table
	places  map[*place]int32
	plain   map[plainKey]int32
	pending []func()
	entries int
}

// plainKey is the table of a message type without edits. Inside of wrapped
// values the original types stand, and unknown fields are covered.
type plainKey struct {
	msg      *message
	original bool
	keep     bool
}

// mark finds the places at or below which an edit lies. A message inside itself
// counts as the outer one, so the answer is sought until it stands.
func (c *compiler) mark(p *place) (changed bool) {
	_, edited := c.edits[p]
	if edited || p.sealed {
		// What is inside goes with it, or stays wrapped.
		changed = edited && !c.edited[p]
		c.edited[p] = edited
		return changed
	}
	if p.outer != nil {
		edited = edited || c.edited[p.outer]
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

// reserve makes room for a table, which is filled later.
func (c *compiler) reserve() int32 {
	c.tables = append(c.tables, table{})
	return int32(len(c.tables) - 1) //nolint:gosec // below maxEntries
}

// placeTable returns the table of the message at p.
func (c *compiler) placeTable(p *place) int32 {
	if p.outer != nil {
		p = p.outer
	}
	if !c.edited[p] { // the root, of a program without edits
		return c.plainTable(plainKey{p.msg, false, c.keep})
	}
	if n, ok := c.places[p]; ok {
		return n
	}
	n := c.reserve()
	c.places[p] = n
	c.pending = append(c.pending, func() {
		var b tableBuilder
		for _, ch := range p.children {
			b.add(ch.field.number, c.placeEntry(ch))
		}
		c.entries += b.len()
		c.tables[n] = b.table(c.keep)
	})
	return n
}

// placeEntry returns the entry of a field at its place.
func (c *compiler) placeEntry(p *place) entry {
	if !c.edited[p] {
		return c.plainEntry(p.field, plainKey{p.parent.msg, p.inside, c.keep})
	}
	if e, ok := c.edits[p]; ok {
		return c.editEntry(p.field, e)
	}
	if !p.container() {
		return c.messageEntry(p.field, c.placeTable(p))
	}
	item := p.children[0]
	if !p.field.isMap {
		if e, ok := c.edits[item]; ok {
			return c.editEntry(p.field, e)
		}
		return c.messageEntry(p.field, c.placeTable(item))
	}
	return c.messageEntry(p.field, c.entryTable(p))
}

// entryTable returns the table of the entries of a map with edited values.
func (c *compiler) entryTable(p *place) int32 {
	n := c.reserve()
	item := p.children[0]
	c.pending = append(c.pending, func() {
		var b tableBuilder
		b.add(1, c.plainEntry(p.field.key(), plainKey{}))
		var value entry
		if e, ok := c.edits[item]; ok {
			value = c.editEntry(item.field, e)
		} else {
			value = c.messageEntry(item.field, c.placeTable(item))
		}
		b.add(2, value)
		c.entries += b.len()
		c.tables[n] = b.table(c.keep)
	})
	return n
}

// plainTable returns the table of a message type of which nothing is edited.
func (c *compiler) plainTable(k plainKey) int32 {
	if n, ok := c.plain[k]; ok {
		return n
	}
	n := c.reserve()
	c.plain[k] = n
	c.pending = append(c.pending, func() {
		var b tableBuilder
		for _, f := range k.msg.fields {
			b.add(f.number, c.plainEntry(f, k))
		}
		c.entries += b.len()
		c.tables[n] = b.table(k.keep)
	})
	return n
}

// plainEntry returns the entry of a field that is only passed over.
func (c *compiler) plainEntry(f *field, k plainKey) entry {
	if !k.original {
		if f.sealed == partWhole || f.sealed == partItems && !f.isMap {
			return entry{op: opBytes, shape: opBytes, wire: protowire.BytesType}
		}
	}
	if k.msg != nil && k.msg.any && f.number == anyValue && !k.keep {
		return entry{op: opRefuse, wire: protowire.BytesType}
	}
	if f.msg != nil {
		return c.messageEntry(f, c.plainTable(plainKey{f.msg, k.original, k.keep}))
	}
	return shape(f)
}

// anyValue is the number of the field of a google.protobuf.Any that may hold
// anything.
const anyValue = 2

func (c *compiler) messageEntry(f *field, table int32) entry {
	e := shape(f)
	e.table = table
	return e
}

// shape tells how occurrences of a field stand on the wire.
func shape(f *field) entry {
	var e entry
	switch f.kind {
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Uint64Kind:
		e = entry{op: opVarint, wire: protowire.VarintType, packed: f.label == labelRepeated}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		e = entry{op: opFixed32, wire: protowire.Fixed32Type, packed: f.label == labelRepeated}
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		e = entry{op: opFixed64, wire: protowire.Fixed64Type, packed: f.label == labelRepeated}
	case protoreflect.StringKind, protoreflect.BytesKind:
		e = entry{op: opBytes, wire: protowire.BytesType}
	case protoreflect.MessageKind:
		e = entry{op: opMessage, wire: protowire.BytesType}
	case protoreflect.GroupKind:
		e = entry{op: opGroup, wire: protowire.StartGroupType}
	default:
		panic("protobuf: unknown kind") //nolint:forbidigo // there are no other kinds
	}
	e.shape = e.op
	return e
}

// editEntry returns the entry of a field that is edited.
func (c *compiler) editEntry(f *field, e edit) entry {
	out := shape(f)
	out.edit = e.number
	if f.msg != nil {
		// Whatever is inside goes with it, unknown fields too. It must be well
		// formed, or it could not be restored. Of a number nothing goes with it.
		out.table = c.plainTable(plainKey{f.msg, e.op == schema.Wrap, c.keep || e.op != schema.Number})
	}
	switch e.op {
	case schema.Replace:
		out.op, out.utf8 = opReplace, f.utf8
	case schema.Nullify:
		out.op = opDrop
	case schema.Wrap:
		out.op = opWrap
		if c.restore {
			out.op, out.inner, out.wire = opOpen, out.wire, protowire.BytesType
		}
	case schema.Number:
		out.op, out.number = opNumber, numberOf(f)
		if f.msg != nil {
			out.op = opTimestamp
		}
	}
	return out
}
