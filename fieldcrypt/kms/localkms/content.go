package localkms

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// fileVersion is the value of the member that tells a KEK file from other JSON.
const fileVersion = "1"

// An entry is one version of a KEK as its file holds it.
type entry struct {
	id      versionID
	created time.Time
	key     secret.Bytes
}

// wipe overwrites the keys of all entries.
func wipe(entries []entry) {
	for _, e := range entries {
		e.key.Wipe()
	}
}

// appendContent appends the JSON of a KEK file:
//
//	{"fieldveil_kek": 1, "keys": [{"id": "…", "created": "…", "key": "…"}]}
//
// It is written by hand so that the keys pass through no buffer but dst.
func appendContent(dst []byte, entries []entry) []byte {
	dst = append(dst, "{\n  \"fieldveil_kek\": "+fileVersion+",\n  \"keys\": ["...)
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "\n    {\"id\": \""...)
		dst = hex.AppendEncode(dst, e.id[:])
		dst = append(dst, "\", \"created\": \""...)
		dst = e.created.UTC().AppendFormat(dst, time.RFC3339)
		dst = append(dst, "\", \"key\": \""...)
		dst = base64.StdEncoding.AppendEncode(dst, e.key.Expose())
		dst = append(dst, "\"}"...)
	}
	return append(dst, "\n  ]\n}\n"...)
}

// parseContent reads what appendContent writes, and any other JSON of the same
// meaning. It is strict: unknown and repeated members, ids that do not belong
// to their key and repeated keys are refused. Its errors say where, and quote
// nothing: a key may stand anywhere in a damaged file.
//
// encoding/json only checks the syntax: its decoder would keep copies of the
// keys that nobody can wipe, and it takes repeated members and other letters.
func parseContent(data []byte) (entries []entry, err error) {
	if !json.Valid(data) {
		return nil, errors.New("it is not JSON")
	}
	defer func() {
		if err != nil {
			wipe(entries)
			entries = nil
		}
	}()
	var format, keys []byte
	err = members(data, "the file", map[string]*[]byte{"fieldveil_kek": &format, "keys": &keys})
	if err != nil {
		return nil, err
	}
	if string(format) != fileVersion {
		return nil, errors.New("fieldveil_kek is not " + fileVersion)
	}
	if keys[0] != '[' {
		return nil, errors.New("keys is not a list")
	}
	for raw := range elements(keys) {
		e, err := parseEntry(raw, "keys["+strconv.Itoa(len(entries))+"]")
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
		for i, other := range entries[:len(entries)-1] {
			if other.id == e.id {
				return entries, fmt.Errorf("keys[%d] and keys[%d] are the same", i, len(entries)-1)
			}
		}
	}
	if len(entries) == 0 {
		return nil, errors.New("keys is empty")
	}
	return entries, nil
}

func parseEntry(raw []byte, where string) (entry, error) {
	var id, created, key []byte
	err := members(raw, where, map[string]*[]byte{"id": &id, "created": &created, "key": &key})
	if err != nil {
		return entry{}, err
	}
	var e entry
	if s, ok := text(id); !ok || hex.DecodedLen(len(s)) != idSize {
		return entry{}, errors.New(where + ".id is not 16 hex digits")
	} else if _, err := hex.Decode(e.id[:], s); err != nil {
		return entry{}, errors.New(where + ".id is not 16 hex digits")
	}
	s, ok := text(created)
	if e.created, err = time.Parse(time.RFC3339, string(s)); !ok || err != nil {
		return entry{}, errors.New(where + ".created is not a time of RFC 3339")
	}
	if s, ok = text(key); !ok || len(s) != base64.StdEncoding.EncodedLen(keySize) {
		return entry{}, errors.New(where + ".key is not the base64 of 32 bytes")
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, s)
	e.key = secret.Take(b[:min(n, keySize)])
	if err != nil || n != keySize {
		e.key.Wipe()
		return entry{}, errors.New(where + ".key is not the base64 of 32 bytes")
	}
	// An id that belongs to another key comes from editing by hand, and would
	// make wrapped keys that no other copy of the file opens.
	if derived, err := idOf(e.key); err != nil || derived != e.id {
		e.key.Wipe()
		return entry{}, errors.New(where + ".id does not belong to its key")
	}
	return e, nil
}

// members puts the raw value of each member of an object where want says. All
// of them must be there, once, and no other.
func members(raw []byte, where string, want map[string]*[]byte) error {
	raw = bytes.TrimSpace(raw)
	if raw[0] != '{' {
		return errors.New(where + " is not an object")
	}
	var name []byte
	for part := range elements(raw) {
		if name == nil {
			var ok bool
			if name, ok = text(part); !ok {
				return errors.New(where + " has an unknown member")
			}
			continue
		}
		to, ok := want[string(name)]
		switch {
		case !ok:
			return errors.New(where + " has an unknown member")
		case *to != nil:
			return fmt.Errorf("%s has %s twice", where, name)
		}
		*to, name = part, nil
	}
	for name, value := range want {
		if *value == nil {
			return errors.New(where + " has no " + name)
		}
	}
	return nil
}

// elements yields the raw elements of a JSON array, or the names and values of
// an object in turn. raw is valid JSON without space around it.
func elements(raw []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start, depth, inString := 1, 0, false
		for i := 1; i < len(raw); i++ {
			c := raw[i]
			switch {
			case inString && c == '\\':
				i++
			case c == '"':
				inString = !inString
			case inString:
			case depth == 0 && (c == ',' || c == ':' || i == len(raw)-1):
				part := bytes.TrimSpace(raw[start:i])
				start = i + 1
				// Nothing stands only in an empty list or object.
				if len(part) > 0 && !yield(part) {
					return
				}
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			}
		}
	}
}

// text returns the content of a raw JSON string. One without escapes is not
// copied.
func text(raw []byte) ([]byte, bool) {
	if raw[0] != '"' {
		return nil, false
	}
	if !bytes.ContainsRune(raw, '\\') {
		return raw[1 : len(raw)-1 : len(raw)-1], true
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, false
	}
	return []byte(s), true
}
