package rest

import (
	"context"
	"net/http"
	"strconv"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// produceV2 serves the produce routes of version 2. A request goes as a whole or
// not at all until it is handed over; what the brokers do with a record is said
// for each.
func (c *call) produceV2() {
	if c.r.Header["Ce-Specversion"] != nil {
		c.produceRaw()
		return
	}
	format := formatOf(c.r.Header.Get("Content-Type"))
	if format == "" {
		c.refuse(unsupported("records come as application/vnd.kafka.{binary,json,text,avro,jsonschema,protobuf}.v2+json; a body that is one record goes to /raw"))
		return
	}
	b := c.s.buffers()
	unknown, f := c.runV2(b, format)
	if f != nil {
		c.fail(f)
	}
	if !unknown {
		c.s.recycle(b)
	}
}

// runV2 does the work and answers, unless it returns a failure. unknown says
// that b must not be used again.
func (c *call) runV2(b *buffers, format string) (unknown bool, f *failure) {
	at := produce.AnyPartition
	if c.params[2] != "" {
		n, err := strconv.ParseUint(c.params[2], 10, 31)
		if err != nil {
			c.unread = true
			return false, partitionNotFound()
		}
		at = int32(n)
	}
	if b.body, f = c.readBody(b.body, c.s.cfg.MaxBodyBytes); f != nil {
		return false, f
	}
	req, f := b.parseV2(b.body, &c.s.cfg)
	if f != nil {
		return false, f
	}
	ctx, cancel := c.withTimeout()
	defer cancel()
	keyID, valueID, f := c.encodeV2(ctx, b, req, format)
	if f != nil {
		return false, f
	}
	for i := range b.records {
		rec := &b.records[i]
		rec.Topic = c.topic
		if at != produce.AnyPartition {
			if rec.Partition != produce.AnyPartition {
				return false, invalid(recordPath("records", i)+".partition", "given in the path too")
			}
			rec.Partition = at
		}
	}
	if f := c.admit(len(b.records), 0); f != nil {
		return false, f
	}
	results := c.s.deps.Sender.Produce(ctx, b.records, produce.Whole)
	if len(results) != len(b.records) {
		return true, internalFailure()
	}
	for i := range results {
		unknown = unknown || results[i].Outcome == produce.Unknown
	}
	if i, cause := refusal(results); cause != nil {
		f = produceFailure(cause)
		switch {
		case f.code == 40402 && at == produce.AnyPartition:
			f.code = 40403 // Confluent's code for a partition that the body names
			f = f.at(recordPath("records", i))
		case f.code != 40401 && f.code != 40402 && cause.Code != produce.CodeOverloaded && cause.Code != produce.CodeDraining:
			f = f.at(recordPath("records", i))
		}
		return unknown, f
	}
	c.replyV2(b, results, keyID, valueID)
	return unknown, nil
}

// refusal returns the record because of which a request was not sent, or which
// says what is true of all.
func refusal(results []produce.Result) (int, *produce.Error) {
	sent, withheld, alike := false, false, true
	cause := -1
	for i := range results {
		r := &results[i]
		if r.Err == nil || r.Outcome == produce.Delivered || r.Outcome == produce.Unknown {
			sent = true
			continue
		}
		if r.Err.Code == produce.CodeNotSent {
			withheld = true
			continue
		}
		if cause < 0 {
			cause = i
		}
		alike = alike && r.Err.Code == results[cause].Err.Code
	}
	if cause < 0 || sent {
		return 0, nil
	}
	e := results[cause].Err
	switch {
	case withheld, !afterHandover(e.Code):
		return cause, e
	case alike && (e.Code == produce.CodeTopicUnknown || e.Code == produce.CodePartitionUnknown || e.Code == produce.CodeTooLarge):
		return cause, e
	default:
		return 0, nil
	}
}

// encodeV2 turns keys and values into bytes.
func (c *call) encodeV2(ctx context.Context, b *buffers, req requestV2, format string) (keyID, valueID int, f *failure) {
	if schemaless(format) {
		if req != (requestV2{}) {
			return 0, 0, invalid("", "a schema is given, and the media type has none")
		}
		for i := range b.pairs {
			p := &b.pairs[i]
			if b.records[i].Key, f = plain(format, p.key); f != nil {
				return 0, 0, f.at(recordPath("records", i) + ".key")
			}
			if b.records[i].Value, f = plain(format, p.value); f != nil {
				return 0, 0, f.at(recordPath("records", i) + ".value")
			}
		}
		return 0, 0, nil
	}
	if keyID, f = c.encodeSide(ctx, b, Ask{Topic: c.topic, IsKey: true, Format: format, SchemaText: req.keySchema, SchemaID: req.keySchemaID}); f != nil {
		return 0, 0, f
	}
	valueID, f = c.encodeSide(ctx, b, Ask{Topic: c.topic, Format: format, SchemaText: req.valueSchema, SchemaID: req.valueSchemaID})
	return keyID, valueID, f
}

// encodeSide encodes all keys, or all values, and returns the id of their
// schema, 0 for none.
func (c *call) encodeSide(ctx context.Context, b *buffers, ask Ask) (int, *failure) {
	side := ".value"
	if ask.IsKey {
		side = ".key"
	}
	var enc Encoder
	given := ask.SchemaText != "" || ask.SchemaID != 0
	for i := range b.pairs {
		v := b.pairs[i].value
		if ask.IsKey {
			v = b.pairs[i].key
		}
		null := v.absent() || v.null()
		if null && !given {
			continue
		}
		if !given {
			return 0, schemaMissing(ask.IsKey).at(recordPath("records", i) + side)
		}
		if enc == nil {
			var f *failure
			if enc, f = c.encoder(ctx, ask); f != nil {
				return 0, f.at(side[1:] + "_schema")
			}
		}
		bytes, f := b.encode(enc, v, ask.IsKey, c.s.cfg.StrictNulls)
		if f != nil {
			return 0, f.at(recordPath("records", i) + side)
		}
		if ask.IsKey {
			b.records[i].Key = bytes
		} else {
			b.records[i].Value = bytes
		}
	}
	if enc == nil {
		return 0, nil
	}
	return enc.ID(), nil
}

func (c *call) encoder(ctx context.Context, ask Ask) (Encoder, *failure) {
	if c.s.deps.Encoders == nil {
		return nil, &failure{status: 422, code: 42205, reason: "schema_invalid", text: "this sidecar has no schema registry"}
	}
	enc, err := c.s.deps.Encoders.Encoder(ctx, ask)
	if err != nil {
		f := encodeFailure(err, ask.IsKey)
		f.path = "" // the schema's, not the record's
		return nil, f
	}
	return enc, nil
}

// encode appends v to the arena, and returns the part that it is.
func (b *buffers) encode(enc Encoder, v value, isKey, strict bool) ([]byte, *failure) {
	if v.absent() || v.null() {
		if strict && !isKey && !enc.AdmitsNull() {
			return nil, &failure{status: 422, code: 42203, reason: "value_unfit", text: "null, which the schema does not admit"}
		}
		return nil, nil
	}
	from := len(b.arena)
	out, err := enc.Append(b.arena, v.raw)
	if err != nil {
		return nil, encodeFailure(err, isKey)
	}
	b.arena = out
	return out[from:len(out):len(out)], nil
}

// replyV2 writes a result for each record, in their order.
func (c *call) replyV2(b *buffers, results []produce.Result, keyID, valueID int) {
	out := b.out[:0]
	out = append(out, `{"offsets":[`...)
	status := http.StatusOK
	for i := range results {
		if i > 0 {
			out = append(out, ',')
		}
		r := &results[i]
		if r.Outcome == produce.Delivered {
			out = append(out, `{"partition":`...)
			out = appendInt(out, r.Partition)
			out = append(out, `,"offset":`...)
			out = appendInt(out, r.Offset)
			out = append(out, `,"error_code":null,"error":null}`...)
			c.observe(0, "", r.Outcome)
			continue
		}
		f := brokerFailure(r.Err)
		status = c.statusV2(status, f)
		out = append(out, `{"partition":null,"offset":null,"error_code":`...)
		out = appendInt(out, f.code)
		out = append(out, `,"error":`...)
		out = appendText(out, f.message())
		out = append(out, '}')
		c.observe(f.code, f.reason, r.Outcome)
	}
	out = append(out, `],"key_schema_id":`...)
	out = appendID(out, keyID)
	out = append(out, `,"value_schema_id":`...)
	out = appendID(out, valueID)
	out = append(out, '}')
	b.out = out
	c.answer(status, c.media, out)
}

// statusV2 returns the status of an answer that has one more failed record.
func (c *call) statusV2(status int, f *failure) int {
	switch {
	case f.code == 40101 && status != http.StatusForbidden:
		return http.StatusUnauthorized
	case f.code == 40301:
		return http.StatusForbidden
	case !c.s.cfg.StrictStatus || status == http.StatusUnauthorized || status == http.StatusForbidden:
		return status
	case f.code == 50003:
		return http.StatusServiceUnavailable
	case status == http.StatusOK:
		return http.StatusInternalServerError
	default:
		return status
	}
}
