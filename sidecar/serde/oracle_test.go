package serde

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The vectors are those of another implementation: see generate.py beside them.
func TestAvroIsWhatFastavroWrites(t *testing.T) {
	f, err := os.Open("testdata/fastavro/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	strictConfig := DefaultConfig()
	strictConfig.StrictUnions = true
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var v struct{ Schema, Value, Hex string }
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		for _, cfg := range []Config{DefaultConfig(), strictConfig} {
			got, err := encoderOf(t, Avro, v.Schema, cfg).Append(nil, []byte(v.Value))
			if err != nil || string(got) != framed(string(want)) {
				t.Errorf("vector %d: %s of %s: got %x, %v, want %x", n+1, v.Value, v.Schema, got, err, want)
			}
		}
	}
	if err := lines.Err(); err != nil || n < 200 {
		t.Errorf("%d vectors, %v", n, err)
	}
}
