package fieldcrypt_test

import (
	"bytes"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// FuzzProtectReveal: whatever bytes are accepted as a record come back the same,
// and no bytes make the plan panic in either direction.
func FuzzProtectReveal(f *testing.F) {
	const text = `{"type": "record", "name": "R", "fields": [
	  {"name": "s", "type": "string", "confluent:tags": ["PII"]},
	  {"name": "n", "type": ["null", "bytes", "long"]},
	  {"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
	    {"name": "v", "type": ["string", "null"], "confluent:tags": ["PII"]}, {"name": "next", "type": ["null", "I"]}]}}},
	  {"name": "m", "type": {"type": "map", "values": "bytes"}, "confluent:tags": ["PII"]}]}`
	policy, err := fieldcrypt.ParsePolicy([]byte(onePolicy("gcm", "")))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(keys.Close)
	s, err := avro.Parse(avroText(text))
	if err != nil {
		f.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, policy, keys, "t")
	if err != nil {
		f.Fatal(err)
	}
	good, err := twmb.MustParse(text).Encode(map[string]any{
		"s": "text", "n": nil, "m": map[string]any{"k": []byte("v")},
		"list": []any{map[string]any{"v": "x", "next": map[string]any{"v": nil, "next": nil}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte("\x02a\x00\x01\x06\x02\x00\x00\x00\x00")) // a block with its size
	f.Fuzz(func(t *testing.T, src []byte) {
		sealed, blocks, err := plan.AppendProtected(t.Context(), "", nil, src, nil)
		if err != nil {
			_, _ = plan.AppendRevealed(t.Context(), "", nil, src, nil)
			return
		}
		back, err := plan.AppendRevealed(t.Context(), "", nil, sealed, blocks)
		if err != nil {
			t.Fatalf("what was protected is not revealed: %v", err)
		}
		if !bytes.Equal(back, src) {
			// A block's byte size may have been spelled longer than needed, and is
			// rewritten when something in the block is.
			again, _, err := plan.AppendProtected(t.Context(), "", nil, back, nil)
			if err != nil || len(again) != len(sealed) {
				t.Fatalf("%x came back as %x", src, back)
			}
		}
	})
}
