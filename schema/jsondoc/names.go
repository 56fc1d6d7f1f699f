package jsondoc

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

type member struct {
	name string
	node *node
	// text is the name with quotes and a colon, as producers write it. Empty for a
	// name that needs escapes.
	text string
	head textHead
}

// names finds members by name. The table is open-addressed and at most half full.
type names struct {
	members []member
	// next holds, for the start of an object and for each member, the index of the
	// member that came next the last times, plus one, in the low 24 bits. Programs
	// that write JSON keep an order, and a name that was expected needs only to be
	// compared. Above are the changes, of which there are few: what is learned
	// decides nothing but the speed, and is written to shared memory.
	next  []atomic.Uint32
	table []slot
	shift uint8
	slow  map[string]int // in place of the table, for names that fill it badly
	folds map[string]struct{}
	// foldBits has the foldBit of each of the folds, foldSize the greatest length.
	foldBits uint64
	foldSize int
}

type slot struct {
	key    uint64
	size   int32
	member int32 // plus one; zero for a free slot
}

// maxProbes bounds the slots that are looked at for one name.
const maxProbes = 8

func namesOf(members []member) names {
	slices.SortFunc(members, func(x, y member) int { return strings.Compare(x.name, y.name) })
	for i := range members {
		name := members[i].name
		if stop, _ := plain([]byte(name), 0); stop == len(name) {
			members[i].text = `"` + name + `":`
			members[i].head = headOf(members[i].text)
		}
	}
	n := names{members: members, next: make([]atomic.Uint32, len(members)+1)}
	if len(members) == 0 {
		return n
	}
	width := bits.Len(uint(2*len(members) - 1))
	for range 3 {
		if n.fill(width) {
			return n
		}
		width++
	}
	n.table, n.slow = nil, make(map[string]int, len(members))
	for i, m := range members {
		n.slow[m.name] = i
	}
	return n
}

// fill makes a table of 2^width slots. It fails when names lie too far from where
// they belong.
func (n *names) fill(width int) bool {
	n.table = make([]slot, 1<<width)
	n.shift = uint8(64 - width) //nolint:gosec // below 64
	for i, m := range n.members {
		w := wordsOf([]byte(m.name))
		at := n.home(w, len(m.name))
		for probes := 0; n.table[at].member != 0; probes++ {
			if probes == maxProbes {
				return false
			}
			at = (at + 1) & (len(n.table) - 1)
		}
		n.table[at] = slot{w.key(), int32(len(m.name)), int32(i + 1)} //nolint:gosec // sizes of a schema
	}
	return true
}

func (n *names) home(w words, size int) int {
	// The multiplier is 2^64 divided by the golden ratio.
	return int((w.key() ^ uint64(size)) * 0x9E3779B97F4A7C15 >> (n.shift & 63)) //nolint:gosec // within the table
}

// words are the first and the last eight bytes of a name. Of a shorter one they
// are the name itself, and zero.
type words struct{ first, last uint64 }

func wordsOf(name []byte) words {
	if len(name) >= 8 {
		return words{binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[len(name)-8:])}
	}
	if cap(name) >= 8 {
		// What stands behind the name is there to be read, and masked off.
		return words{first: binary.LittleEndian.Uint64(name[:8]) & (1<<(8*len(name)) - 1)}
	}
	var w words
	for i, c := range name {
		w.first |= uint64(c) << (8 * i)
	}
	return w
}

func (w words) key() uint64 { return w.first ^ bits.RotateLeft64(w.last*0xD6E8FEB86659FD93, 32) }

// find returns the index of the member of a name, or -1.
func (n *names) find(name []byte, w words) int {
	if len(n.table) == 0 {
		if n.slow == nil {
			return -1
		}
		if i, ok := n.slow[string(name)]; ok {
			return i
		}
		return -1
	}
	mask := len(n.table) - 1
	key, at := w.key(), n.home(w, len(name))
	for range maxProbes + 1 {
		s := &n.table[at&mask]
		at++
		if s.member == 0 {
			return -1
		}
		if s.key == key && int(s.size) == len(name) {
			i := int(s.member - 1)
			if len(name) < 8 || n.members[i].name == string(name) {
				return i
			}
		}
	}
	return -1
}

const (
	hintBits   = 24
	hintMask   = 1<<hintBits - 1
	maxChanges = 16
)

// expected returns the index of the member that is expected to stand at pos, and
// does. It is -1 otherwise.
func (n *names) expected(src []byte, pos, before int) int {
	if before >= len(n.next) {
		return -1
	}
	i := int(n.next[before].Load()&hintMask) - 1
	if i < 0 {
		return -1
	}
	if m := &n.members[i]; !m.head.at(src, pos) || m.head.long && !hasText(src, pos, m.text) {
		return -1
	}
	return i
}

// hasText tells whether text stands at pos.
func hasText(src []byte, pos int, text string) bool {
	return len(src)-pos >= len(text) && string(src[pos:pos+len(text)]) == text
}

// A textHead compares a short text in two words, without a call.
type textHead struct {
	// first and last are its first and last eight bytes. Of a shorter text they
	// are the same, and mask has the bits that count.
	first, last, mask uint64
	skip              int  // where last begins
	long              bool // there is something between them
}

func headOf(text string) textHead {
	w := wordsOf([]byte(text))
	if len(text) < 8 {
		return textHead{w.first, w.first, 1<<(8*len(text)) - 1, 0, false}
	}
	return textHead{w.first, w.last, 1<<64 - 1, len(text) - 8, len(text) > 16}
}

// at tells whether the head stands at pos. Within eight bytes from the end it may
// not be found.
func (h *textHead) at(src []byte, pos int) bool {
	i := pos + h.skip
	if len(src)-i < 8 {
		return false
	}
	first := binary.LittleEndian.Uint64(src[pos:]) ^ h.first
	last := binary.LittleEndian.Uint64(src[i:]) ^ h.last
	return (first|last)&h.mask == 0
}

// learn notes that member i came after the member before, counted from one.
func (n *names) learn(before, i int) {
	hint := &n.next[before]
	old := hint.Load()
	if changes := old >> hintBits; changes < maxChanges && i < hintMask && n.members[i].text != "" {
		hint.Store((changes+1)<<hintBits | uint32(i+1)) //nolint:gosec // below hintMask
	}
}

// foldProtected notes the names of members that lead to edits.
func (n *names) foldProtected() {
	for _, m := range n.members {
		if !m.node.protects {
			continue
		}
		if n.folds == nil {
			n.folds = map[string]struct{}{}
		}
		folded := appendFolded(nil, []byte(m.name))
		n.folds[string(folded)] = struct{}{}
		bit, _ := foldBit(folded, wordsOf(folded))
		n.foldBits |= bit
		n.foldSize = max(n.foldSize, len(folded))
	}
}

// foldBit returns one bit of 64 that is the same for names of ASCII which differ
// only in case. It tells false for a name that may not be ASCII.
func foldBit(name []byte, w words) (bit uint64, ascii bool) {
	const lower = ('a' - 'A') * ones
	k := (w.first &^ lower * 0x9E3779B97F4A7C15) ^ uint64(len(name))
	k = (k ^ w.last&^lower) * 0xD6E8FEB86659FD93
	return 1 << (k >> 58), len(name) <= 16 && (w.first|w.last)&highs == 0
}

// appendFolded appends a name with all letters folded by Unicode's simple folding,
// so that names which differ only in case become the same.
func appendFolded(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		c := name[i]
		if c < utf8.RuneSelf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(name[i:])
		dst = utf8.AppendRune(dst, foldRune(r))
		i += size
	}
	return dst
}

// foldRune returns the smallest of the runes that differ from r only in case.
func foldRune(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// seeds key the hash of names, so that nobody can choose names that make it slow.
type seeds struct {
	long        maphash.Seed
	first, last uint64
}

func newSeeds() seeds {
	s := maphash.MakeSeed()
	return seeds{s, maphash.String(s, "first"), maphash.String(s, "last") | 1}
}

func (s *seeds) hash(name []byte, w words) uint64 {
	if len(name) > 16 {
		return maphash.Bytes(s.long, name)
	}
	hi, lo := bits.Mul64(w.first^s.first+uint64(len(name)), w.last^s.last)
	return hi ^ lo
}

// seen is the name of a member that was met: a part of its hash, and where it
// stands in the document.
type seen struct {
	hash uint32
	at   uint32
}

// scratch is the memory of a run beyond the stack.
type scratch struct {
	text   []byte // decoded text
	folded []byte
	names  []seen   // of the objects around, the innermost last
	slots  []uint32 // hash tables of those with many names
}

// keptScratch is what a scratch may hold on to when it goes back to the pool.
const keptScratch = 1 << 16

func (s *scratch) large() bool {
	return cap(s.text)+cap(s.folded)+8*cap(s.names)+4*cap(s.slots) > keptScratch
}

// nameSet holds names of members of one object: those that have no bit. Nothing is
// added while an object inside is read, so that sets lie in scratch as on a stack.
type nameSet struct {
	used        bool
	bits        uint64 // one for each hash, of 64
	names       int    // where they begin
	slots, size int    // the hash table, if there is one
}

// fewNames are compared one by one.
const fewNames = 16

// add notes the name whose opening quote is at pos. It returns false for one that
// is there already.
func (m *machine) add(set *nameSet, name []byte, w words, pos int) bool {
	s := m.scratch()
	if !set.used {
		*set = nameSet{used: true, names: len(s.names), slots: len(s.slots)}
	}
	hash := m.program.seeds.hash(name, w)
	n := seen{uint32(hash >> 32), uint32(pos)} //nolint:gosec // documents are below 2^32
	if set.size == 0 {
		bit := uint64(1) << (hash & 63)
		if set.bits&bit != 0 {
			for _, other := range s.names[set.names:] {
				if other.hash == n.hash && m.sameName(name, int(other.at)) {
					return false
				}
			}
		}
		set.bits |= bit
		s.names = append(s.names, n)
		if len(s.names)-set.names >= fewNames {
			s.rehash(set, 4*fewNames)
		}
		return true
	}
	own := s.names[set.names:]
	table := s.slots[set.slots : set.slots+set.size]
	at := int(n.hash) & (set.size - 1)
	for table[at] != 0 {
		if other := own[table[at]-1]; other.hash == n.hash && m.sameName(name, int(other.at)) {
			return false
		}
		at = (at + 1) & (set.size - 1)
	}
	s.names = append(s.names, n)
	table[at] = uint32(len(own) + 1) //nolint:gosec // fewer than bytes in the document
	if 2*len(own) >= set.size {
		s.rehash(set, 2*set.size)
	}
	return true
}

// rehash makes a hash table of size slots.
func (s *scratch) rehash(set *nameSet, size int) {
	s.slots = s.slots[:set.slots]
	if cap(s.slots) < set.slots+size {
		grown := make([]uint32, set.slots, 2*(set.slots+size))
		copy(grown, s.slots)
		s.slots = grown
	}
	s.slots = s.slots[:set.slots+size]
	table := s.slots[set.slots:]
	clear(table)
	for i, n := range s.names[set.names:] {
		at := int(n.hash) & (size - 1)
		for table[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		table[at] = uint32(i + 1)
	}
	set.size = size
}

// drop forgets the names of an object that has ended.
func (m *machine) drop(set *nameSet) {
	if set.used {
		m.held.names = m.held.names[:set.names]
		m.held.slots = m.held.slots[:set.slots]
	}
}

// sameName tells whether the string at pos means name.
func (m *machine) sameName(name []byte, pos int) bool {
	// It was checked before.
	end, escaped, err := m.text(pos)
	if err != nil {
		return true
	}
	raw := m.src[pos+1 : end-1]
	if escaped {
		// Only once per document, or by chance.
		raw = appendDecoded(nil, raw)
	}
	return bytes.Equal(raw, name)
}

// variant tells whether a name that is no member's differs only in case from one
// that leads to an edit.
func (m *machine) variant(n *node, name []byte, w words) bool {
	if bit, ascii := foldBit(name, w); ascii && n.foldBits&bit == 0 {
		return false
	}
	// No letter takes more than four bytes, or less than one. Longer names are not
	// worth the work.
	if len(name) > utf8.UTFMax*n.foldSize {
		return false
	}
	s := m.scratch()
	s.folded = appendFolded(s.folded[:0], name)
	_, found := n.folds[string(s.folded)]
	return found
}
