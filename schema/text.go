package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// Digest identifies the text with everything beside it that decides what is
// protected. It does not depend on a registry.
func (t Text) Digest() [32]byte {
	h := sha256.New()
	put(h, "fieldveil/1 schema text", string(t.Format), t.Schema)
	putList(h, t.References)
	putList(h, t.Names)
	putCount(h, len(t.Tags))
	for _, r := range t.Tags {
		put(h, r.Pattern)
		putList(h, r.Tags)
	}
	putCount(h, len(t.Demands))
	for _, d := range t.Demands {
		put(h, d.Name)
		payload := 0
		if d.Payload {
			payload = 1
		}
		putCount(h, payload)
		putList(h, d.Tags)
	}
	return [32]byte(h.Sum(nil))
}

// Bare returns the text without what stands beside it.
func (t Text) Bare() Text {
	return Text{Format: t.Format, Schema: t.Schema, References: t.References, Names: t.Names}
}

// put writes strings with their lengths, so that no two lists read the same.
func put(h hash.Hash, parts ...string) {
	for _, p := range parts {
		putCount(h, len(p))
		h.Write([]byte(p))
	}
}

func putList(h hash.Hash, parts []string) {
	putCount(h, len(parts))
	put(h, parts...)
}

func putCount(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // a length
	h.Write(b[:])
}

// TagsFor returns the tags that rules give to a field of a canonical path and a
// qualified name, without repeats, in the order of the rules. Either may be
// empty for none.
func TagsFor(rules []TagRule, path, name string) []string {
	var tags []string
	for _, r := range rules {
		on := name
		if r.Pattern != "" && r.Pattern[0] == '/' {
			on = path
		}
		if on == "" || !MatchName(r.Pattern, on) {
			continue
		}
		for _, t := range r.Tags {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// MatchName tells whether a pattern matches the whole of a name. In a pattern,
// ? stands for one character other than the separator, * for any number of
// them, and ** for any characters. The separator is a slash in patterns that
// begin with one, and a dot in others, as schema registries have it. Everything
// else stands for itself.
func MatchName(pattern, name string) bool {
	sep := byte('.')
	if pattern != "" && pattern[0] == '/' {
		sep = '/'
	}
	// reach[i] tells whether the pattern so far matches name[:i]. The work is
	// the product of both lengths, whatever the pattern is.
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for p := 0; p < len(pattern); p++ {
		switch c := pattern[p]; {
		case c == '*' && p+1 < len(pattern) && pattern[p+1] == '*':
			p++
			for i := 1; i <= len(name); i++ {
				reach[i] = reach[i] || reach[i-1]
			}
		case c == '*':
			for i := 1; i <= len(name); i++ {
				reach[i] = reach[i] || reach[i-1] && name[i-1] != sep
			}
		default:
			for i := len(name); i > 0; i-- {
				reach[i] = reach[i-1] && (c == name[i-1] || c == '?' && name[i-1] != sep)
			}
			reach[0] = false
		}
	}
	return reach[len(name)]
}
