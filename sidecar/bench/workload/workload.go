// Package workload holds the records that every benchmark here measures.
//
// The records are fixed: built from constants, the same bytes in every run and
// release, so that figures of different days and of different programs speak
// of the same work. Each [Case] also lists its tagged plaintexts in the order
// of the encoding, which is what a floor measurement seals. A change to a
// record makes older figures incomparable, and fails the test that pins its
// hash.
//
// People, streets and numbers are invented: e-mail domains are reserved ones,
// telephone numbers lie in ranges kept for fiction, national ids in series
// that are never issued.
package workload

import (
	"encoding/binary"
	"math"
	"slices"
)

// Tag is the tag that every sensitive field of every schema here carries.
const Tag = "PII"

// A Case is one fixed workload. Every call of a constructor builds a fresh
// one, so a benchmark may write into it; Record and Tagged share no memory.
type Case struct {
	Name   string   // fit for a benchmark's name, such as "avro20"
	Format string   // of schema and record: Avro, JSON or Protobuf
	Schema string   // schema text, with tags
	Record []byte   // one encoded record, without framing
	Tagged [][]byte // the plaintexts of tagged fields, in encoding order
}

// The formats, as a schema registry names them.
const (
	Avro     = "AVRO"
	JSON     = "JSON"
	Protobuf = "PROTOBUF"
)

// Cases returns every workload, from small to large.
func Cases() []Case { return []Case{Avro20One(), Avro20(), Avro10K(), JSON20(), Proto20()} }

// encoder writes Avro by hand. The records are small and fixed, and writing
// them here keeps an Avro library, and its bugs, out of what is measured; the
// tests decode with one.
type encoder struct {
	buf    []byte
	tagged [][]byte
}

// long writes an int or a long: zig-zag, then seven bits a byte, lowest first.
func (e *encoder) long(n int64) {
	u := uint64(n)<<1 ^ uint64(n>>63) //nolint:gosec // zig-zag works on the bits
	for u >= 0x80 {
		e.buf = append(e.buf, byte(u)|0x80)
		u >>= 7
	}
	e.buf = append(e.buf, byte(u))
}

// str writes a string or bytes.
func (e *encoder) str(s string) {
	e.long(int64(len(s)))
	e.buf = append(e.buf, s...)
}

// secret writes a string and lists it as tagged.
func (e *encoder) secret(s string) {
	e.str(s)
	e.tagged = append(e.tagged, []byte(s))
}

// branch writes the position of a union's branch.
func (e *encoder) branch(n int64) { e.long(n) }

func (e *encoder) boolean(b bool) {
	if b {
		e.buf = append(e.buf, 1)
		return
	}
	e.buf = append(e.buf, 0)
}

// block writes an array or a map: one block of n items, then the end.
func (e *encoder) block(n int, item func(i int)) {
	if n > 0 {
		e.long(int64(n))
		for i := range n {
			item(i)
		}
	}
	e.long(0)
}

// float writes the four bytes of f, lowest first.
func (e *encoder) float(f float32) {
	e.buf = binary.LittleEndian.AppendUint32(e.buf, math.Float32bits(f))
}

// double writes the eight bytes of f, lowest first.
func (e *encoder) double(f float64) {
	e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(f))
}

// labels writes a map of strings, given as key, value, key, value.
func (e *encoder) labels(pairs ...string) {
	e.block(len(pairs)/2, func(i int) {
		e.str(pairs[2*i])
		e.str(pairs[2*i+1])
	})
}

func (e *encoder) newCase(name, schema string) Case {
	return Case{Name: name, Format: Avro, Schema: schema, Record: slices.Clip(e.buf), Tagged: e.tagged}
}
