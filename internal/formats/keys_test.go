package formats_test

import (
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// checkKeys compares the keys that a record says it needs with the key blocks
// that it brings along: without its headers, the values have to name the same.
func checkKeys(t *testing.T, e *fieldcrypt.Engine, rec fieldcrypt.Record) {
	t.Helper()
	with, err := e.KeysOf(t.Context(), rec)
	if err != nil {
		t.Fatalf("keys: %v", err)
	}
	bare := rec
	bare.Headers = slices.DeleteFunc(slices.Clone(rec.Headers), func(h fieldcrypt.Header) bool { return h.Key == fieldcrypt.HeaderKey })
	without, err := e.KeysOf(t.Context(), bare)
	if err != nil {
		t.Fatalf("keys without headers: %v", err)
	}
	if len(with) != len(without) {
		t.Fatalf("%d keys, %d without headers", len(with), len(without))
	}
	for _, u := range with {
		i := slices.IndexFunc(without, func(o fieldcrypt.KeyUse) bool { return o.ID == u.ID })
		if i < 0 || without[i].Values != u.Values || without[i].KEK != "" || u.KEK == "" && !u.Domain && !u.Person {
			t.Fatalf("key %s is named by %d values; without headers by %+v", u.ID, u.Values, without)
		}
	}
	for _, h := range rec.Headers {
		if h.Key != fieldcrypt.HeaderKey {
			continue
		}
		info, err := datakey.DescribeBlock(h.Value)
		if err != nil || !slices.ContainsFunc(with, func(u fieldcrypt.KeyUse) bool {
			return u.ID == info.ID && u.KEK == info.KEK && u.Tenant == info.Tenant && u.Values > 0
		}) {
			t.Fatalf("key %s of a header is not among the keys, %v", info.ID, err)
		}
	}
}
