package rest

import (
	"math"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A pair is the key and the value of a record as they came.
type pair struct{ key, value value }

// A requestV2 is what a body of version 2 says beside its records.
type requestV2 struct {
	keySchema, valueSchema     string
	keySchemaID, valueSchemaID int
}

// parseV2 reads a body of version 2 into b.records and b.pairs.
func (b *buffers) parseV2(body []byte, cfg *Config) (req requestV2, f *failure) {
	s := &b.scan
	if fl := s.reset(body); fl != faultNone {
		return req, badJSON(fl)
	}
	if !s.take('{') {
		if v, fl := s.value(0); fl != faultNone || !s.end() || v.absent() {
			return req, badJSON(faultSyntax)
		}
		return req, badRequest("", "not an object")
	}
	var seen uint
	once := func(bit uint) bool {
		was := seen&(1<<bit) != 0
		seen |= 1 << bit
		return !was
	}
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return req, badJSON(fl)
		}
		if !more {
			break
		}
		var fresh bool
		switch string(name) {
		case "records":
			if fresh = once(0); fresh {
				f = b.recordsV2(cfg)
			}
		case "key_schema":
			fresh = once(1)
			req.keySchema, f = b.schemaText("key_schema")
		case "value_schema":
			fresh = once(2)
			req.valueSchema, f = b.schemaText("value_schema")
		case "key_schema_id":
			fresh = once(3)
			req.keySchemaID, f = b.schemaID("key_schema_id")
		case "value_schema_id":
			fresh = once(4)
			req.valueSchemaID, f = b.schemaID("value_schema_id")
		default:
			return req, b.fault(unknownKey(name))
		}
		if !fresh {
			return req, badJSON(faultDuplicate)
		}
		if f != nil {
			return req, b.fault(f)
		}
	}
	if !s.end() {
		return req, badJSON(faultSyntax)
	}
	switch {
	case len(b.records) == 0:
		return req, invalid("records", "missing or empty")
	case req.keySchema != "" && req.keySchemaID != 0:
		return req, invalid("key_schema", "given together with key_schema_id")
	case req.valueSchema != "" && req.valueSchemaID != 0:
		return req, invalid("value_schema", "given together with value_schema_id")
	}
	return req, nil
}

// fault returns f, or what is wrong with the syntax of the body if something is:
// who sends half a body has no use for a word about its first key.
func (b *buffers) fault(f *failure) *failure {
	if f.reason == "json_invalid" {
		return f
	}
	s := scanner{b: b.scan.b, names: b.scan.names[:0]}
	s.space()
	if fl := s.skip(0); fl.endsStream() {
		return badJSON(fl)
	}
	if !s.end() {
		return badJSON(faultSyntax)
	}
	return f
}

func (b *buffers) schemaText(key string) (string, *failure) {
	v, fl := b.scan.value(1)
	if fl != faultNone {
		return "", badJSON(fl)
	}
	if v.null() {
		return "", nil
	}
	t, f := text(v)
	if f != nil {
		return "", f.at(key)
	}
	return t, nil
}

func (b *buffers) schemaID(key string) (int, *failure) {
	v, fl := b.scan.value(1)
	if fl != faultNone {
		return 0, badJSON(fl)
	}
	if v.null() {
		return 0, nil
	}
	n, f := schemaNumber(v)
	if f != nil {
		return 0, f.at(key)
	}
	return n, nil
}

func (b *buffers) recordsV2(cfg *Config) *failure {
	s := &b.scan
	if !s.take('[') {
		return badRequest("records", "not a list")
	}
	for first := true; ; first = false {
		more, fl := s.element(first)
		if fl != faultNone {
			return badJSON(fl)
		}
		if !more {
			return nil
		}
		if len(b.records) == cfg.MaxRecords {
			return &failure{status: 413, code: 413, reason: "request_too_large", path: "records", text: "more records than the limit"}
		}
		if f := b.recordV2(cfg); f != nil {
			if f.reason == "json_invalid" {
				return f
			}
			return f.at(recordPath("records", len(b.records)))
		}
	}
}

func (b *buffers) recordV2(cfg *Config) (f *failure) {
	s := &b.scan
	if !s.take('{') {
		return badRequest("", "not an object")
	}
	const depth = 3
	rec := produce.Record{Partition: produce.AnyPartition}
	var p pair
	var seen uint
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return badJSON(fl)
		}
		if !more {
			break
		}
		var bit uint
		switch string(name) {
		case "value":
			bit = 1
			p.value, fl = s.value(depth)
		case "key":
			bit = 2
			p.key, fl = s.value(depth)
		case "partition":
			bit = 4
			var v value
			if v, fl = s.value(depth); fl == faultNone {
				rec.Partition, f = partition(v)
			}
		case "timestamp":
			bit = 8
			var v value
			if v, fl = s.value(depth); fl == faultNone && !v.null() {
				if rec.Timestamp, f = instant(v); f != nil {
					f = f.at("timestamp")
				}
			}
		case "headers":
			bit = 16
			if seen&bit == 0 {
				b.headers, rec.Headers, f = readHeaders(s, b.headers, depth, cfg.MaxRecordHeaders)
			}
		default:
			return unknownKey(name)
		}
		if fl != faultNone {
			return badJSON(fl)
		}
		if seen&bit != 0 {
			return badJSON(faultDuplicate)
		}
		seen |= bit
		if f != nil {
			return f
		}
	}
	b.records = append(b.records, rec)
	b.pairs = append(b.pairs, p)
	return nil
}

// partition returns the number of a partition, or AnyPartition for null.
func partition(v value) (int32, *failure) {
	if v.null() {
		return produce.AnyPartition, nil
	}
	n, ok := integer(v)
	switch {
	case !ok || n > math.MaxInt32:
		return 0, badRequest("partition", "not the number of a partition")
	case n < 0:
		return 0, invalid("partition", "negative")
	}
	return int32(n), nil
}
