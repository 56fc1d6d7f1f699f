package boltstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A table is a bucket of the file.
type table string

// The file has a bucket for each table, whose rows have these keys:
//
//	meta     "format", "mark"
//	blocks   id of the data key
//	roots    't' | tenant
//	persons  len(tenant) | tenant | person
//	keys     len(tenant) | tenant | key id
const (
	metaTable    table = "meta"
	blocksTable  table = "blocks"
	rootsTable   table = "roots"
	personsTable table = "persons"
	keysTable    table = "keys"
)

// tables are all but meta.
func tables() []table { return []table{blocksTable, rootsTable, personsTable, keysTable} }

const (
	formatKey     = "format"
	markKey       = "mark"
	formatVersion = 1

	rowVersion = 1
	sumSize    = 16
	rowOver    = 1 + sumSize // what a row has beside its body
)

// A rowError is [ErrRow], and says where.
type rowError struct {
	table table
	why   string
}

func (e *rowError) Error() string { return ErrRow.Error() + " of " + string(e.table) + ": " + e.why }

func (e *rowError) Unwrap() error { return ErrRow }

// sumRow binds a row to its place: the SHA-256, cut to 16 bytes, of the names of
// this format and the table, and of key and row, each after its length.
func sumRow(t table, key, row []byte) [sumSize]byte {
	b := make([]byte, 0, 64+len(key)+len(row))
	for _, part := range [][]byte{[]byte("fieldveil/1 key store row"), []byte(t), key, row} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // bounded by what a store takes
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return [sumSize]byte(sum[:sumSize])
}

// encodeRow returns
//
//	version | body | checksum
func encodeRow(t table, key []byte, body ...[]byte) []byte {
	row := append([]byte{rowVersion}, bytes.Join(body, nil)...)
	sum := sumRow(t, key, row)
	return append(row, sum[:]...)
}

// decodeRow returns the body of a row, which is a part of it, or [ErrRow].
func decodeRow(t table, key, row []byte) ([]byte, error) {
	if len(row) < rowOver {
		return nil, &rowError{t, "too short"}
	}
	content := row[:len(row)-sumSize]
	if sum := sumRow(t, key, content); !bytes.Equal(sum[:], row[len(content):]) {
		return nil, &rowError{t, "checksum"}
	}
	if content[0] != rowVersion {
		return nil, &rowError{t, "version of a later release"}
	}
	return content[1:], nil
}

func rootKey(tenant string) []byte { return append([]byte{'t'}, tenant...) }

func personKey(tenant string, p shred.PersonID) []byte { return tenantKey(tenant, p[:]) }

func keyKey(tenant string, k shred.KeyID) []byte { return tenantKey(tenant, k[:]) }

func tenantKey(tenant string, id []byte) []byte {
	b := append([]byte{byte(len(tenant))}, tenant...) //nolint:gosec // at most shred.MaxTenant
	return append(b, id...)
}

// splitKey takes a key of persons or keys apart.
func splitKey(key []byte, idSize int) (tenant string, id []byte, ok bool) {
	if len(key) < 1 || len(key) != 1+int(key[0])+idSize {
		return "", nil, false
	}
	n := 1 + int(key[0])
	return string(key[1:n]), key[n:], true
}

// A person is the body of a row of persons: a key, or a tombstone which
// remembers the key id where there was one.
//
//	1 | key id | sealed key
//	2 | 0
//	2 | 1 | key id
type person struct {
	forgotten bool
	hasKey    bool
	key       shred.KeyID
	sealed    []byte
}

const (
	livePerson      = 1
	forgottenPerson = 2
)

func (p *person) encode() []byte {
	switch {
	case !p.forgotten:
		return append(append([]byte{livePerson}, p.key[:]...), p.sealed...)
	case p.hasKey:
		return append([]byte{forgottenPerson, 1}, p.key[:]...)
	}
	return []byte{forgottenPerson, 0}
}

// decodePerson keeps nothing of body.
func decodePerson(body []byte) (person, error) {
	const idSize = len(shred.KeyID{})
	switch {
	case len(body) > 1+idSize && len(body) <= 1+idSize+shred.MaxSealed && body[0] == livePerson:
		return person{hasKey: true, key: shred.KeyID(body[1 : 1+idSize]), sealed: bytes.Clone(body[1+idSize:])}, nil
	case bytes.Equal(body, []byte{forgottenPerson, 0}):
		return person{forgotten: true}, nil
	case len(body) == 2+idSize && body[0] == forgottenPerson && body[1] == 1:
		return person{forgotten: true, hasKey: true, key: shred.KeyID(body[2:])}, nil
	}
	return person{}, &rowError{personsTable, "neither a key nor a tombstone"}
}

func encodeMark(m shred.Mark) []byte {
	b := append([]byte(nil), m.Ledger[:]...)
	b = binary.BigEndian.AppendUint64(b, m.Seq)
	return append(b, m.Hash[:]...)
}

func decodeMark(body []byte) (shred.Mark, error) {
	const ledgerSize, seqSize = len(shred.LedgerID{}), 8
	if len(body) != ledgerSize+seqSize+sha256.Size {
		return shred.Mark{}, &rowError{metaTable, "no mark"}
	}
	return shred.Mark{
		Ledger: shred.LedgerID(body[:ledgerSize]),
		Seq:    binary.BigEndian.Uint64(body[ledgerSize:]),
		Hash:   [sha256.Size]byte(body[ledgerSize+seqSize:]),
	}, nil
}
