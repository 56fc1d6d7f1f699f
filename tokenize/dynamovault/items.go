package dynamovault

import (
	"bytes"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Names of attributes. They are short because each item is billed with them.
const (
	keyAttr    = "k"
	indexAttr  = "i"
	tokenAttr  = "t"
	sealedAttr = "s"
	countAttr  = "n"
)

// What the key of an item begins with.
const (
	indexKind = 'i'
	tokenKind = 't'
	countKind = 'n'
)

// writeUnit is the size of an item up to which a write costs one unit.
const writeUnit = 1024

var errItem = errors.New("an item is none of this package")

type attributes = map[string]types.AttributeValue

// itemKey is the key of an item: its kind, the length of the scope in a byte, the
// scope, and the index, the token or the number of a count. No two rows have a
// key in common.
func itemKey(kind byte, scope string, rest []byte) []byte {
	key := make([]byte, 0, 2+len(scope)+len(rest))
	key = append(key, kind, byte(len(scope))) //nolint:gosec // at most 255
	return append(append(key, scope...), rest...)
}

func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func keyOnly(key []byte) attributes { return attributes{keyAttr: binary(key)} }

// indexItem is the item in which a row is found by its index.
func indexItem(r *tokenize.Row) attributes {
	return attributes{
		keyAttr: binary(itemKey(indexKind, r.Scope, r.Index[:])), tokenAttr: binary(r.Token), sealedAttr: binary(r.Sealed),
	}
}

// tokenItem is the item in which a row is found by its token. It repeats the
// sealed value where that costs no write unit more.
func tokenItem(r *tokenize.Row) attributes {
	key := itemKey(tokenKind, r.Scope, r.Token)
	item := attributes{keyAttr: binary(key), indexAttr: binary(r.Index[:])}
	size := len(keyAttr) + len(key) + len(indexAttr) + len(r.Index) + len(sealedAttr) + len(r.Sealed)
	if size <= writeUnit {
		item[sealedAttr] = binary(r.Sealed)
	}
	return item
}

// parseIndexItem reads the row of an index. Its bytes are its own.
func parseIndexItem(key *tokenize.Key, item attributes) (tokenize.Row, error) {
	token, sealed := bytesOf(item, tokenAttr), bytesOf(item, sealedAttr)
	if len(token) == 0 || len(token) > tokenize.MaxToken || len(sealed) == 0 || len(sealed) > tokenize.MaxSealed {
		return tokenize.Row{}, errItem
	}
	return tokenize.Row{Scope: key.Scope, Index: key.Index, Token: bytes.Clone(token), Sealed: bytes.Clone(sealed)}, nil
}

// parseTokenItem reads the row of a token, without its sealed value where that
// is elsewhere.
func parseTokenItem(ref *tokenize.Ref, item attributes) (tokenize.Row, error) {
	index, sealed := bytesOf(item, indexAttr), bytesOf(item, sealedAttr)
	if len(index) != tokenize.IndexSize || len(sealed) > tokenize.MaxSealed {
		return tokenize.Row{}, errItem
	}
	return tokenize.Row{
		Scope: ref.Scope, Index: tokenize.Index(index), Token: bytes.Clone(ref.Token), Sealed: bytes.Clone(sealed),
	}, nil
}

func bytesOf(item attributes, name string) []byte {
	if b, ok := item[name].(*types.AttributeValueMemberB); ok {
		return b.Value
	}
	return nil
}
