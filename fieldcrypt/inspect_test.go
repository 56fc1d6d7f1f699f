package fieldcrypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// deafKMS must not be asked for anything.
type deafKMS struct{ kms.Wrapper }

const inspectPolicy = `
version: 1
dataset: people
tenant: {from: header:tenant}
keys: {pii: {kek: "local:k"}, pci: {kek: "local:p", also: ["local:o"]}}
domain_keys:
  ids: {kek: "local:k", versions: [%s]}
rules:
  - {tag: PII.ID, action: encrypt, key: ids, mode: deterministic}
  - {tag: PII.HASH, action: hash, key: ids}
  - {tag: PCI, action: encrypt, key: pci}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: "people", headers: [{name: x-mail, action: encrypt, key: pii}]}
`

var inspectFields = record(`{"name": "id", "type": "string", "confluent:tags": ["PII.ID"]},
	{"name": "hash", "type": "string", "confluent:tags": ["PII.HASH"]},
	{"name": "card", "type": "bytes", "confluent:tags": ["PCI.PAN"]},
	{"name": "mails", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII.MAIL"]},
	{"name": "note", "type": "string"}`)

func TestKeysOfARecordAreFoundWithoutOpeningIt(t *testing.T) {
	w := newWorld(t)
	policy := fmt.Sprintf(inspectPolicy, w.domainKey("acme"))
	w.schemas[1] = avroText(inspectFields)
	rec := fieldcrypt.Record{
		Topic: "people", Headers: []fieldcrypt.Header{{Key: "tenant", Value: []byte("acme")}, {Key: "x-mail", Value: []byte("a@b.c")}},
		Value: w.framed(1, map[string]any{"id": "7", "hash": "h", "card": []byte("4111"), "mails": []any{"a", "b"}, "note": "n"}),
	}
	sealed, err := w.engine(policy).Protect(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	good := w.kms
	w.kms = deafKMS{} // a call panics
	e := w.engine(policy)
	w.kms = good
	uses, err := e.KeysOf(t.Context(), sealed)
	if err != nil || len(uses) != 3 {
		t.Fatalf("%+v, %v", uses, err)
	}
	// id: deterministic, hash: named by fv-meta; two mails and the header; a card.
	want := map[string]int{"local:k": 3, "local:p": 1, "": 1}
	for _, u := range uses {
		if u.Values != want[u.KEK] || u.Domain != (u.KEK == "") || u.KEK != "" && u.Tenant != "acme" {
			t.Errorf("%+v", u)
		}
	}

	bare := sealed
	bare.Headers = []fieldcrypt.Header{{Key: "tenant", Value: []byte("acme")}}
	without, err := e.KeysOf(t.Context(), bare)
	if err != nil || len(without) != 3 {
		t.Fatalf("without headers: %+v, %v", without, err)
	}
	for _, u := range without {
		if u.KEK != "" || !slices.ContainsFunc(uses, func(o fieldcrypt.KeyUse) bool { return o.ID == u.ID && o.Domain == u.Domain }) {
			t.Errorf("without headers: %+v", u)
		}
	}

	// A rule that is gone leaves text that still names its key.
	later, err := w.engine("version: 1\nuntagged_schema: allow\nunknown_tag: allow\nrules: [{tag: NONE, action: drop}]\n").KeysOf(t.Context(), bare)
	if err != nil || len(later) != 2 {
		t.Errorf("under another policy: %+v, %v", later, err)
	}
}

func TestKeysOfAPlainRecordAreNone(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(inspectFields)
	e := w.engine(fmt.Sprintf(inspectPolicy, w.domainKey("")))
	for name, rec := range map[string]fieldcrypt.Record{
		"a tombstone":  {Topic: "people", Key: []byte("k")},
		"no envelopes": {Topic: "people", Value: w.framed(1, map[string]any{"id": "fv1:", "hash": "", "card": []byte{}, "mails": []any{"fv2:AQ"}, "note": "fv1:AQE"})},
	} {
		uses, err := e.KeysOf(t.Context(), rec)
		if name == "a tombstone" && (err != nil || len(uses) != 0) {
			t.Errorf("%s: %+v, %v", name, uses, err)
		}
		// In strict mode, bytes that are no envelope may be a damaged one, and so
		// may text that begins as one.
		var f *fieldcrypt.Error
		if name != "a tombstone" && (!errors.As(err, &f) || f.Op != "inspect" || f.Code != fieldcrypt.CodeFormat || len(uses) != 0) {
			t.Errorf("%s: %+v, %v", name, uses, err)
		}
	}
}

func TestWhatCannotBeSeenIsAnErrorBesideWhatCan(t *testing.T) {
	w := newWorld(t)
	policy := fmt.Sprintf(inspectPolicy, w.domainKey("acme"))
	w.schemas[1] = avroText(inspectFields)
	e := w.engine(policy)
	sealed, err := e.Protect(t.Context(), fieldcrypt.Record{
		Topic: "people", Headers: []fieldcrypt.Header{{Key: "tenant", Value: []byte("acme")}},
		Value: w.framed(1, map[string]any{"id": "7", "hash": "h", "card": []byte("4111"), "mails": []any{"a"}, "note": ""}),
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		code fieldcrypt.Code
		keys int
		with func(*fieldcrypt.Record)
	}{
		{"another topic", fieldcrypt.CodeUngoverned, 3, func(r *fieldcrypt.Record) { r.Topic = "cats" }},
		{"an unknown schema", fieldcrypt.CodeSchema, 3, func(r *fieldcrypt.Record) { r.Value = reframed(r.Value, 9) }},
		{"no framing", fieldcrypt.CodeMalformed, 3, func(r *fieldcrypt.Record) { r.Value = []byte{9} }},
		{"a record that is cut", fieldcrypt.CodeMalformed, 3, func(r *fieldcrypt.Record) { r.Value = r.Value[:len(r.Value)-1] }},
		{"a key header that is none", fieldcrypt.CodeFormat, 4 - 1, func(r *fieldcrypt.Record) {
			r.Headers = append(r.Headers, fieldcrypt.Header{Key: fieldcrypt.HeaderKey, Value: []byte("x")})
		}},
		{"a meta header that is none", fieldcrypt.CodeFormat, 3, func(r *fieldcrypt.Record) {
			r.Headers = append(r.Headers, fieldcrypt.Header{Key: fieldcrypt.HeaderMeta, Value: []byte{2}})
		}},
		{"a header of the policy that is damaged", fieldcrypt.CodeFormat, 3, func(r *fieldcrypt.Record) {
			r.Headers = append(r.Headers, fieldcrypt.Header{Key: "x-mail", Value: []byte("fv1:AQ")})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := sealed
			rec.Headers = slices.Clone(sealed.Headers)
			tt.with(&rec)
			uses, err := e.KeysOf(t.Context(), rec)
			var f *fieldcrypt.Error
			if !errors.As(err, &f) || f.Code != tt.code || len(uses) != tt.keys {
				t.Errorf("%d keys, %v", len(uses), err)
			}
		})
	}
}

func TestTheKeysOfAPolicyAreListed(t *testing.T) {
	w := newWorld(t)
	e := w.engine(fmt.Sprintf(inspectPolicy, w.domainKey("")))
	keys := e.Policy().Keys()
	if len(keys) != 3 || keys[0].Name != "pci" || keys[0].KEK != "local:p" || !slices.Equal(keys[0].Also, []string{"local:o"}) ||
		keys[2].Name != "ids" || !keys[2].Domain || len(keys[2].Versions) != 1 {
		t.Fatalf("%+v", keys)
	}
	keys[2].Versions[0][0] ^= 1
	if bytes.Equal(e.Policy().Keys()[2].Versions[0], keys[2].Versions[0]) {
		t.Error("what Keys returned is shared with the policy")
	}
}

func TestTheKeysOfAPolicyTellTheirLimits(t *testing.T) {
	p, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
keys:
  fast: {kek: "local:k", refresh: 5m, expire: 20m, max_seals: 1000, max_bytes: 1MiB, persist: true}
  plain: {kek: "local:k"}
persons: {kek: "local:p", refresh: 2m}
rules:
  - {tag: A, action: encrypt, key: fast}
  - {tag: B, action: encrypt, key: plain}
`))
	if err != nil {
		t.Fatal(err)
	}
	keys := p.Keys()
	want := []datakey.Limits{{Refresh: 5 * time.Minute, Expire: 20 * time.Minute, Seals: 1000, Bytes: 1 << 20}, {}, {Refresh: 2 * time.Minute}}
	if len(keys) != len(want) {
		t.Fatalf("%+v", keys)
	}
	for i := range keys {
		if keys[i].Limits != want[i] || keys[i].Persist != (i == 0) {
			t.Errorf("%+v, want %+v", keys[i], want[i])
		}
	}
}

func TestPoliciesThatDescribeTheirKeysAlikeMayShareThem(t *testing.T) {
	w := newWorld(t)
	one, two := w.domainKey(""), w.domainKey("")
	parse := func(keys, rules string) *fieldcrypt.Policy {
		p, err := fieldcrypt.ParsePolicy([]byte("{version: 1, keys: {" + keys + "}, rules: [" + rules + "], persons: {kek: \"local:p\"}}"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const rule = "{tag: A, action: encrypt, key: k}"
	domain := func(block string) string { return "}, domain_keys: {d: {kek: \"local:k\", versions: [" + block + "]}" }
	base := parse(`k: {kek: "local:k"}`+domain(one), rule)
	for _, tt := range []struct {
		name string
		keys string
		rule string
		same bool
	}{
		{"other rules", `k: {kek: "local:k"}` + domain(one), "{tag: B, action: drop}", true},
		{"another KEK", `k: {kek: "local:o"}` + domain(one), rule, false},
		{"a further KEK", `k: {kek: "local:k", also: ["local:o"]}` + domain(one), rule, false},
		{"another limit", `k: {kek: "local:k", refresh: 14m}` + domain(one), rule, false},
		{"another version", `k: {kek: "local:k"}` + domain(one+", "+two), rule, false},
		{"a key less", `k: {kek: "local:k"}`, rule, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(tt.keys, tt.rule)
			if p.SameKeys(base) != tt.same || base.SameKeys(p) != tt.same {
				t.Errorf("same: %v", !tt.same)
			}
		})
	}
	none, err := fieldcrypt.ParsePolicy([]byte(`{version: 1, rules: [{tag: A, action: drop}]}`))
	if err != nil || none.SameKeys(base) || base.SameKeys(none) || !none.SameKeys(none) {
		t.Errorf("without keys: %v", err)
	}
}

// What KeysOf says of records, it says of any bytes without ending the process.
func FuzzKeysOf(f *testing.F) {
	f.Add([]byte("fv1:AQE_tfBOHvBAkspMcBQTLZ1tOla6dKChoqOkpaanqKmqqxQBxAavSMwWk5OcD9byo201o_JMYno8yV51xbFp4v29"), []byte{1}, []byte(`{"a":"x"}`))
	f.Fuzz(func(t *testing.T, text, header, value []byte) {
		w := newWorld(t)
		e := w.engine(`{version: 1, dataset: d, keys: {k: {kek: "local:k"}}, topics: [{match: t, format: json, headers: [{name: h, action: encrypt, key: k}], fields: [{path: /a, action: encrypt, key: k}]}]}`)
		uses, err := e.KeysOf(t.Context(), fieldcrypt.Record{Topic: "t", Value: value, Headers: []fieldcrypt.Header{
			{Key: fieldcrypt.HeaderKey, Value: header}, {Key: fieldcrypt.HeaderMeta, Value: header}, {Key: "h", Value: text},
		}})
		for _, u := range uses {
			if u.KEK == "" && u.Values == 0 && !u.Domain {
				t.Errorf("a key from nowhere: %+v, %v", u, err)
			}
			if u.ID == (datakey.ID{}) && u.KEK == "" && len(text)+len(value) < 26 {
				t.Errorf("%+v", u)
			}
		}
	})
}
