package datakey

import (
	"container/list"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// negatives remembers what a KMS refused for good, so that readers do not repeat
// the question at their own rate. It is bounded, the oldest answer first to go,
// and safe for concurrent use.
//
// That no key can be made under a KEK that is disabled or missing holds for the
// KEK. A refusal to unwrap may be the fault of the block, which anybody can write
// into a record, or of the version of the KEK that it names: it is remembered for
// that block alone, or one bad record would stop others.
type negatives struct {
	max int

	mu      sync.Mutex
	entries map[question]*list.Element // of *negative
	order   list.List                  // oldest first
}

// A question is a KEK, or one block of one scope.
type question struct {
	kek   string
	scope *Scope
	block [sha256.Size]byte
}

type negative struct {
	question question
	err      error
	until    time.Time
}

func newNegatives(limit int) *negatives {
	return &negatives{max: limit, entries: make(map[question]*list.Element)}
}

func negativeOf(e *list.Element) *negative {
	n, _ := e.Value.(*negative)
	return n
}

func aboutKEK(kek string) question { return question{kek: kek} }

func aboutBlock(s *Scope, kb envelope.KeyBlock) question {
	h := sha256.New()
	h.Write(kb.Commitment[:])
	h.Write(kb.Wrapped)
	return question{kek: kb.KEK, scope: s, block: [sha256.Size]byte(h.Sum(nil))}
}

// get returns the answer that stands. When its time is over the first who asks
// gets none, and so becomes the probe; the others go on with the old answer for
// as long as the probe may take.
func (n *negatives) get(q question, now time.Time, probe time.Duration) (err error, until time.Time) { //nolint:revive,staticcheck // the error is the content
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[q]
	if !ok {
		return nil, time.Time{}
	}
	entry := negativeOf(e)
	if now.Before(entry.until) {
		return entry.err, entry.until
	}
	entry.until = now.Add(probe)
	return nil, time.Time{}
}

// put remembers an answer, or forgets one when err is nil.
func (n *negatives) put(q question, err error, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[q]
	switch {
	case err == nil:
		if ok {
			n.removeLocked(e)
		}
		return
	case ok:
		entry := negativeOf(e)
		entry.err, entry.until = err, now.Add(refusalTime)
		n.order.MoveToBack(e)
	default:
		n.entries[q] = n.order.PushBack(&negative{q, err, now.Add(refusalTime)})
	}
	for n.order.Len() > n.max {
		n.removeLocked(n.order.Front())
	}
}

// forget drops all answers about a KEK and the blocks under it.
func (n *negatives) forget(kek string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for e := n.order.Front(); e != nil; {
		next := e.Next()
		if negativeOf(e).question.kek == kek {
			n.removeLocked(e)
		}
		e = next
	}
}

func (n *negatives) removeLocked(e *list.Element) {
	delete(n.entries, negativeOf(e).question)
	n.order.Remove(e)
}

func (n *negatives) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.order.Len()
}

// ofKEK tells whether a refusal is about the KEK, whatever was to be unwrapped.
func ofKEK(err error) bool {
	return errors.Is(err, kms.ErrDisabled) || errors.Is(err, kms.ErrNotFound)
}

// refuses tells whether a KMS withholds a KEK: the answers that end the use of
// keys under it, once confirmed.
func refuses(err error) bool { return ofKEK(err) || errors.Is(err, kms.ErrDenied) }

// A negativeError is an answer that was given before.
type negativeError struct {
	err   error
	until time.Time
}

func (e *negativeError) Error() string { return e.err.Error() + " (asked before)" }

func (e *negativeError) Unwrap() error { return e.err }

// kek returns the refusal of a KEK that stands.
func (n *negatives) kek(kek string, probe time.Duration) error {
	if err, until := n.get(aboutKEK(kek), time.Now(), probe); err != nil {
		return &negativeError{err, until}
	}
	return nil
}

// learn remembers a refusal that is about the KEK, or that there is none any
// more. It keeps the class alone: the text may be about the tenant who asked.
func (n *negatives) learn(kek string, err error) {
	if err == nil {
		n.put(aboutKEK(kek), nil, time.Time{})
		return
	}
	for _, class := range []error{kms.ErrDisabled, kms.ErrNotFound} {
		if errors.Is(err, class) {
			n.put(aboutKEK(kek), class, time.Now())
			return
		}
	}
}
