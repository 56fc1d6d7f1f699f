package fieldcrypt_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const batchPolicy = `
version: 1
keys: {pii: {kek: "local:pii", max_seals: 4096}, other: {kek: "local:other", suite: xaes}}
tenant: {from: "header:tenant"}
rules:
  - {tag: PII.NAME, action: encrypt, key: other}
  - {tag: PII, action: encrypt, key: pii}
topics: [{match: t}, {match: u}]
`

const batchSchema = `{"type": "record", "name": "P", "fields": [
	{"name": "name", "type": "string", "confluent:tags": ["PII.NAME"]},
	{"name": "emails", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII"]}]}`

// batchRecord has n e-mail addresses and is of one of three tenants and two topics.
func batchRecord(w *world, i, n int) fieldcrypt.Record {
	emails := make([]any, n)
	for j := range emails {
		emails[j] = fmt.Sprintf("%d-%d@example.com", i, j)
	}
	return fieldcrypt.Record{
		Topic: []string{"t", "u"}[i/7%2], Key: []byte(fmt.Sprint(i)),
		Value:   w.framed(1, map[string]any{"name": fmt.Sprint("Ada ", i), "emails": emails}),
		Headers: []fieldcrypt.Header{{Key: "tenant", Value: fmt.Append(nil, "t", i/5%3)}},
	}
}

// Topics and tenants change within a batch, keys run out among the values of a record,
// and every ninth record is refused.
func TestABatchIsWhatItsRecordsAreOneByOne(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(batchSchema)
	e := w.engine(batchPolicy)
	var out []fieldcrypt.Record
	for _, size := range []int{1, 100, 3, 0, 250, 40} {
		recs := make([]fieldcrypt.Record, size)
		for i := range recs {
			recs[i] = batchRecord(w, i, i*i%60)
			if i%9 == 8 {
				recs[i].Value = recs[i].Value[:len(recs[i].Value)-1]
			}
		}
		before := make([]fieldcrypt.Record, size)
		for i := range recs {
			before[i] = clone(recs[i])
		}
		for len(out) < size {
			out = append(out, fieldcrypt.Record{})
		}
		errs := e.ProtectBatch(t.Context(), out[:size], recs)
		if (errs == nil) != (size < 9) || errs != nil && len(errs) != size {
			t.Fatalf("%d errors for %d records", len(errs), size)
		}
		for i := range recs {
			if !bytes.Equal(recs[i].Value, before[i].Value) || len(recs[i].Headers) != 1 {
				t.Fatalf("record %d has changed", i)
			}
			if i%9 == 8 {
				checkCode(t, "a record that is cut off", errs[i], fieldcrypt.CodeMalformed)
				if len(out[i].Value) != 0 || len(out[i].Headers) != 0 || out[i].Topic != "" {
					t.Errorf("record %d was refused, and %+v came of it", i, out[i])
				}
				continue
			}
			if len(errs) > 0 && errs[i] != nil {
				t.Fatal(errs[i])
			}
			if bytes.Contains(out[i].Value, []byte("@example.com")) || bytes.Contains(out[i].Value, []byte("Ada ")) {
				t.Fatalf("record %d holds a value in clear", i)
			}
			back, err := e.Reveal(t.Context(), out[i])
			if err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if back.Topic != recs[i].Topic || !bytes.Equal(back.Key, recs[i].Key) || !bytes.Equal(back.Value, recs[i].Value) {
				t.Fatalf("record %d does not come back", i)
			}
		}
	}
}

func TestABatchNeedsAResultForEachRecord(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(batchSchema)
	e := w.engine(batchPolicy)
	recs := []fieldcrypt.Record{batchRecord(w, 1, 1), batchRecord(w, 2, 1)}
	errs := e.ProtectBatch(t.Context(), make([]fieldcrypt.Record, 1), recs)
	if len(errs) != 2 || errs[0] == nil || errs[1] == nil {
		t.Errorf("%v", errs)
	}
}

// noncesOf returns the nonces of the envelopes of suite 1 in a protected value.
func noncesOf(t *testing.T, value []byte) (out [][]byte) {
	t.Helper()
	for _, text := range strings.Split(string(value), "fv1:")[1:] {
		end := strings.IndexFunc(text, func(r rune) bool {
			return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
		})
		if end < 0 {
			end = len(text)
		}
		// What stands behind may be a letter too; the nonce is at the front.
		b, err := base64.RawURLEncoding.DecodeString(text[:48])
		if err != nil || end < 48 {
			t.Fatal(err)
		}
		if b[1] == 1 {
			out = append(out, b[22:34])
		}
	}
	return out
}

// distance tells how far nonce b is behind a, modulo 2^96; of two that were drawn it is
// hardly ever small.
func distance(a, b []byte) int64 {
	d := new(big.Int).Sub(new(big.Int).SetBytes(b), new(big.Int).SetBytes(a))
	d.And(d, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 96), big.NewInt(1)))
	if d.BitLen() > 40 {
		return 1 << 40
	}
	return d.Int64()
}

// FV-11. A record that is refused ends the run: of two copies of a process one might
// refuse it and the other not.
func TestFV11TheNoncesOfABatchAreOneRunUpToARecordThatIsRefused(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140-3 mode the module draws each nonce")
	}
	w := newWorld(t)
	w.schemas[1] = avroText(batchSchema)
	e := w.engine(strings.Replace(batchPolicy, ", max_seals: 4096", "", 1)) // a long lease
	var recs []fieldcrypt.Record
	for range 5 {
		recs = append(recs, batchRecord(w, 0, 2))
	}
	recs[2].Value = recs[2].Value[:len(recs[2].Value)-3] // refused with a value sealed already
	out := make([]fieldcrypt.Record, len(recs))
	protect := func() [][]byte {
		if errs := e.ProtectBatch(t.Context(), out, recs); len(errs) != 5 || errs[2] == nil {
			t.Fatal(errs)
		}
		var all [][]byte
		for _, i := range []int{0, 1, 3, 4} {
			nonces := noncesOf(t, out[i].Value)
			if len(nonces) != 2 {
				t.Fatalf("%d nonces", len(nonces))
			}
			all = append(all, nonces...)
		}
		return all
	}
	protect() // the lease is taken here
	all := protect()
	for i := 1; i < len(all); i++ {
		// The record that was refused had nonces of its own.
		if d := distance(all[i-1], all[i]); i == 4 && d < 1000 || i != 4 && d != 1 {
			t.Errorf("nonce %d is %d behind the one before", i, d)
		}
	}
	if again := protect(); distance(all[7], again[0]) < 1000 {
		t.Error("a batch goes on with the nonces of the one before")
	}
}

// FV-11. What a vault does not know is waited for, and the record is written again.
func TestFV11TheNoncesOfABatchEndWhereATokenIsWaitedFor(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140-3 mode the module draws each nonce")
	}
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields + `, {"name": "note", "type": "string", "confluent:tags": ["NOTE"]}`))
	policy := strings.Replace(tokenRules, "rules:\n", "keys: {pii: {kek: \"local:pii\"}}\nrules:\n  - {tag: NOTE, action: encrypt, key: pii}\n", 1)
	policy, _, _ = strings.Cut(policy, "topics:")
	e := w.engine(fmt.Sprintf(policy, w.domainKey(""))+"topics: [{match: people}]\n", fieldcrypt.WithVault("people", tokenize.NewVault(vaulttest.NewMemory())))
	rec := func(mail string) fieldcrypt.Record {
		v := tokenPerson(mail)
		v["note"] = "calls at night"
		return fieldcrypt.Record{Topic: "people", Value: w.framed(1, v)}
	}
	out := make([]fieldcrypt.Record, 4)
	known := rec("known@x.org")
	if errs := e.ProtectBatch(t.Context(), out[:1], []fieldcrypt.Record{known}); errs != nil {
		t.Fatal(errs)
	}
	if errs := e.ProtectBatch(t.Context(), out, []fieldcrypt.Record{known, known, rec("new@x.org"), known}); errs != nil {
		t.Fatal(errs)
	}
	var nonces [][]byte
	for i := range out {
		nonces = append(nonces, noncesOf(t, out[i].Value)...)
	}
	if len(nonces) != 4 || distance(nonces[0], nonces[1]) != 1 || distance(nonces[1], nonces[2]) < 1000 || distance(nonces[2], nonces[3]) != 1 {
		t.Errorf("%x", nonces)
	}
}

func TestNoNonceOfManyBatchesComesTwice(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140-3 mode the module draws each nonce")
	}
	w := newWorld(t)
	w.schemas[1] = avroText(batchSchema)
	e := w.engine(batchPolicy)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var out [40]fieldcrypt.Record
			for round := range 30 {
				var recs [40]fieldcrypt.Record
				for i := range recs {
					recs[i] = batchRecord(w, g*31+round+i, i%6)
				}
				if errs := e.ProtectBatch(t.Context(), out[:], recs[:]); errs != nil {
					t.Error(errs)
					return
				}
				mu.Lock()
				for i := range out {
					for _, n := range noncesOf(t, out[i].Value) {
						if seen[string(n)] {
							t.Errorf("nonce %x comes twice", n)
						}
						seen[string(n)] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) < 10_000 {
		t.Errorf("%d nonces", len(seen))
	}
}

func TestRecordsProtectedAllAtOnceStandBehindEachOther(t *testing.T) {
	w := newWorld(t)
	// Keys that run out: a batch is under several, and every one is told once.
	plan := w.plan(strings.Replace(onePolicy("gcm", ""), "suite: gcm", "suite: gcm, max_seals: 64", 1), oneField(`"string"`, "PII"))
	text := func(i int) []byte {
		s := strings.Repeat("x", i%50) + "@example.com"
		return append([]byte{byte(len(s)) << 1}, s...)
	}
	srcs := make([][]byte, 300)
	for i := range srcs {
		srcs[i] = text(i)
	}
	dst, ends, keys, err := plan.AppendProtectedAll(t.Context(), "", []byte("before"), srcs, []int{1}, [][]byte{[]byte("first")})
	if err != nil {
		t.Fatal(err)
	}
	if string(dst[:6]) != "before" || len(ends) != 301 || ends[0] != 1 || ends[300] != len(dst) || string(keys[0]) != "first" || len(keys) < 5 {
		t.Fatalf("%d bytes, %d ends, %d keys", len(dst), len(ends), len(keys))
	}
	for i, k := range keys {
		if slices.ContainsFunc(keys[:i], func(o []byte) bool { return bytes.Equal(o, k) }) {
			t.Errorf("key %d is told twice", i)
		}
	}
	from := 6
	for i, src := range srcs {
		back, err := plan.AppendRevealed(t.Context(), "", nil, dst[from:ends[i+1]], keys[1:])
		if err != nil || !bytes.Equal(back, src) {
			t.Fatalf("record %d: %q, %v", i, back, err)
		}
		from = ends[i+1]
	}
}

func TestOneRecordThatIsRefusedGivesTheBuffersOfAllBack(t *testing.T) {
	plan := newWorld(t).plan(onePolicy("gcm", ""), oneField(`"string"`, "PII"))
	good := append([]byte{byte(len(hidden)) << 1}, hidden...)
	room := append(make([]byte, 0, 4096), "before"...)
	dst, ends, keys, err := plan.AppendProtectedAll(t.Context(), "", room, [][]byte{good, good, good[:5]}, []int{7}, [][]byte{[]byte("first")})
	checkCode(t, "the third", err, fieldcrypt.CodeMalformed)
	if string(dst) != "before" || len(ends) != 1 || len(keys) != 1 || !strings.HasPrefix(fmt.Sprint(err), "record 2: ") {
		t.Errorf("%q, %d ends, %d keys, %v", dst, len(ends), len(keys), err)
	}
	if b := room[6:100]; !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("what was protected before is there still: %q", b)
	}
}

func TestACallThatIsGivenUpInABatchIsTold(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(batchSchema)
	e := w.engine(batchPolicy)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	recs := []fieldcrypt.Record{batchRecord(w, 0, 1), batchRecord(w, 0, 1)}
	errs := e.ProtectBatch(ctx, make([]fieldcrypt.Record, 2), recs)
	if len(errs) != 2 {
		t.Fatal(errs)
	}
	for _, err := range errs {
		if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || !f.Retryable() && f.Code != fieldcrypt.CodeCanceled {
			t.Errorf("%v", err)
		}
	}
}

func TestBatchesAllocateNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	w := newWorld(t)
	w.schemas[3] = avroText(customerSchema)
	e := w.engine(customerPolicy)
	recs, out := make([]fieldcrypt.Record, 20), make([]fieldcrypt.Record, 20)
	srcs := make([][]byte, 20)
	for i := range recs {
		recs[i] = fieldcrypt.Record{Topic: "customers", Value: w.framed(3, customer(customer(nil)))}
		srcs[i] = recs[i].Value[5:]
	}
	if n := testing.AllocsPerRun(100, func() {
		if errs := e.ProtectBatch(t.Context(), out, recs); errs != nil {
			t.Fatal(errs)
		}
	}); n != 0 {
		t.Errorf("ProtectBatch allocates %v times", n)
	}
	keys, err := datakey.New(w.kms)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	p, err := fieldcrypt.ParsePolicy([]byte(customerPolicy))
	if err != nil {
		t.Fatal(err)
	}
	s, err := avro.Parse(avroText(customerSchema))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := fieldcrypt.Compile(s, p, keys, "customers")
	if err != nil {
		t.Fatal(err)
	}
	dst, ends, blocks := make([]byte, 0, 1<<18), make([]int, 0, 20), make([][]byte, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, err := plan.AppendProtectedAll(t.Context(), "", dst, srcs, ends, blocks); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("AppendProtectedAll allocates %v times", n)
	}
}
