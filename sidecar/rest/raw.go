package rest

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// produceRaw serves a body that is one value, and CloudEvents in binary mode,
// which say so by a header of theirs.
func (c *call) produceRaw() {
	c.media = mediaJSON
	b := c.s.buffers()
	unknown, f := c.runRaw(b)
	if f != nil {
		c.fail(f)
	}
	if !unknown {
		c.s.recycle(b)
	}
}

const kafkaPrefix = "X-Kafka-"

func (c *call) runRaw(b *buffers) (unknown bool, f *failure) {
	rec := produce.Record{Topic: c.topic, Partition: produce.AnyPartition}
	drop, f := c.rawQuery(&rec)
	if f != nil {
		c.unread = true
		return false, f
	}
	media, f := rawMedia(c.r.Header.Get("Content-Type"))
	if f != nil {
		c.unread = true
		return false, f
	}
	if f = c.rawHeaders(b, &rec, media); f != nil {
		c.unread = true
		return false, f
	}
	if b.body, f = c.readBody(b.body, c.s.cfg.MaxRecordBytes); f != nil {
		return false, f
	}
	switch {
	case drop && len(b.body) > 0:
		return false, badRequest("tombstone", "the body is not empty")
	case !drop:
		if f := checkRaw(&b.scan, media, b.body); f != nil {
			return false, f
		}
		rec.Value = slices.Clip(b.body)
		if rec.Value == nil {
			rec.Value = []byte{}
		}
	}
	if f := c.admit(1, 0); f != nil {
		return false, f
	}
	ctx, cancel := c.withTimeout()
	defer cancel()
	b.records = append(b.records, rec)
	results := c.s.deps.Sender.Produce(ctx, b.records, produce.Whole)
	if len(results) != 1 {
		return true, internalFailure()
	}
	r := &results[0]
	if r.Outcome != produce.Delivered {
		f = produceFailure(r.Err)
		code := f.code
		c.observe(code, f.reason, r.Outcome)
		return r.Outcome == produce.Unknown, f
	}
	c.observe(0, "", r.Outcome)
	out := b.out[:0]
	out = append(out, `{"partition":`...)
	out = appendInt(out, r.Partition)
	out = append(out, `,"offset":`...)
	out = appendInt(out, r.Offset)
	if !r.Timestamp.IsZero() {
		out = append(out, `,"timestamp":`...)
		out = appendTime(out, r.Timestamp)
	}
	out = append(out, '}')
	b.out = out
	c.answer(http.StatusOK, c.media, out)
	return false, nil
}

// rawQuery reads the query of the raw route.
func (c *call) rawQuery(rec *produce.Record) (drop bool, f *failure) {
	if c.r.URL.RawQuery == "" {
		return false, nil
	}
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return false, badRequest("", "the query is malformed")
	}
	for name, all := range q {
		if len(all) > 1 {
			return false, badRequest("", "a parameter of the query occurs twice")
		}
		arg := all[0]
		switch name {
		case "key":
			if !utf8.ValidString(arg) {
				return false, badRequest("key", "not UTF-8")
			}
			rec.Key = []byte(arg)
		case "key_base64":
			if rec.Key, err = base64.StdEncoding.DecodeString(arg); err != nil {
				return false, badRequest("key_base64", "not base64")
			}
		case "partition":
			n, err := strconv.ParseUint(arg, 10, 31)
			if err != nil {
				return false, badRequest("partition", "not the number of a partition")
			}
			rec.Partition = int32(n)
		case "timestamp":
			v := value{kind: '"', raw: []byte(`"` + arg + `"`)}
			if arg != "" && arg[0] >= '0' && arg[0] <= '9' && !strings.Contains(arg, "-") {
				v = value{kind: '0', raw: []byte(arg)}
			}
			if rec.Timestamp, f = instant(v); f != nil {
				return false, f.at("timestamp")
			}
		case "tombstone":
			if drop, err = strconv.ParseBool(arg); err != nil {
				return false, badRequest("tombstone", "neither true nor false")
			}
		default:
			return false, badRequest("", "the query has a parameter that is not known")
		}
	}
	if q.Has("key") && q.Has("key_base64") {
		return false, badRequest("key", "given together with key_base64")
	}
	return drop, nil
}

// rawMedia returns the media type of a value, "" for bytes of any kind.
func rawMedia(contentType string) (string, *failure) {
	if contentType == "" || contentType == "application/octet-stream" {
		return contentType, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return "", unsupported("the content type is malformed")
	case media == "application/cloudevents-batch+json":
		return "", unsupported("one request carries one event")
	default:
		return media, nil
	}
}

// checkRaw refuses a body that is not what its media type says: JSON must be
// strict JSON, and text must be UTF-8. Other types are bytes.
func checkRaw(s *scanner, media string, body []byte) *failure {
	switch {
	case media == mediaJSON || strings.HasSuffix(media, "+json"):
		if fl := s.reset(body); fl != faultNone {
			return badJSON(fl)
		}
		if _, fl := s.value(0); fl != faultNone {
			return badJSON(fl)
		}
		if !s.end() {
			return badJSON(faultSyntax)
		}
	case strings.HasPrefix(media, "text/"):
		if !utf8.Valid(body) {
			return badRequest("", "the body is not UTF-8")
		}
	}
	return nil
}

// rawHeaders turns headers of the request into headers of the record, in the
// order of their names.
func (c *call) rawHeaders(b *buffers, rec *produce.Record, media string) *failure {
	most := c.s.cfg.MaxRecordHeaders
	for name, values := range c.r.Header {
		if len(name) <= len(kafkaPrefix) || name[:len(kafkaPrefix)] != kafkaPrefix {
			continue
		}
		for _, v := range values {
			b.headers = append(b.headers, produce.Header{Key: strings.ToLower(name[len(kafkaPrefix):]), Value: []byte(v)})
		}
	}
	if c.r.Header["Ce-Specversion"] != nil {
		if f := c.eventHeaders(b, rec); f != nil {
			return f
		}
	} else if media == "application/cloudevents+json" {
		b.headers = append(b.headers, produce.Header{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")})
	}
	if len(b.headers) > most {
		return invalid("headers", "more headers than the limit")
	}
	if len(b.headers) == 0 {
		return nil
	}
	// Values of one name keep their order; names come out of a map.
	slices.SortStableFunc(b.headers, func(x, y produce.Header) int { return strings.Compare(x.Key, y.Key) })
	rec.Headers = slices.Clip(b.headers)
	return nil
}
