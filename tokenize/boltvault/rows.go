package boltvault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/tokenize"
	bolt "go.etcd.io/bbolt"
)

// The buckets of the file:
//
//	fieldveil       "format" -> version, 4 bytes big-endian
//	scopes
//	    SCOPE
//	        index   Index -> Token
//	        token   Token -> Index (32 bytes), Sealed
//
// The sequence of a scope's bucket is its number of rows.
//
//nolint:gochecknoglobals // names that nothing changes
var (
	metaBucket   = []byte("fieldveil")
	formatKey    = []byte("format")
	scopesBucket = []byte("scopes")
	indexBucket  = []byte("index")
	tokenBucket  = []byte("token")
)

const formatVersion = 1

// prepare gives a new file its buckets, and refuses one of another format.
func prepare(tx *bolt.Tx) error {
	if meta := tx.Bucket(metaBucket); meta != nil {
		version := meta.Get(formatKey)
		if len(version) != 4 || binary.BigEndian.Uint32(version) != formatVersion || tx.Bucket(scopesBucket) == nil {
			return fmt.Errorf("%w: another format than version %d", ErrFile, formatVersion)
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%w: a database of something else", ErrFile)
	}
	meta, err := tx.CreateBucket(metaBucket)
	if err != nil {
		return err
	}
	if err := meta.Put(formatKey, binary.BigEndian.AppendUint32(nil, formatVersion)); err != nil {
		return err
	}
	_, err = tx.CreateBucket(scopesBucket)
	return err
}

// findIndex returns a copy of the row of key, or the zero Row.
func findIndex(tx *bolt.Tx, key tokenize.Key) (tokenize.Row, error) {
	scope := tx.Bucket(scopesBucket).Bucket([]byte(key.Scope))
	if scope == nil {
		return tokenize.Row{}, nil
	}
	token := scope.Bucket(indexBucket).Get(key.Index[:])
	if token == nil {
		return tokenize.Row{}, nil
	}
	row, err := findToken(tx, tokenize.Ref{Scope: key.Scope, Token: token})
	if err != nil {
		return tokenize.Row{}, err
	}
	if row.Token == nil || row.Index != key.Index {
		return tokenize.Row{}, fmt.Errorf("%w: an index leads to no row", ErrFile)
	}
	return row, nil
}

// findToken returns a copy of the row of ref, or the zero Row.
func findToken(tx *bolt.Tx, ref tokenize.Ref) (tokenize.Row, error) {
	scope := tx.Bucket(scopesBucket).Bucket([]byte(ref.Scope))
	if scope == nil {
		return tokenize.Row{}, nil
	}
	stored := scope.Bucket(tokenBucket).Get(ref.Token)
	if stored == nil {
		return tokenize.Row{}, nil
	}
	if len(stored) <= tokenize.IndexSize {
		return tokenize.Row{}, fmt.Errorf("%w: a row is too short", ErrFile)
	}
	return tokenize.Row{
		Scope: ref.Scope, Index: tokenize.Index(stored[:tokenize.IndexSize]),
		Token: bytes.Clone(ref.Token), Sealed: bytes.Clone(stored[tokenize.IndexSize:]),
	}, nil
}

func countRows(tx *bolt.Tx, scope string) uint64 {
	if b := tx.Bucket(scopesBucket).Bucket([]byte(scope)); b != nil {
		return b.Sequence()
	}
	return 0
}

// scopeOf returns the bucket of a scope and makes it when there is none.
func scopeOf(tx *bolt.Tx, name string) (*bolt.Bucket, error) {
	scopes := tx.Bucket(scopesBucket)
	if b := scopes.Bucket([]byte(name)); b != nil {
		return b, nil
	}
	b, err := scopes.CreateBucket([]byte(name))
	if err != nil {
		return nil, err
	}
	_, errIndex := b.CreateBucket(indexBucket)
	_, errToken := b.CreateBucket(tokenBucket)
	return b, errors.Join(errIndex, errToken)
}

// insertRow writes a row unless its index or its token has one. The slices of
// row must stay as they are until the transaction ends.
func insertRow(tx *bolt.Tx, row tokenize.Row) (tokenize.Outcome, error) {
	found, err := findIndex(tx, tokenize.Key{Scope: row.Scope, Index: row.Index})
	if err != nil {
		return tokenize.Outcome{}, err
	}
	if found.Token != nil {
		return tokenize.Outcome{Status: tokenize.Exists, Row: found}, nil
	}
	scope, err := scopeOf(tx, row.Scope)
	if err != nil {
		return tokenize.Outcome{}, err
	}
	tokens := scope.Bucket(tokenBucket)
	if tokens.Get(row.Token) != nil {
		return tokenize.Outcome{Status: tokenize.Taken}, nil
	}
	stored := make([]byte, 0, len(row.Index)+len(row.Sealed))
	stored = append(append(stored, row.Index[:]...), row.Sealed...)
	err = errors.Join(
		tokens.Put(row.Token, stored),
		scope.Bucket(indexBucket).Put(row.Index[:], row.Token),
		scope.SetSequence(scope.Sequence()+1),
	)
	return tokenize.Outcome{Status: tokenize.Inserted, Row: row}, err
}

// removeRow tells whether there was a row to remove.
func removeRow(tx *bolt.Tx, ref tokenize.Ref) (bool, error) {
	row, err := findToken(tx, ref)
	if err != nil || row.Token == nil {
		return false, err
	}
	scope := tx.Bucket(scopesBucket).Bucket([]byte(ref.Scope))
	return true, errors.Join(
		scope.Bucket(tokenBucket).Delete(ref.Token),
		scope.Bucket(indexBucket).Delete(row.Index[:]),
		scope.SetSequence(scope.Sequence()-1),
	)
}

func cloneRows(rows []tokenize.Row) []tokenize.Row {
	out := make([]tokenize.Row, len(rows))
	for i, r := range rows {
		r.Token, r.Sealed = bytes.Clone(r.Token), bytes.Clone(r.Sealed)
		out[i] = r
	}
	return out
}

func cloneRefs(refs []tokenize.Ref) []tokenize.Ref {
	out := make([]tokenize.Ref, len(refs))
	for i, r := range refs {
		r.Token = bytes.Clone(r.Token)
		out[i] = r
	}
	return out
}
