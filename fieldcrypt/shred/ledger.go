package shred

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A LedgerID is drawn when a ledger is made, and tells it from every other.
type LedgerID [16]byte

// String returns the id in hex.
func (l LedgerID) String() string { return hex.EncodeToString(l[:]) }

// An Entry says that a person was forgotten. Entries form a chain: each holds
// the hash of the one before it.
type Entry struct {
	Seq    uint64    // counts from 1, without gaps
	Time   time.Time // when it was asked for, in UTC and whole seconds
	Tenant string
	Person PersonID
	// By says who asked, Reason why: at most MaxNote bytes of printable UTF-8
	// each. Neither may name the person: the ledger is kept for ever.
	By     string
	Reason string
	Prev   [32]byte // hash of the entry before; for the first, see [FirstPrev]
	Hash   [32]byte // of this entry, as [Entry.Sum] makes it
}

// MaxNote is the longest By and Reason of an Entry, in bytes.
const MaxNote = 256

// FirstPrev returns what stands for the hash before the first entry.
func FirstPrev(id LedgerID) [32]byte {
	return sha256.Sum256(append([]byte("fieldveil/1 ledger"), id[:]...))
}

// Sum returns the hash of e: the SHA-256 of "fieldveil/1 entry", Seq and the
// Unix time as eight big-endian bytes each, Person, Prev, and Tenant, By and
// Reason, each after its length in two bytes.
func (e *Entry) Sum() [32]byte {
	b := append([]byte(nil), "fieldveil/1 entry"...)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.Unix())) //nolint:gosec // two's complement is as good
	b = append(b, e.Person[:]...)
	b = append(b, e.Prev[:]...)
	for _, s := range [3]string{e.Tenant, e.By, e.Reason} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s))) //nolint:gosec // bounded by Check
		b = append(b, s...)
	}
	return sha256.Sum256(b)
}

// Check tells what is wrong with the contents of an entry, chain aside.
func (e *Entry) Check() error {
	if len(e.Tenant) > MaxTenant {
		return fmt.Errorf("shred: name of the tenant is longer than %d bytes: %w", MaxTenant, ErrInvalid)
	}
	for name, s := range map[string]string{"by": e.By, "reason": e.Reason} {
		switch {
		case len(s) > MaxNote:
			return fmt.Errorf("shred: %s is longer than %d bytes: %w", name, MaxNote, ErrInvalid)
		case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return fmt.Errorf("shred: %s holds control characters: %w", name, ErrInvalid)
		case s == "":
			return fmt.Errorf("shred: %s is missing: %w", name, ErrInvalid)
		}
	}
	return nil
}

// A Ledger is the list of all who were forgotten, in order. Nothing is ever
// changed in it or taken out. It holds no key, so it is backed up and copied
// freely, and apart from the [Store]: the two must not be lost or restored
// together.
//
// Implementations are safe for concurrent use by many processes where they can
// be reached by many.
type Ledger interface {
	// ID returns the id that the ledger got when it was made.
	ID(ctx context.Context) (LedgerID, error)
	// Append adds an entry and returns it once it is durable. It sets Seq, Prev
	// and Hash, cuts Time to whole seconds in UTC, and refuses what
	// [Entry.Check] refuses. Of callers at a time, one is first.
	Append(ctx context.Context, e Entry) (Entry, error)
	// Read returns the entries after a Seq, the oldest first and at most limit
	// of them; none when there are none. What it returns is whole: it fails
	// with ErrLedger when the chain is broken within it.
	Read(ctx context.Context, after uint64, limit int) ([]Entry, error)
}
