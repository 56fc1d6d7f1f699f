package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

type opcode uint8

const (
	opUnknown   opcode = iota // no field of this number
	opVarint                  // skip a number
	opFixed32                 // skip four bytes
	opFixed64                 // skip eight bytes
	opBytes                   // skip a length and its bytes
	opMessage                 // walk a message by its table
	opGroup                   // walk a group by its table
	opReplace                 // hand the content of a length-delimited field to the visitor
	opDrop                    // pass over an occurrence and leave it out
	opWrap                    // hand an occurrence to the visitor as a whole
	opOpen                    // have the visitor give an occurrence back
	opNumber                  // hand a number to the visitor as text
	opTimestamp               // hand a Timestamp to the visitor as text
	opRefuse                  // content that nobody described
)

// An entry says what to do with the occurrences of one field.
type entry struct {
	op     opcode
	shape  opcode         // how to pass over an occurrence: opVarint to opGroup
	wire   protowire.Type // on the wire that the program reads
	inner  protowire.Type // of opOpen: of a restored occurrence
	packed bool           // numbers may also stand in packed runs
	utf8   bool           // of opReplace: the content must be UTF-8
	number numberKind     // of opNumber
	edit   int32
	table  int32 // of messages and groups
}

// A table has the entries of a message. Small numbers index dense; the others
// are sorted.
type table struct {
	dense  []entry
	plain  []opcode // by tag, of the dense entries that are only to be passed over; zero for the others
	sparse []numbered
	keep   bool // fields of other numbers
}

type numbered struct {
	number uint32
	entry  entry
}

// absent is the entry of a number that is not declared. No tag has its wire
// type.
func absent() entry { return entry{op: opUnknown, wire: noWire} }

const noWire = 0x7F

// tableBuilder collects the entries of one table, in the order of the numbers.
type tableBuilder struct{ list []numbered }

func (b *tableBuilder) add(number protowire.Number, e entry) {
	b.list = append(b.list, numbered{uint32(number), e}) //nolint:gosec // below 2^29
}

func (b *tableBuilder) len() int { return len(b.list) }

// table makes the table. Dense are the numbers up to the last one at which a
// quarter of the room is used.
func (b *tableBuilder) table(keep bool) table {
	slices.SortFunc(b.list, func(x, y numbered) int { return cmp.Compare(x.number, y.number) })
	size := uint32(16)
	for i, n := range b.list {
		if n.number < 4*uint32(i+4) {
			size = max(size, n.number+1)
		}
	}
	t := table{dense: make([]entry, size), plain: make([]opcode, size<<3), keep: keep}
	for i := range t.dense {
		t.dense[i] = absent()
	}
	for _, n := range b.list {
		if n.number < size {
			t.dense[n.number] = n.entry
			if op := n.entry.op; op >= opVarint && op <= opBytes {
				t.plain[n.number<<3|uint32(n.entry.wire)] = op //nolint:gosec // one of the wire types
			}
		} else {
			t.sparse = append(t.sparse, n)
		}
	}
	return t
}

// find returns the entry of a number behind the dense ones.
func (t *table) find(number uint32) *entry {
	i, ok := slices.BinarySearchFunc(t.sparse, number, func(n numbered, want uint32) int { return cmp.Compare(n.number, want) })
	if !ok {
		return nil
	}
	return &t.sparse[i].entry
}
