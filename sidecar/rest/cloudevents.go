package rest

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

const eventPrefix = "Ce-"

// eventHeaders turns the headers of a CloudEvent in binary mode into those of
// its binding for Kafka: ce-NAME becomes ce_NAME, Content-Type becomes
// content-type, and partitionkey is the key as well.
func (c *call) eventHeaders(b *buffers, rec *produce.Record) *failure {
	h := c.r.Header
	for _, name := range [...]string{"Ce-Id", "Ce-Source", "Ce-Type"} {
		if h.Get(name) == "" {
			return badRequest(strings.ToLower(name), "missing: the event needs it")
		}
	}
	if h.Get("Ce-Specversion") != "1.0" {
		return badRequest("ce-specversion", "not 1.0")
	}
	for name, values := range h {
		if len(name) <= len(eventPrefix) || name[:len(eventPrefix)] != eventPrefix {
			continue
		}
		attr := strings.ToLower(name[len(eventPrefix):])
		if !isAttribute(attr) {
			return badRequest("", "the name of an attribute of the event may have letters and digits only")
		}
		if len(values) != 1 {
			return badRequest("ce-"+knownAttribute(attr), "given twice")
		}
		v, ok := percentDecode(values[0])
		if !ok {
			return badRequest("ce-"+knownAttribute(attr), "not UTF-8 in percent encoding")
		}
		b.headers = append(b.headers, produce.Header{Key: "ce_" + attr, Value: v})
		if attr == "partitionkey" {
			if rec.Key != nil {
				return badRequest("key", "given together with ce-partitionkey")
			}
			rec.Key = v
		}
	}
	if t := h.Get("Content-Type"); t != "" {
		b.headers = append(b.headers, produce.Header{Key: "content-type", Value: []byte(t)})
	}
	return nil
}

func isAttribute(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// knownAttribute returns the name of an attribute of the specification. Others
// may be anything, and are not shown.
func knownAttribute(name string) string {
	switch name {
	case "id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema", "partitionkey":
		return name
	default:
		return "(not shown)"
	}
}

// percentDecode undoes the encoding of the HTTP binding. A percent sign that
// begins no escape stands for itself.
func percentDecode(s string) ([]byte, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b...)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out, utf8.Valid(out)
}
