package tokenize

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/internal/secret"
)

// A HashForm says how a Hash is written.
type HashForm uint8

// Forms. All but HashUUID keep 128 bits of the HMAC or more, so that no two
// values meet by chance: among 2^32 values, two are equal with a probability of
// 2^-65 at 128 bits, and of 2^-59 at the 122 of a UUID.
const (
	// HashHex is all 256 bits in 64 characters of lower-case hex.
	HashHex HashForm = iota + 1
	// HashHex128 is the first 128 bits in 32 characters of lower-case hex.
	HashHex128
	// HashBase64 is all 256 bits in 43 characters of base64url without padding
	// (RFC 4648 section 5).
	HashBase64
	// HashUUID is a UUID of version 8 (RFC 9562 section 5.8) in 36 characters of
	// lower case. It is the first 128 bits, of which version and variant take the
	// place of six: 122 are left.
	HashUUID
	// HashDigits is 39 decimal digits with leading zeros, for columns that take
	// digits only: all 256 bits as a number, modulo 10^39. That is more than 129
	// bits, and no result is likelier than another by more than one in 2^126.
	HashDigits
)

// hashDigits is the length of HashDigits: the fewest digits with 128 bits.
const hashDigits = 39

// HashKeySize is the length of the shortest key of a Hash, in bytes.
const HashKeySize = 32

// MaxHashPrefix is the length of the longest prefix of a Hash, in bytes.
const MaxHashPrefix = 64

var (
	errHashKey    = fmt.Errorf("tokenize: hash key is shorter than %d bytes", HashKeySize)
	errHashForm   = errors.New("tokenize: unknown hash form")
	errHashPrefix = fmt.Errorf("tokenize: hash prefix is not UTF-8 of up to %d bytes", MaxHashPrefix)
)

// String returns the name of the form.
func (f HashForm) String() string {
	switch f {
	case HashHex:
		return "hex"
	case HashHex128:
		return "hex128"
	case HashBase64:
		return "base64"
	case HashUUID:
		return "uuid"
	case HashDigits:
		return "digits"
	}
	return "invalid"
}

// size is the length of what a form writes, or 0.
func (f HashForm) size() int {
	switch f {
	case HashHex:
		return 2 * sha256.Size
	case HashHex128:
		return sha256.Size
	case HashBase64:
		return base64.RawURLEncoding.EncodedLen(sha256.Size)
	case HashUUID:
		return 36
	case HashDigits:
		return hashDigits
	}
	return 0
}

// A Hash replaces values by their HMAC-SHA-256 (RFC 2104, FIPS 198-1): equal
// values have equal hashes, and nobody without the key can compute one, nor try
// out the values that there are. Nothing brings a value back. It is immutable
// and safe for concurrent use.
//
// Whoever has the key can try out values, so a hash is a pseudonym and not
// anonymous. What is hashed is the bytes of the value as they are and nothing
// else: upper case, spaces and Unicode forms count, and fields that must not be
// compared need keys of their own.
type Hash struct {
	form   HashForm
	prefix string
	pool   sync.Pool // of *hasher
}

// hasher is what one call works on. Arguments of an interface's method escape,
// so a local array would be an allocation.
type hasher struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

// A HashOption changes what [NewHash] makes.
type HashOption func(*Hash)

// WithHashPrefix writes text before each hash, so that tokens can be told from
// values and one kind from another, such as "tok_" or "urn:uuid:". The default
// is none. It is no part of what is hashed.
func WithHashPrefix(text string) HashOption { return func(h *Hash) { h.prefix = text } }

// NewHash returns the Hash of a key of HashKeySize bytes or more, which should
// be random. It keeps what HMAC makes of the key or, where an HMAC cannot be
// copied, a copy of the key; the caller's own stays his to wipe. It fails when the
// key is too short, the form unknown or the prefix too long.
func NewHash(key []byte, form HashForm, opts ...HashOption) (*Hash, error) {
	h := &Hash{form: form}
	for _, opt := range opts {
		opt(h)
	}
	switch {
	case len(key) < HashKeySize:
		return nil, errHashKey
	case form.size() == 0:
		return nil, errHashForm
	case !utf8.ValidString(h.prefix) || len(h.prefix) > MaxHashPrefix:
		return nil, errHashPrefix
	}
	if err := h.setKey(key); err != nil {
		return nil, err
	}
	return h, nil
}

// setKey takes keys of every length that HMAC has.
func (h *Hash) setKey(key []byte) error {
	first := hmac.New(sha256.New, key)
	// Reset replaces the padded key by the two states of SHA-256 behind it, which
	// makes every use faster, and clones of it share them.
	first.Reset()
	switch _, err := cloned(first); {
	case err == nil:
		h.pool.New = func() any {
			mac, err := cloned(first)
			if err != nil {
				panic("tokenize: HMAC cannot be cloned any more: " + err.Error()) //nolint:forbidigo // it was cloned in setKey
			}
			return &hasher{mac: mac}
		}
	case errors.Is(err, errors.ErrUnsupported):
		h.rebuild(secret.Take(bytes.Clone(key)))
	default:
		return fmt.Errorf("tokenize: %w", err)
	}
	return nil
}

// rebuild makes every hasher from the key, which it keeps. HMAC of version 1.0.0
// of the FIPS 140-3 module, the one with a certificate, cannot be cloned. Whoever
// could read the key here could as well read the states that stand for it.
func (h *Hash) rebuild(key secret.Bytes) {
	runtime.AddCleanup(h, secret.Wipe, key.Expose())
	h.pool.New = func() any {
		mac := hmac.New(sha256.New, key.Expose())
		mac.Reset()
		return &hasher{mac: mac}
	}
}

// cloned returns a copy of mac, or an error that is [errors.ErrUnsupported].
func cloned(mac hash.Hash) (hash.Hash, error) {
	cloner, ok := mac.(hash.Cloner)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return cloner.Clone()
}

// Format writes the name of the type and nothing of the key, whatever the verb.
func (h *Hash) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "tokenize.Hash") }

// Len returns the length in bytes of what Append appends, the same for all
// values.
func (h *Hash) Len() int { return len(h.prefix) + h.form.size() }

// Append appends the prefix and the hash of value to dst and returns the longer
// slice. Every value has a hash, the empty one too; the error is always nil, and
// makes Append fit where other rules do. value is neither changed nor kept, and
// may overlap the room behind the length of dst. Nothing is allocated when dst
// has the room.
func (h *Hash) Append(dst, value []byte) ([]byte, error) {
	s, _ := h.pool.Get().(*hasher)
	h.raw(s, value)
	dst = append(slices.Grow(dst, h.Len()), h.prefix...)
	dst = h.form.append(dst, &s.sum)
	s.sum = [sha256.Size]byte{}
	h.pool.Put(s)
	return dst, nil
}

// raw makes s.sum the HMAC of value.
func (h *Hash) raw(s *hasher, value []byte) {
	s.mac.Reset()
	s.mac.Write(value)
	s.mac.Sum(s.sum[:0])
}

// append appends sum as the form has it.
func (f HashForm) append(dst []byte, sum *[sha256.Size]byte) []byte {
	switch f {
	case HashHex:
		return hex.AppendEncode(dst, sum[:])
	case HashHex128:
		return hex.AppendEncode(dst, sum[:16])
	case HashBase64:
		return base64.RawURLEncoding.AppendEncode(dst, sum[:])
	case HashUUID:
		return appendHashUUID(dst, sum[:16])
	case HashDigits:
		return appendDigits(dst, sum)
	}
	return dst // no form that NewHash took
}

// appendHashUUID sets version and variant in b, and appends its 16 bytes in groups
// of 4, 2, 2, 2 and 6.
func appendHashUUID(dst, b []byte) []byte {
	b[6] = 0x80 | b[6]&0x0f
	b[8] = 0x80 | b[8]&0x3f
	dst = hex.AppendEncode(dst, b[:4])
	for at := 4; at < 10; at += 2 {
		dst = hex.AppendEncode(append(dst, '-'), b[at:at+2])
	}
	return hex.AppendEncode(append(dst, '-'), b[10:])
}

// appendDigits appends the last 39 decimal digits of the number sum.
func appendDigits(dst []byte, sum *[sha256.Size]byte) []byte {
	var words [sha256.Size / 8]uint64
	for i := range words {
		words[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	at := len(dst)
	dst = append(dst, "000000000000000000000000000000000000000"...)
	// Thirteen digits at a time, which fit a word.
	const chunk, power = 13, 10_000_000_000_000
	for end := len(dst); end > at; end -= chunk {
		rest := uint64(0)
		for i := range words {
			words[i], rest = bits.Div64(rest, words[i], power)
		}
		for i := end - 1; i >= end-chunk; i-- {
			dst[i] = byte('0' + rest%10)
			rest /= 10
		}
	}
	return dst
}
