package pgstore

import (
	"encoding/hex"
	"testing"
)

// What is in databases stays readable: these sums never change.
func TestChecksumsOfRowsStayWhatTheyAre(t *testing.T) {
	for _, test := range []struct {
		name   string
		got    []byte
		wanted string
	}{
		{"block", rowSum(kindBlock, make([]byte, 12), []byte("block")), "2fe26d15de64886f09632a22fe6cbc18"},
		{"tombstone", rowSum(kindPerson, []byte("acme"), make([]byte, 32), nil, nil), "752fad60d72c018a1a9cc63673f8eef7"},
		{"mark", rowSum(kindMark, make([]byte, 16), be64(7), make([]byte, 32)), "c6a098f34c1132b2875ec87054270c2b"},
	} {
		if got := hex.EncodeToString(test.got); got != test.wanted {
			t.Errorf("%s: %s, want %s", test.name, got, test.wanted)
		}
	}
}

func TestChecksumsTellRowsApart(t *testing.T) {
	sums := map[string]string{}
	for name, sum := range map[string][]byte{
		"a row":                      rowSum(kindPerson, []byte("a"), []byte("b"), []byte("c"), []byte("d")),
		"the same of another kind":   rowSum(kindRoot, []byte("a"), []byte("b"), []byte("c"), []byte("d")),
		"a byte moved to the right":  rowSum(kindPerson, []byte("a"), []byte(""), []byte("bc"), []byte("d")),
		"a field moved to the right": rowSum(kindPerson, []byte("a"), []byte("b"), nil, []byte("d")),
		"empty where there was null": rowSum(kindPerson, []byte("a"), []byte("b"), []byte{}, []byte("d")),
		"one field less":             rowSum(kindPerson, []byte("a"), []byte("b"), []byte("c")),
		"a null more":                rowSum(kindPerson, []byte("a"), []byte("b"), []byte("c"), nil),
	} {
		if other, ok := sums[string(sum)]; ok {
			t.Errorf("%s has the checksum of %s", name, other)
		}
		sums[string(sum)] = name
		if len(sum) != sumSize {
			t.Errorf("%s: %d bytes", name, len(sum))
		}
	}
}
