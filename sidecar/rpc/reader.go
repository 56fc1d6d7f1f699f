package rpc

import "google.golang.org/protobuf/encoding/protowire"

// What may be wrong with a message: fixed words, so that an error holds nothing
// of it.
const (
	wordsMalformed = "not a message of protocol buffers"
	wordsUnknown   = "a field that is not known, or of another type"
	wordsTwice     = "a field that stands twice"
	wordsText      = "not valid UTF-8"
	wordsEmpty     = "at least one record is needed"
	wordsMany      = "too many records in one message"
	wordsHeaders   = "too many headers in one message"
	wordsTopic     = "a topic has 1 to 249 letters, digits, dots, underscores and hyphens"
	wordsPartition = "a partition is a number from 0 to 2147483647"
	wordsTime      = "a time lies between the years 1970 and 9999"
	wordsMode      = "a mode that is not known"
	wordsOneOf     = "either open or batch is needed"
	wordsNoRecord  = "a record is needed"
	wordsPurpose   = "a purpose has 1 to 64 letters a to z, digits, dots, underscores and hyphens"
)

// A reader walks the fields of one message.
type reader struct {
	b    []byte
	num  protowire.Number
	typ  protowire.Type
	val  []byte // of a field of bytes
	n    uint64 // of a varint
	seen uint64 // fields by number, below 64
}

// next reads the next field, and says whether there is one. A group or a fixed
// number has no place in these messages.
func (r *reader) next() (bool, string) {
	if len(r.b) == 0 {
		return false, ""
	}
	num, typ, n := protowire.ConsumeTag(r.b)
	if n < 0 {
		return false, wordsMalformed
	}
	r.b = r.b[n:]
	r.num, r.typ = num, typ
	switch typ {
	case protowire.BytesType:
		r.val, n = protowire.ConsumeBytes(r.b)
	case protowire.VarintType:
		r.n, n = protowire.ConsumeVarint(r.b)
	case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
		return false, wordsUnknown
	default:
		return false, wordsMalformed
	}
	if n < 0 {
		return false, wordsMalformed
	}
	r.b = r.b[n:]
	return true, ""
}

// once notes the field and says whether it was there before.
func (r *reader) once() bool {
	bit := uint64(1) << r.num
	again := r.seen&bit != 0
	r.seen |= bit
	return !again
}
