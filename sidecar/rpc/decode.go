package rpc

import (
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// The decoder reads what the generated code reads, and tests hold the two
// together. It is stricter: a field that is not known, that stands twice or that
// has another wire type is a fault. What is not known may be an option that
// matters, and of two values a second reader may take the other.

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253402300799

// A shape says where a message has its fields; 0 is for those that it has not.
type shape struct{ topic, mode, sequence, records, purpose protowire.Number }

func (k kind) shape() shape {
	switch k {
	case kindProduce:
		return shape{topic: 1, mode: 2, records: 3}
	case kindCheck:
		return shape{topic: 1, records: 2}
	case kindProtect:
		return shape{records: 1}
	case kindReveal:
		return shape{records: 1, purpose: 2}
	case kindStream:
	}
	return shape{}
}

// decode fills r from the bytes of a message, to which the records then refer.
func (r *request) decode(b []byte) {
	if r.kind == kindStream {
		r.fault = r.stream(b)
	} else {
		r.fault = r.message(b, r.kind.shape(), "")
	}
	if r.fault == nil {
		r.fault = r.finish()
	}
}

func (r *request) stream(b []byte) *failure {
	in := reader{b: b}
	var found bool
	for {
		more, words := in.next()
		if words != "" {
			return invalid("request", words)
		}
		if !more {
			break
		}
		if in.typ != protowire.BytesType || in.num > 2 {
			return invalid("request", wordsUnknown)
		}
		if found {
			return invalid("request", wordsTwice)
		}
		found, r.open = true, in.num == 1
		var fault *failure
		if r.open {
			fault = r.message(in.val, shape{topic: 1, mode: 2}, "open.")
		} else {
			fault = r.message(in.val, shape{sequence: 1, records: 2}, "batch.")
		}
		if fault != nil {
			return fault
		}
	}
	if !found {
		return invalid("request", wordsOneOf)
	}
	return nil
}

// message reads the fields of a request.
func (r *request) message(b []byte, s shape, at string) *failure {
	in := reader{b: b}
	for {
		more, words := in.next()
		if words != "" {
			return invalid(at+"request", words)
		}
		if !more {
			return nil
		}
		switch {
		case in.num == s.records && in.typ == protowire.BytesType:
			if single := r.kind == kindProtect || r.kind == kindReveal; single && len(r.recs) == 1 {
				return invalid(r.path(0), wordsTwice)
			}
			if len(r.recs) == r.lim.records {
				return invalid(at+"records", wordsMany)
			}
			if field, words := r.record(in.val); words != "" {
				return invalid(r.path(len(r.recs)-1)+field, words)
			}
		case in.num > 63 || !in.once():
			if in.num > 63 {
				return invalid(at+"request", wordsUnknown)
			}
			return invalid(at+"request", wordsTwice)
		case in.num == s.topic && in.typ == protowire.BytesType:
			if !utf8.Valid(in.val) {
				return invalid(at+"topic", wordsText)
			}
			r.topic = string(in.val)
		case in.num == s.purpose && in.typ == protowire.BytesType:
			if !utf8.Valid(in.val) {
				return invalid(at+"purpose", wordsText)
			}
			r.purpose = string(in.val)
		case in.num == s.mode && in.typ == protowire.VarintType:
			var ok bool
			if r.mode, ok = modeOf(int64(in.n)); !ok { //nolint:gosec // a negative number is a mode that is not known
				return invalid(at+"mode", wordsMode)
			}
		case in.num == s.sequence && in.typ == protowire.VarintType:
			r.sequence = in.n
		default:
			return invalid(at+"request", wordsUnknown)
		}
	}
}

func modeOf(n int64) (produce.Mode, bool) {
	switch n {
	case 0, 1:
		return produce.Each, true
	case 2:
		return produce.Whole, true
	default:
		return 0, false
	}
}

// record appends a record. It returns the field that is wrong, and how.
func (r *request) record(b []byte) (string, string) {
	r.recs = append(r.recs, produce.Record{Partition: produce.AnyPartition})
	rec := &r.recs[len(r.recs)-1]
	in := reader{b: b}
	for {
		rest := in.b
		more, words := in.next()
		if words != "" {
			return "", words
		}
		if !more {
			return "", ""
		}
		if in.num > 6 || (in.typ == protowire.VarintType) != (in.num == 2) {
			return "", wordsUnknown
		}
		if in.num != 5 && !in.once() {
			return "", wordsTwice
		}
		switch in.num {
		case 1:
			if rec.Topic, words = r.topicName(in.val); words != "" {
				return ".topic", words
			}
		case 2:
			if in.n > math.MaxInt32 {
				return ".partition", wordsPartition
			}
			rec.Partition = int32(in.n)
		case 3:
			rec.Key = whole(in.val)
		case 4:
			rec.Value = whole(in.val)
		case 5:
			if rec.Headers == nil {
				if words := r.room(rec, rest); words != "" {
					return ".headers", words
				}
			}
			if words := r.header(rec, in.val); words != "" {
				return ".headers", words
			}
		case 6:
			if words := timestamp(in.val, &rec.Timestamp); words != "" {
				return ".timestamp", words
			}
		default:
			return "", wordsUnknown
		}
	}
}

// whole returns b without room behind it, so that nobody appends into what
// follows, and never nil: a field that is there and empty is no null.
func whole(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return slices.Clip(b)
}

// topicName returns a topic, as the string of the record before where it is the
// same.
func (r *request) topicName(b []byte) (string, string) {
	if n := len(r.recs); n > 1 && r.recs[n-2].Topic == string(b) {
		return r.recs[n-2].Topic, ""
	}
	if !utf8.Valid(b) {
		return "", wordsText
	}
	return string(b), ""
}

// room makes room for all headers of a record whose fields from the first header
// on are in b.
func (r *request) room(rec *produce.Record, b []byte) string {
	in, n := reader{b: b}, 0
	for {
		more, words := in.next()
		if words != "" {
			return words
		}
		if !more {
			break
		}
		if in.num == 5 {
			n++
		}
	}
	if r.total += n; r.total > r.lim.headers {
		return wordsHeaders
	}
	start := len(r.headers)
	if cap(r.headers)-start < n {
		// Records before this one go on referring to the old room.
		r.headers, start = make([]produce.Header, 0, max(n, 256)), 0
	}
	r.headers = r.headers[:start+n]
	rec.Headers = r.headers[start : start : start+n]
	return ""
}

func (r *request) header(rec *produce.Record, b []byte) string {
	in := reader{b: b}
	var h produce.Header
	for {
		more, words := in.next()
		if words != "" {
			return words
		}
		if !more {
			rec.Headers = append(rec.Headers, h)
			return ""
		}
		if in.num > 2 || in.typ != protowire.BytesType {
			return wordsUnknown
		}
		if !in.once() {
			return wordsTwice
		}
		if in.num == 2 {
			h.Value = whole(in.val)
			continue
		}
		name, known := r.names[string(in.val)]
		if !known {
			if !utf8.Valid(in.val) {
				return wordsText
			}
			name = string(in.val)
			if len(r.names) < maxNames && len(name) <= maxNames {
				r.names[name] = name
			}
		}
		h.Key = name
	}
}

func timestamp(b []byte, t *time.Time) string {
	in := reader{b: b}
	var seconds, nanos uint64
	for {
		more, words := in.next()
		if words != "" {
			return words
		}
		if !more {
			break
		}
		if in.num > 2 || in.typ != protowire.VarintType {
			return wordsUnknown
		}
		if !in.once() {
			return wordsTwice
		}
		if in.num == 1 {
			seconds = in.n
		} else {
			nanos = in.n
		}
	}
	if seconds > maxSeconds || nanos >= 1e9 {
		return wordsTime
	}
	*t = time.Unix(int64(seconds), int64(nanos)).UTC()
	return ""
}

// path is where the request has its i-th record.
func (r *request) path(i int) string {
	switch r.kind {
	case kindProtect, kindReveal:
		return "record"
	case kindStream:
		return "batch.records[" + strconv.Itoa(i) + "]"
	case kindProduce, kindCheck:
	}
	return "records[" + strconv.Itoa(i) + "]"
}

// finish checks what no single field shows. Records without a topic get that of
// the request; those of a stream get it later, from open.
func (r *request) finish() *failure {
	if r.topic != "" && !legalTopic(r.topic) {
		if r.open {
			return invalid("open.topic", wordsTopic)
		}
		return invalid("topic", wordsTopic)
	}
	if r.open {
		return nil
	}
	if len(r.recs) == 0 {
		switch r.kind {
		case kindProtect, kindReveal:
			return invalid("record", wordsNoRecord)
		case kindStream:
			return invalid("batch.records", wordsEmpty)
		case kindProduce, kindCheck:
		}
		return invalid("records", wordsEmpty)
	}
	if r.kind == kindReveal && !legalPurpose(r.purpose) {
		return invalid("purpose", wordsPurpose)
	}
	if r.kind == kindStream {
		return nil
	}
	return r.topics(r.topic)
}

// topics gives topic to the records that name none, checks the names of all, and
// adds up the size.
func (r *request) topics(topic string) *failure {
	last := ""
	for i := range r.recs {
		rec := &r.recs[i]
		if rec.Topic == "" {
			rec.Topic = topic
		}
		if rec.Topic != last || i == 0 {
			if !legalTopic(rec.Topic) {
				return invalid(r.path(i)+".topic", wordsTopic)
			}
			last = rec.Topic
		}
		r.size += rec.Size()
	}
	return nil
}

// legalTopic says whether Kafka could have a topic of that name. A text that is
// none is not repeated in an error, a log or a metric.
func legalTopic(s string) bool {
	return s != "." && s != ".." && legalName(s, 249, true)
}

func legalPurpose(s string) bool { return legalName(s, 64, false) }

func legalName(s string, most int, upper bool) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		case upper && 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return true
}
