package rest

import (
	"context"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// An entry is one record of a batch.
type entry struct {
	in       recordV3
	key, val shape
	failed   *failure
	sent     int // its index among the records sent
}

// longestID is how many characters the id of an entry may have.
const longestID = 80

func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	return err == nil && media == mediaJSON && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}

// produceBatch serves records:batch. Each entry has a fate of its own.
func (c *call) produceBatch() {
	if !isJSON(c.r.Header.Get("Content-Type")) {
		c.refuse(unsupported("a batch comes as application/json"))
		return
	}
	b := c.s.buffers()
	unknown, f := c.runBatch(b)
	if f != nil {
		c.fail(f)
	}
	if !unknown {
		c.s.recycle(b)
	}
}

func badBatch(text string) *failure {
	return &failure{status: 422, code: 42208, reason: "request_invalid", path: "entries", text: text}
}

func (c *call) runBatch(b *buffers) (unknown bool, f *failure) {
	if b.body, f = c.readBody(b.body, c.s.cfg.MaxBodyBytes); f != nil {
		return false, f
	}
	if f := b.parseBatch(b.body, &c.s.cfg); f != nil {
		return false, f
	}
	ctx, cancel := c.withTimeout()
	defer cancel()
	c.encodeBatch(ctx, b)
	if f := c.admit(len(b.records), 0); f != nil {
		return false, f
	}
	var results []produce.Result
	if len(b.records) > 0 {
		if results = c.s.deps.Sender.Produce(ctx, b.records, produce.Each); len(results) != len(b.records) {
			return true, internalFailure()
		}
	}
	for i := range results {
		unknown = unknown || results[i].Outcome == produce.Unknown
	}
	c.replyBatch(b, results)
	return unknown, nil
}

// parseBatch reads the body of a batch into b.entries.
func (b *buffers) parseBatch(body []byte, cfg *Config) *failure {
	s := &b.scan
	if fl := s.reset(body); fl != faultNone {
		return badJSON(fl)
	}
	if !s.take('{') {
		return b.fault(badRequest("", "not an object"))
	}
	seen := false
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return badJSON(fl)
		}
		if !more {
			break
		}
		switch {
		case string(name) != "entries":
			return b.fault(unknownKey(name))
		case seen:
			return badJSON(faultDuplicate)
		}
		seen = true
		if f := b.entriesV3(cfg); f != nil {
			return b.fault(f)
		}
	}
	switch {
	case !s.end():
		return badJSON(faultSyntax)
	case len(b.entries) == 0:
		return badBatch("missing or empty")
	}
	return b.checkIDs()
}

func (b *buffers) entriesV3(cfg *Config) *failure {
	s := &b.scan
	if !s.take('[') {
		return badRequest("entries", "not a list")
	}
	for first := true; ; first = false {
		more, fl := s.element(first)
		if fl != faultNone {
			return badJSON(fl)
		}
		if !more {
			return nil
		}
		at := len(b.entries)
		if at == cfg.MaxBatchEntries {
			return badBatch("more than the limit")
		}
		if !s.take('{') {
			return badRequest(recordPath("entries", at), "not an object")
		}
		const depth = 3
		in, f := b.parseV3(depth, true, cfg)
		if f != nil {
			return under(f, recordPath("entries", at))
		}
		b.entries = append(b.entries, entry{in: in, sent: -1})
	}
}

func (b *buffers) checkIDs() *failure {
	ids := make(map[string]struct{}, len(b.entries))
	for i := range b.entries {
		id := b.entries[i].in.id
		if n := utf8.RuneCountInString(id); n == 0 || n > longestID {
			return badBatch("an id is missing, or longer than 80 characters")
		}
		if _, twice := ids[id]; twice {
			return badBatch("an id occurs twice")
		}
		ids[id] = struct{}{}
	}
	return nil
}

func (c *call) encodeBatch(ctx context.Context, b *buffers) {
	for i := range b.entries {
		e := &b.entries[i]
		var rec produce.Record
		if rec, e.key, e.val, e.failed = c.encodeV3(ctx, b, &e.in); e.failed == nil {
			e.sent = len(b.records)
			b.records = append(b.records, rec)
		}
	}
}

func (c *call) replyBatch(b *buffers, results []produce.Result) {
	out := b.out[:0]
	out = append(out, `{"successes":[`...)
	first := true
	for i := range b.entries {
		e := &b.entries[i]
		if e.failed != nil {
			continue
		}
		r := &results[e.sent]
		if r.Outcome != produce.Delivered {
			e.failed = recordFailure(r.Err)
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, `{"id":`...)
		out = appendText(out, e.in.id)
		out = append(out, ',')
		out = c.appendReceipt(out, r, e.key, e.val)
		out = append(out, '}')
		c.observe(http.StatusOK, "", r.Outcome)
	}
	out = append(out, `],"failures":[`...)
	first = true
	for i := range b.entries {
		e := &b.entries[i]
		if e.failed == nil {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		code, message := e.failed.receipt()
		outcome := e.failed.outcome()
		if e.sent >= 0 {
			outcome = results[e.sent].Outcome
		}
		out = append(out, `{"id":`...)
		out = appendText(out, e.in.id)
		out = append(out, `,"error_code":`...)
		out = appendInt(out, code)
		out = append(out, `,"message":`...)
		out = appendText(out, message)
		out = append(out, '}')
		c.observe(code, e.failed.reason, outcome)
	}
	out = append(out, `]}`...)
	b.out = out
	c.answer(http.StatusMultiStatus, c.media, out)
}

// recordFailure turns what became of one record of version 3 into its answer.
func recordFailure(e *produce.Error) *failure {
	f := produceFailure(e)
	switch f.code {
	case 40402:
		f.code = 40403
	case 50302:
		f.code = 50003
	}
	return f
}
