package tokenize

import (
	"crypto/sha256"
	"errors"
	"slices"
)

// Sum returns the HMAC of value itself, whatever the form and prefix of h. It is
// safe for concurrent use and allocates nothing.
func (h *Hash) Sum(value []byte) Index {
	s, _ := h.pool.Get().(*hasher)
	h.raw(s, value)
	sum := Index(s.sum)
	s.sum = [sha256.Size]byte{}
	h.pool.Put(s)
	return sum
}

// ErrUnkeyed means that AppendUnkeyed was given no form of a hash.
var ErrUnkeyed = errors.New("tokenize: unknown form of a hash without a key")

// AppendUnkeyed appends the prefix and the plain SHA-256 of value in a form. It
// hides nothing that can be guessed: whoever can list the values that there are
// undoes it, all Social Security numbers within two minutes on one core. It is
// for long random values only, and [Hash] for everything else.
func AppendUnkeyed(dst, value []byte, form HashForm, prefix string) ([]byte, error) {
	size := form.size()
	if size == 0 {
		return dst, ErrUnkeyed
	}
	sum := sha256.Sum256(value)
	return form.append(append(slices.Grow(dst, len(prefix)+size), prefix...), &sum), nil
}
