package rest

import (
	"context"
	"math"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A dataV3 is a key or a value of version 3 as it came.
type dataV3 struct {
	kind              string // the type, "" for none
	schema            string
	subject, strategy string
	id, version       int
	value             value
}

// A recordV3 is a record of version 3 as it came.
type recordV3 struct {
	key, value dataV3
	at         int64 // the partition, math.MinInt64 for none
	headers    []produce.Header
	timestamp  time.Time
	id         string // of an entry of a batch
}

// A shape is how a key or a value was encoded, for its receipt.
type shape struct {
	kind     string // "" for null
	schemaID int
}

// parseV3 reads the members of one record, whose brace has been taken. depth is
// that of its members.
func (b *buffers) parseV3(depth int, batch bool, cfg *Config) (rec recordV3, f *failure) {
	s := &b.scan
	rec.at = math.MinInt64
	var seen uint
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return rec, badJSON(fl)
		}
		if !more {
			return rec, nil
		}
		var bit uint
		var v value
		switch string(name) {
		case "value":
			bit = 1
			rec.value, f = b.dataV3(depth + 1)
			f = under(f, "value")
		case "key":
			bit = 2
			rec.key, f = b.dataV3(depth + 1)
			f = under(f, "key")
		case "headers":
			bit = 4
			if seen&bit == 0 {
				b.headers, rec.headers, f = readHeaders(s, b.headers, depth, cfg.MaxRecordHeaders)
			}
		case "partition_id":
			bit = 8
			if v, fl = s.value(depth); fl == faultNone && !v.null() {
				var ok bool
				if rec.at, ok = integer(v); !ok {
					f = badRequest("partition_id", "not the number of a partition")
				}
			}
		case "timestamp":
			bit = 16
			if v, fl = s.value(depth); fl == faultNone && !v.null() {
				rec.timestamp, f = instant(v)
				f = under(f, "timestamp")
			}
		case "id":
			if !batch {
				return rec, unknownKey(name)
			}
			bit = 32
			if v, fl = s.value(depth); fl == faultNone {
				rec.id, f = text(v)
				f = under(f, "id")
			}
		default:
			return rec, unknownKey(name)
		}
		switch {
		case fl != faultNone:
			return rec, badJSON(fl)
		case seen&bit != 0:
			return rec, badJSON(faultDuplicate)
		case f != nil:
			return rec, f
		}
		seen |= bit
	}
}

// under returns f, if there is one, with a path before its own. What is wrong
// with JSON has no path.
func under(f *failure, path string) *failure {
	if f == nil || f.reason == "json_invalid" {
		return f
	}
	return f.at(path)
}

func (b *buffers) dataV3(depth int) (d dataV3, f *failure) {
	s := &b.scan
	s.space()
	if s.i < len(s.b) && s.b[s.i] == 'n' {
		if fl := s.word("null"); fl != faultNone {
			return d, badJSON(fl)
		}
		return d, nil
	}
	if !s.take('{') {
		return d, badRequest("", "not an object")
	}
	var seen uint
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return d, badJSON(fl)
		}
		if !more {
			return d, nil
		}
		v, fl := s.value(depth)
		if fl != faultNone {
			return d, badJSON(fl)
		}
		bit := dataKey(name)
		switch {
		case bit == 0:
			return d, unknownKey(name)
		case seen&bit != 0:
			return d, badJSON(faultDuplicate)
		}
		seen |= bit
		if f = d.set(bit, v); f != nil {
			return d, f.at(string(name))
		}
	}
}

const (
	keyData uint = 1 << iota
	keyType
	keySchema
	keySchemaID
	keySchemaVersion
	keySubject
	keyStrategy
)

func dataKey(name []byte) uint {
	switch string(name) {
	case "data":
		return keyData
	case "type":
		return keyType
	case "schema":
		return keySchema
	case "schema_id":
		return keySchemaID
	case "schema_version":
		return keySchemaVersion
	case "subject":
		return keySubject
	case "subject_name_strategy":
		return keyStrategy
	default:
		return 0
	}
}

func (d *dataV3) set(key uint, v value) (f *failure) {
	switch {
	case key == keyData:
		d.value = v
	case v.null():
	case key == keyType:
		var t string
		if t, f = text(v); f == nil {
			if d.kind = kindOf(t); d.kind == "" {
				f = badRequest("", "not one of BINARY, JSON, STRING, AVRO, JSONSCHEMA, PROTOBUF")
			}
		}
	case key == keySchema:
		d.schema, f = text(v)
	case key == keySchemaID:
		d.id, f = schemaNumber(v)
	case key == keySchemaVersion:
		d.version, f = schemaNumber(v)
	case key == keySubject:
		d.subject, f = text(v)
	case key == keyStrategy:
		if d.strategy, f = text(v); f == nil && d.strategy != "TOPIC_NAME" && d.strategy != "RECORD_NAME" && d.strategy != "TOPIC_RECORD_NAME" {
			f = badRequest("", "not one of TOPIC_NAME, RECORD_NAME, TOPIC_RECORD_NAME")
		}
	}
	return f
}

// kindOf returns the constant that is t.
func kindOf(t string) string {
	for _, k := range [...]string{"BINARY", "JSON", "STRING", "AVRO", "JSONSCHEMA", "PROTOBUF"} {
		if t == k {
			return k
		}
	}
	return ""
}

func formatOfKind(kind string) string {
	switch kind {
	case "BINARY":
		return formatBinary
	case "JSON":
		return formatJSON
	case "STRING":
		return formatText
	case "AVRO":
		return formatAvro
	case "JSONSCHEMA":
		return formatJSONSchema
	case "PROTOBUF":
		return formatProtobuf
	default:
		return ""
	}
}

func kindOfFormat(format string) string {
	switch format {
	case formatAvro:
		return "AVRO"
	case formatJSONSchema:
		return "JSONSCHEMA"
	case formatProtobuf:
		return "PROTOBUF"
	default:
		return ""
	}
}

// encodeV3 turns a record into one for Kafka.
func (c *call) encodeV3(ctx context.Context, b *buffers, in *recordV3) (rec produce.Record, key, val shape, f *failure) {
	rec = produce.Record{Topic: c.topic, Partition: produce.AnyPartition, Headers: in.headers, Timestamp: in.timestamp}
	if in.at != math.MinInt64 {
		if in.at < 0 || in.at > math.MaxInt32 {
			return rec, key, val, partitionNotFound()
		}
		rec.Partition = int32(in.at)
	}
	if rec.Key, key, f = c.encodeData(ctx, b, &in.key, true); f != nil {
		return rec, key, val, f.at("key")
	}
	if rec.Value, val, f = c.encodeData(ctx, b, &in.value, false); f != nil {
		return rec, key, val, f.at("value")
	}
	return rec, key, val, nil
}

func (c *call) encodeData(ctx context.Context, b *buffers, d *dataV3, isKey bool) (out []byte, s shape, f *failure) {
	format := formatOfKind(d.kind)
	if f := d.check(format); f != nil {
		return nil, s, f
	}
	null := d.value.absent() || d.value.null()
	if schemaless(format) {
		if out, f = plain(format, d.value); f != nil {
			f.status, f.code = 422, 42206
			return nil, s, f.at("data")
		}
		if null {
			return nil, s, nil
		}
		return out, shape{kind: d.kind}, nil
	}
	bare := d.schema == "" && d.id == 0 && d.version == 0 && d.subject == "" && d.strategy == ""
	if null && bare {
		return nil, s, nil
	}
	enc, f := c.encoder(ctx, Ask{
		Topic: c.topic, IsKey: isKey, Format: format, SchemaText: d.schema, SchemaID: d.id, SchemaVersion: d.version,
		Subject: d.subject, Strategy: d.strategy,
	})
	if f != nil {
		return nil, s, f
	}
	if out, f = b.encode(enc, d.value, isKey, c.s.cfg.StrictNulls); f != nil {
		return nil, s, f.at("data")
	}
	if out == nil {
		return nil, s, nil
	}
	return out, shape{kind: kindOfFormat(enc.Format()), schemaID: enc.ID()}, nil
}

// check refuses combinations that have no meaning.
func (d *dataV3) check(format string) *failure {
	given := 0
	for _, is := range [...]bool{d.schema != "", d.id != 0, d.version != 0} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return invalid("", "more than one of schema, schema_id and schema_version")
	case d.subject != "" && d.strategy != "":
		return invalid("", "subject together with subject_name_strategy")
	case schemaless(format) && (given > 0 || d.subject != "" || d.strategy != ""):
		return invalid("", "a schema is given, and the type has none")
	case format != "" && !schemaless(format) && d.schema == "":
		return invalid("", "a type of schemas without the text of one: schema_id and schema_version come without a type")
	case format == "" && d.schema != "":
		return invalid("", "the text of a schema without its type")
	}
	return nil
}

// appendReceipt appends the receipt of a delivered record, without its braces.
func (c *call) appendReceipt(dst []byte, r *produce.Result, key, val shape) []byte {
	dst = append(dst, `"cluster_id":`...)
	dst = appendText(dst, c.cluster)
	dst = append(dst, `,"topic_name":`...)
	dst = appendText(dst, c.topic)
	dst = append(dst, `,"partition_id":`...)
	dst = appendInt(dst, r.Partition)
	dst = append(dst, `,"offset":`...)
	dst = appendInt(dst, r.Offset)
	if !r.Timestamp.IsZero() {
		dst = append(dst, `,"timestamp":`...)
		dst = appendTime(dst, r.Timestamp)
	}
	if key.kind != "" {
		dst = appendShape(append(dst, `,"key":`...), key, r.KeySize)
	}
	if val.kind != "" {
		dst = appendShape(append(dst, `,"value":`...), val, r.ValueSize)
	}
	return dst
}

func appendShape(dst []byte, s shape, size int) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, s.kind...)
	dst = append(dst, '"')
	if s.schemaID != 0 {
		dst = append(dst, `,"schema_id":`...)
		dst = appendInt(dst, s.schemaID)
	}
	dst = append(dst, `,"size":`...)
	dst = appendInt(dst, max(size, 0))
	return append(dst, '}')
}
