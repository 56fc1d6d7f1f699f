package glueregistry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// TagKey is the metadata key under which tags stand. A key that consists of it,
// a dot and anything else serves as well.
const TagKey = "fieldveil.tags"

const (
	maxMetadataValue = 256 // of Glue
	maxMetadataPairs = 10  // of Glue, for one version
	ruleSeparator    = "@@"
)

// ErrTooManyTags means that the tags of a text do not fit into the metadata of a
// schema version, which holds ten values of 256 bytes. They can stand in the
// schema text instead.
var ErrTooManyTags = errors.New("tags do not fit into the metadata of a schema version")

// AppendTagRules appends rules to dst in the form that a metadata value has:
//
//	pattern@TAG+TAG@@pattern@TAG
//
// Glue allows few characters in a value. Letters, digits, dots, slashes,
// underscores and dashes stand for themselves; every other byte is written as an
// equals sign and two hexadecimal digits, so that "/cards/[]/pan" becomes
// "/cards/=5B=5D/pan". It fails on a rule without a pattern or without tags.
func AppendTagRules(dst []byte, rules ...schema.TagRule) ([]byte, error) {
	out := dst
	for i, r := range rules {
		if r.Pattern == "" || len(r.Tags) == 0 || slices.Contains(r.Tags, "") {
			return dst, errors.New("glueregistry: a tag rule needs a pattern and tags that are not empty")
		}
		if i > 0 {
			out = append(out, ruleSeparator...)
		}
		out = appendEscaped(out, r.Pattern)
		for j, tag := range r.Tags {
			out = append(out, "+@"[b2i(j == 0)])
			out = appendEscaped(out, tag)
		}
	}
	return out, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ParseTagRules reads what AppendTagRules writes. It accepts no other spelling
// of the same rules, and its errors hold nothing of the value.
func ParseTagRules(value string) ([]schema.TagRule, error) {
	if len(value) > maxMetadataValue {
		return nil, errTagRule
	}
	var rules []schema.TagRule
	for part := range strings.SplitSeq(value, ruleSeparator) {
		pattern, list, ok := strings.Cut(part, "@")
		if !ok {
			return nil, errTagRule
		}
		var r schema.TagRule
		if r.Pattern, ok = unescape(pattern); !ok {
			return nil, errTagRule
		}
		for t := range strings.SplitSeq(list, "+") {
			tag, ok := unescape(t)
			if !ok {
				return nil, errTagRule
			}
			r.Tags = append(r.Tags, tag)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

var errTagRule = errors.New("glueregistry: metadata value is no list of tag rules")

const upperHex = "0123456789ABCDEF"

// plain tells whether a byte stands for itself.
func plain(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' ||
		c == '.' || c == '/' || c == '_' || c == '-'
}

func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&0xf])
		}
	}
	return dst
}

// unescape reads one non-empty name, in the one spelling that it has.
func unescape(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '=' {
			if !plain(c) {
				return "", false
			}
			out = append(out, c)
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		if c = byte(hi<<4 | lo); plain(c) { //nolint:gosec // two digits of four bits
			return "", false
		}
		out = append(out, c)
		i += 2
	}
	return string(out), len(out) > 0
}

// tagValues spreads rules over the values of a schema version: each on its own
// as long as there is room, because that is easier to read, and else packed.
func tagValues(rules []schema.TagRule) ([]string, error) {
	var values []string
	for _, r := range mergeRules(nil, rules) {
		b, err := AppendTagRules(nil, r)
		if err != nil {
			return nil, err
		}
		if len(b) > maxMetadataValue {
			return nil, fmt.Errorf("glueregistry: a rule of %d bytes: %w", len(b), ErrTooManyTags)
		}
		values = append(values, string(b))
	}
	if len(values) <= maxMetadataPairs {
		return values, nil
	}
	packed := [][]byte{nil}
	for _, v := range values {
		last := &packed[len(packed)-1]
		switch {
		case len(*last) == 0:
			*last = append(*last, v...)
		case len(*last)+len(ruleSeparator)+len(v) <= maxMetadataValue:
			*last = append(append(*last, ruleSeparator...), v...)
		default:
			packed = append(packed, []byte(v))
		}
	}
	if len(packed) > maxMetadataPairs {
		return nil, fmt.Errorf("glueregistry: %d rules: %w", len(rules), ErrTooManyTags)
	}
	return strings.Split(string(bytes.Join(packed, []byte{0})), "\x00"), nil
}

// mergeRules returns have with those of more that it lacks.
func mergeRules(have, more []schema.TagRule) []schema.TagRule {
	out := slices.Clone(have)
	for _, r := range more {
		if !slices.ContainsFunc(out, func(o schema.TagRule) bool {
			return o.Pattern == r.Pattern && slices.Equal(o.Tags, r.Tags)
		}) {
			out = append(out, schema.TagRule{Pattern: r.Pattern, Tags: slices.Clone(r.Tags)})
		}
	}
	return out
}

// isTagKey tells whether tags stand under a metadata key.
func isTagKey(key string) bool {
	rest, ok := strings.CutPrefix(key, TagKey)
	return ok && (rest == "" || rest[0] == '.')
}
