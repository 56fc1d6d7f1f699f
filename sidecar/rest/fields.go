package rest

import (
	"slices"
	"strconv"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// integer returns v as a whole number.
func integer(v value) (int64, bool) {
	const most = 20 // digits and a sign
	if v.kind != '0' || len(v.raw) > most {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v.raw), 10, 64)
	return n, err == nil
}

// schemaNumber returns v as the id or version of a schema.
func schemaNumber(v value) (int, *failure) {
	n, ok := integer(v)
	if !ok || n < 1 || n >= 1<<31 {
		return 0, badRequest("", "not a positive number")
	}
	return int(n), nil
}

// inner returns the text of a string. It rewrites v in place.
func inner(v value) []byte {
	raw := v.raw[1 : len(v.raw)-1]
	if v.escaped {
		return unescape(raw[:0], raw)
	}
	return raw
}

// text returns v as a text of its own.
func text(v value) (string, *failure) {
	if v.kind != '"' {
		return "", badRequest("", "not a string")
	}
	if v.escaped {
		return string(unescape(nil, v.raw[1:len(v.raw)-1])), nil
	}
	return string(v.raw[1 : len(v.raw)-1]), nil
}

// unbase64 decodes v in place. Nothing is shown of what is not base64.
func unbase64(v value) ([]byte, *failure) {
	if v.kind != '"' {
		return nil, &failure{status: 400, code: 400, reason: "base64_invalid", text: "not a string of base64"}
	}
	src := inner(v)
	n, err := decodeBase64(src)
	if err != nil {
		return nil, &failure{status: 400, code: 400, reason: "base64_invalid", text: "not base64"}
	}
	return src[:n:n], nil
}

// plain returns the bytes of v in a format that needs no schema, and nil for
// null. It may rewrite v in place.
func plain(format string, v value) ([]byte, *failure) {
	switch {
	case v.absent() || v.null():
		return nil, nil
	case format == formatBinary:
		return unbase64(v)
	case format == formatText:
		if v.kind != '"' {
			return nil, badRequest("", "not a string")
		}
		out := inner(v)
		return slices.Clip(out), nil
	case v.spaced:
		out := compact(v.raw[:0], v.raw)
		return slices.Clip(out), nil
	default:
		return v.raw, nil
	}
}

// instant returns v as a time: milliseconds, or ISO 8601.
func instant(v value) (time.Time, *failure) {
	const last = 253402300799999 // the end of the year 9999
	wrong := badRequest("", "neither milliseconds nor a time of ISO 8601 with a zone")
	if ms, ok := integer(v); ok {
		if ms < 0 || ms > last {
			return time.Time{}, wrong
		}
		return time.UnixMilli(ms), nil
	}
	if v.kind != '"' || v.escaped {
		return time.Time{}, wrong
	}
	// What time.Parse says of a text shows the text.
	t, err := time.Parse(time.RFC3339Nano, string(v.raw[1:len(v.raw)-1]))
	if err != nil || t.UnixMilli() < 0 {
		return time.Time{}, wrong
	}
	return t, nil
}

// readHeaders reads a list of headers, appends them to all, and returns the part of
// it that is this record's.
func readHeaders(s *scanner, all []produce.Header, depth, most int) (grown, own []produce.Header, f *failure) {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == 'n' {
		if fl := s.word("null"); fl != faultNone {
			return all, nil, badJSON(fl)
		}
		return all, nil, nil
	}
	if !s.take('[') {
		return all, nil, badRequest("headers", "not a list")
	}
	from := len(all)
	for first := true; ; first = false {
		more, fl := s.element(first)
		if fl != faultNone {
			return all, nil, badJSON(fl)
		}
		if !more {
			return all, all[from:len(all):len(all)], nil
		}
		if len(all)-from == most {
			return all, nil, invalid("headers", "more headers than the limit")
		}
		h, f := readHeader(s, depth+2)
		if f != nil {
			return all, nil, f.at(recordPath("headers", len(all)-from))
		}
		all = append(all, h)
	}
}

func readHeader(s *scanner, depth int) (h produce.Header, f *failure) {
	if !s.take('{') {
		return h, badRequest("", "not an object")
	}
	var named, valued bool
	for first := true; ; first = false {
		name, more, fl := s.member(first)
		if fl != faultNone {
			return h, badJSON(fl)
		}
		if !more {
			break
		}
		v, fl := s.value(depth)
		if fl != faultNone {
			return h, badJSON(fl)
		}
		switch string(name) {
		case "name", "key":
			if named {
				return h, badJSON(faultDuplicate)
			}
			named = true
			if h.Key, f = text(v); f != nil {
				return h, f.at("name")
			}
		case "value":
			if valued {
				return h, badJSON(faultDuplicate)
			}
			valued = true
			if v.null() {
				continue
			}
			// Not in place: if the record has another fault, its text is read again.
			v.raw = slices.Clone(v.raw)
			if h.Value, f = unbase64(v); f != nil {
				return h, f.at("value")
			}
		default:
			return h, unknownKey(name)
		}
	}
	if h.Key == "" {
		return h, invalid("name", "missing or empty")
	}
	return h, nil
}
