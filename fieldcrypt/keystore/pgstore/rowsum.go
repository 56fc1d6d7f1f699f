package pgstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// sumSize is the length of a row's checksum. It finds damage, for which 16 bytes
// are plenty.
const sumSize = 16

// Kinds of rows, so that a row that was moved to another table is refused.
const (
	kindBlock  = "block"
	kindRoot   = "root"
	kindPerson = "person"
	kindMark   = "mark"
)

// rowSum returns the checksum of a row: the beginning of the SHA-256 of
// "fieldveil/1 row ", the kind, a zero byte, and the fields, each after its length
// in four bytes. A null has the length 2^32-1.
func rowSum(kind string, fields ...[]byte) []byte {
	h := sha256.New()
	h.Write(sumPrefix(kind))
	for _, f := range fields {
		length := uint32(len(f)) //nolint:gosec // bounded far below by the checks of arguments and by the tables
		if f == nil {
			length = 1<<32 - 1
		}
		h.Write(binary.BigEndian.AppendUint32(nil, length))
		h.Write(f)
	}
	return h.Sum(nil)[:sumSize]
}

// sumSQL returns rowSum as an expression of SQL. The columns are bytea.
func sumSQL(kind string, columns ...string) string {
	var b strings.Builder
	b.WriteString("substring(sha256(decode('" + hex.EncodeToString(sumPrefix(kind)) + "', 'hex')")
	for _, c := range columns {
		b.WriteString(" || coalesce(int4send(octet_length(" + c + ")) || " + c + ", decode('ffffffff', 'hex'))")
	}
	b.WriteString(") from 1 for 16)")
	return b.String()
}

func sumPrefix(kind string) []byte { return []byte("fieldveil/1 row " + kind + "\x00") }

// intact tells whether sum is that of the fields.
func intact(sum []byte, kind string, fields ...[]byte) bool {
	return bytes.Equal(sum, rowSum(kind, fields...))
}

// be64 returns n as the database's int8send does.
func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
