package audit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

const frozenHash = "a76f3a91b784ffc4ce653278481f85ebdad5176694b23cb38bac1a2686ae439c" // of its last line

// A trail of the first version, with a remnant in it, is read by every later one.
// The file is frozen: it was written once and is never made again.
func TestEveryReleaseReadsTheFrozenTrail(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "v1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKey(secret.Value(hmacKey))
	if err != nil {
		t.Fatal(err)
	}
	r := verify(t, VerifyConfig{Keys: []Key{k}}, text)
	whole(t, r, 5)
	if r.Sealed != 5 || r.Torn != 1 || r.Last.Seq != 5 || r.Last.Hash.String() != frozenHash {
		t.Errorf("%+v", r)
	}
}
