package rest

import (
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

func appendInt[T int | int32 | int64](dst []byte, n T) []byte {
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendID appends the id of a schema, or null for 0.
func appendID(dst []byte, id int) []byte {
	if id == 0 {
		return append(dst, "null"...)
	}
	return appendInt(dst, id)
}

// appendTime appends t in milliseconds, as Kafka has it.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	return append(dst, '"')
}

func appendFailure(dst []byte, code int, message string) []byte {
	dst = append(dst, `{"error_code":`...)
	dst = appendInt(dst, code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, message)
	return append(dst, '}')
}

// answer sends a whole body.
func (c *call) answer(status int, mediaType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body)
	}
}

// fail answers the whole request with f.
func (c *call) fail(f *failure) {
	c.info.Code, c.info.Reason = f.code, f.reason
	h := c.w.Header()
	switch {
	case f.status == http.StatusUnauthorized && f.reason == "unauthenticated":
		h["Www-Authenticate"] = c.s.challenges
	case f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case f.status == http.StatusMethodNotAllowed:
		h.Set("Allow", c.allow)
	}
	if f.reason == "draining" || c.unread {
		h.Set("Connection", "close")
	}
	code, message := f.code, f.message()
	if c.v3 {
		code, message = f.receipt()
		c.info.Code = code
	}
	c.answer(f.status, c.media, appendFailure(nil, code, message))
}
