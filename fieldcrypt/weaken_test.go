package fieldcrypt

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// blockOf returns a version of a domain key under a KEK, in base64.
func blockOf(t testing.TB, kek string, version byte) string {
	t.Helper()
	b, err := envelope.KeyBlock{KEK: kek, Wrapped: []byte{version, 2, 3}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// weakenBase is the policy that each case changes in one place. V1 and V2 stand
// for versions of the domain key.
const weakenBase = `version: 1
dataset: shop
tenant: {from: header:tenant}
untagged_field: reject
on_mismatch: strict
ignore_tags: [QUALITY]
keys:
  pii: {kek: "aws-kms:alias/pii-{tenant}", refresh: 10m, expire: 30m, suite: xaes}
  wide: {kek: "aws-kms:alias/wide"}
domain_keys: {ids: {kek: "aws-kms:alias/ids", versions: ["V1", "V2"]}}
vaults: {cards: {key: ids}}
persons: {kek: "aws-kms:alias/persons", by: /customer_id}
rules:
  - {tag: PCI.CVV, action: reject}
  - {tag: PCI.PAN, action: tokenize, vault: cards, format: pan, keep_last: 4}
  - {tag: PII.NOTES, action: drop}
  - {tag: PII.KIND, action: constant, value: "-"}
  - {tag: PII.EMAIL, action: encrypt, key: ids, mode: deterministic, join: mail}
  - {tag: PII.REF, action: hash, key: ids}
  - {tag: PII.NAME, action: encrypt, mode: person}
  - {tag: PII.BIRTH, action: generalize, to: year, layout: iso-date}
  - {tag: PII.PHONE, action: mask, keep_last: 2}
  - {tag: PII.SEEN, action: shift, key: ids, days: 90, by: /customer_id}
  - {tag: PII.NUMBER, action: encrypt, key: ids, mode: format-preserving, keep_last: 2}
  - {tag: PII, action: encrypt, key: pii}
topics:
  - match: "orders"
    dataset: orders
    untagged_schema: reject
    pins: [{path: /email}]
    key: {action: hash, key: ids}
    headers: [{name: user, action: hash, key: ids}]
    fields: [{path: /home, action: encrypt, key: pii, apply: whole}]
    validate: true
  - match: "clicks"
    format: json
    fields:
      - {path: /user/ip, action: mask, rule: "ip/24,48"}
      - {path: "/**/mail", action: encrypt, key: pii}
  - match: "customers.*"
  - match: "*"
`

// changed returns the base after replacements: pairs of what was there and what is
// there instead.
func changed(t testing.TB, pairs ...string) *Policy {
	t.Helper()
	text := weakenBase
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the base does not hold %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	const kek = "aws-kms:alias/ids"
	text = strings.NewReplacer("V1", blockOf(t, kek, 1), "V2", blockOf(t, kek, 2), "V3", blockOf(t, kek, 3),
		"L1", blockOf(t, "local:ids", 1)).Replace(text)
	p, err := parsePolicyIn("", []byte(text), false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func codes(found []Finding) []string {
	var out []string
	for _, f := range found {
		if !slices.Contains(out, f.Code) {
			out = append(out, f.Code)
		}
	}
	slices.Sort(out)
	return out
}

func TestAPolicyThatProtectsLessIsFound(t *testing.T) {
	const name = "  - {tag: PII.NAME, action: encrypt, mode: person}\n"
	for _, tt := range []struct {
		name string
		edit []string
		want string // codes, in their order
	}{
		{"a rule goes away and a broader, other one takes over", []string{name, ""}, "rule-order rule-weaker"},
		{"the last rule of a tag goes away", []string{"  - {tag: PCI.CVV, action: reject}\n", ""}, "rule-removed"},
		{"reject becomes drop", []string{"{tag: PCI.CVV, action: reject}", "{tag: PCI.CVV, action: drop}"}, "rule-weaker"},
		{"drop becomes a constant", []string{"{tag: PII.NOTES, action: drop}", `{tag: PII.NOTES, action: constant, value: "x"}`}, "rule-weaker"},
		{"a constant becomes encryption", []string{`action: constant, value: "-"`, "action: encrypt, key: pii"}, "rule-weaker"},
		{"encryption becomes a mask", []string{"{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: mask, keep_last: 0}"}, "rule-weaker"},
		{"encryption becomes deterministic", []string{"{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: encrypt, key: ids, mode: deterministic}"}, "rule-weaker"},
		{"encryption becomes a hash", []string{"{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: hash, key: ids}"}, "rule-weaker"},
		{"a person's key becomes a shared one", []string{"action: encrypt, mode: person", "action: encrypt, key: pii"}, "rule-weaker"},
		{"another key of other readers", []string{"{tag: PII, action: encrypt, key: pii}", "{tag: PII, action: encrypt, key: wide}"}, "rule-weaker"},
		{"a hash becomes deterministic encryption, which can be undone", []string{"{tag: PII.REF, action: hash, key: ids}", "{tag: PII.REF, action: encrypt, key: ids, mode: deterministic}"}, "rule-weaker"},
		{"a hash loses its key", []string{"{tag: PII.REF, action: hash, key: ids}", "{tag: PII.REF, action: unsafe-sha256, reason: why}"}, "rule-weaker"},
		{"a hash gets a join", []string{"{tag: PII.REF, action: hash, key: ids}", "{tag: PII.REF, action: hash, key: ids, join: refs}"}, "rule-weaker"},
		{"another join", []string{"join: mail", "join: everything"}, "rule-weaker"},
		{"a random token becomes a computed one", []string{"vault: cards, format: pan, keep_last: 4", "key: ids, format: pan, keep_last: 4"}, "rule-weaker"},
		{"a token keeps more", []string{"format: pan, keep_last: 4", "format: pan, keep_first: 6, keep_last: 4"}, "rule-weaker"},
		{"what preserves the form keeps more", []string{"mode: format-preserving, keep_last: 2", "mode: format-preserving, keep_last: 3"}, "rule-weaker"},
		{"a mask shows more", []string{"action: mask, keep_last: 2", "action: mask, keep_last: 4"}, "rule-weaker"},
		{"a time is finer", []string{"to: year", "to: month"}, "rule-weaker"},
		{"a time is moved by less", []string{"days: 90", "days: 30"}, "rule-weaker"},
		{"a mask becomes a hash, which shows what is equal", []string{"action: mask, keep_last: 2", "action: hash, key: ids"}, "rule-weaker"},
		{"a weaker rule moves before a stronger one", []string{
			"  - {tag: PII.PHONE, action: mask, keep_last: 2}\n", "",
			"  - {tag: PCI.CVV, action: reject}\n", "  - {tag: PII.PHONE, action: mask, keep_last: 2}\n  - {tag: PCI.CVV, action: reject}\n",
		}, "rule-order"},
		{"a narrower rule that is weaker comes first", []string{"  - {tag: PII, action", "  - {tag: PII.CITY, action: mask, keep_first: 3}\n  - {tag: PII, action"}, "rule-weaker"},
		{"a tag is ignored", []string{"[QUALITY]", "[QUALITY, HEALTH]"}, "tag-ignored"},
		{"a topic has rules of its own that are weaker", []string{`  - match: "customers.*"`, "  - match: \"customers.*\"\n    rules: [{tag: PII, action: mask, keep_last: 4}]"}, "rule-order rule-weaker"},
		{"a topic is no longer governed", []string{"  - match: \"*\"\n", ""}, "topic-ungoverned"},
		{"a new entry before an old one opens it", []string{`  - match: "customers.*"`, "  - match: \"customers.vip\"\n    untagged_field: allow\n  - match: \"customers.*\""}, "guard-opened"},
		{"the rules by path of a topic go to another", []string{"fields: [{path: /home, action: encrypt, key: pii, apply: whole}]", "fields: []"}, "rule-removed"},
		{"a container is no longer taken as a whole", []string{"apply: whole", "apply: leaves"}, "rule-weaker"},
		{"a path overrides a tag", []string{"fields: [{path: /home,", "fields: [{path: /card, action: mask, keep_last: 4}, {path: /home,"}, "path-over-tag"},
		{"a path below a protected one is masked", []string{"fields: [{path: /home,", "fields: [{path: /home/city, action: mask, keep_last: 4}, {path: /home,"}, "rule-weaker"},
		{"the record key is left alone", []string{"    key: {action: hash, key: ids}\n", ""}, "rule-removed"},
		{"a header is left alone", []string{"    headers: [{name: user, action: hash, key: ids}]\n", ""}, "rule-removed"},
		{"a pin goes away", []string{"pins: [{path: /email}]", "pins: []"}, "pin-removed"},
		{"a pin is for fewer schemas", []string{"{path: /email}", "{path: /email, schema: a.b}"}, "pin-removed"},
		{"a path is stated to be clear", []string{"    pins:", "    clear: [/total]\n    pins:"}, "clear-added"},
		{"a schema may lose its tags", []string{"    pins:", "    acknowledge: [\"sha256:" + strings.Repeat("ab", 32) + "\"]\n    pins:"}, "loss-acknowledged"},
		{"untagged schemas pass", []string{"untagged_schema: reject", "untagged_schema: allow"}, "guard-opened"},
		{"untagged fields pass", []string{"untagged_field: reject", "untagged_field: allow"}, "guard-opened"},
		{"unknown tags pass", []string{"untagged_field: reject", "untagged_field: reject\nunknown_tag: allow"}, "guard-opened"},
		{"unknown fields pass", []string{"untagged_field: reject", "untagged_field: reject\nunknown_field: allow"}, "guard-opened"},
		{"records are no longer validated", []string{"validate: true", "validate: false"}, "validate-off"},
		{"records lose their schema", []string{`  - match: "customers.*"`, "  - match: \"customers.*\"\n    format: json\n    fields: [{path: /a, action: drop}]"}, "topic-format"},
		{"a pattern of JSON goes away", []string{"      - {path: \"/**/mail\", action: encrypt, key: pii}\n", ""}, "rule-removed"},
		{"a weaker pattern of JSON comes first", []string{"      - {path: /user/ip", "      - {path: /user/mail, action: mask, keep_last: 9}\n      - {path: /user/ip"}, "rule-weaker"},
		{"readers accept moved values", []string{"on_mismatch: strict", "on_mismatch: report"}, "mismatch-report"},
		{"the tenant is optional", []string{"{from: header:tenant}", "{from: header:tenant, required: false}"}, "tenant-optional"},
		{"the tenant comes from another header", []string{"{from: header:tenant}", "{from: header:who}"}, "tenant-source"},
		{"tenants and their KEKs go away", []string{"tenant: {from: header:tenant}\n", "", "pii-{tenant}", "pii"}, "kek-shared tenant-removed"},
		{"all tenants share a KEK", []string{"pii-{tenant}", "pii"}, "kek-shared"},
		{"a KEK in a file", []string{"aws-kms:alias/wide", "local:wide.kek"}, "kek-local"},
		{"the KEK of a domain key in a file", []string{`kek: "aws-kms:alias/ids", versions: ["V1", "V2"]`, `kek: "local:ids", versions: ["L1"]`}, "kek-local"},
		{"the KEK of persons in a file", []string{"aws-kms:alias/persons", "local:persons"}, "kek-local"},
		{"an older version seals", []string{`["V1", "V2"]`, `["V2", "V1"]`}, "domain-key-back"},
		{"a key lives longer", []string{"expire: 30m", "expire: 60m"}, "key-longer-lived"},
		{"a key lives as long as the default", []string{"refresh: 10m, ", ""}, "key-longer-lived"},
		{"a key seals more", []string{"suite: xaes", "suite: xaes, max_seals: 4294967296"}, "key-more-used"},
		{"a suite whose nonces run out", []string{", suite: xaes", ""}, "key-suite"},
		{"a topic moves into the dataset of others", []string{"    dataset: orders\n", ""}, "dataset-shared"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := Weakens(changed(t), changed(t, tt.edit...))
			if got := strings.Join(codes(found), " "); got != tt.want {
				t.Errorf("found %q, want %q: %v", got, tt.want, found)
			}
			for _, f := range found {
				if f.Severity != SeverityError || f.Text == "" || f.Path == "" || strings.Contains(f.String(), "alias/") {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestAPolicyThatProtectsNoLessIsNotFound(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit []string
	}{
		{"nothing changed", nil},
		{"a comment and an order of keys", []string{"version: 1\ndataset: shop", "# reviewed\ndataset: shop\nversion: 1"}},
		{"a new rule at the end", []string{"  - {tag: PII, action: encrypt, key: pii}\n", "  - {tag: PII, action: encrypt, key: pii}\n  - {tag: HEALTH, action: encrypt, key: pii}\n"}},
		{"a narrower rule that is stronger", []string{"  - {tag: PII, action", "  - {tag: PII.SSN, action: reject}\n  - {tag: PII, action"}},
		{"drop becomes reject", []string{"{tag: PII.NOTES, action: drop}", "{tag: PII.NOTES, action: reject}"}},
		{"a constant becomes another", []string{`value: "-"`, `value: "x"`}},
		{"a constant becomes drop", []string{`action: constant, value: "-"`, "action: drop"}},
		{"deterministic becomes random under the same key's KEK", []string{
			"action: encrypt, key: ids, mode: deterministic, join: mail", "action: encrypt, mode: person",
		}},
		{"a join goes away", []string{", join: mail", ""}},
		{"deterministic encryption becomes a hash", []string{"action: encrypt, key: ids, mode: deterministic, join: mail", "action: hash, key: ids, join: mail"}},
		{"a mask becomes encryption", []string{"action: mask, keep_last: 2", "action: encrypt, key: pii"}},
		{"a mask shows less", []string{"action: mask, keep_last: 2", "action: mask, keep_last: 0"}},
		{"a time is coarser", []string{"to: year", "to: birth-year"}},
		{"a time is moved by more", []string{"days: 90", "days: 180"}},
		{"a token keeps less", []string{"keep_last: 4", "keep_last: 2"}},
		{"what preserves the form becomes deterministic", []string{"mode: format-preserving, keep_last: 2", "mode: deterministic"}},
		{"a computed token becomes random", []string{"action: encrypt, key: ids, mode: format-preserving, keep_last: 2", "action: tokenize, vault: cards, format: digits, keep_last: 2"}},
		{"a reason is given", []string{"action: encrypt, key: ids, mode: deterministic", "reason: asked for, action: encrypt, key: ids, mode: deterministic"}},
		{"what does not fit is refused", []string{"action: mask, keep_last: 2", "action: mask, keep_last: 2, on_invalid: reject"}},
		{"a tag is no longer ignored", []string{"ignore_tags: [QUALITY]\n", ""}},
		{"a topic gets an entry that is stricter", []string{`  - match: "customers.*"`, "  - match: \"customers.vip\"\n    validate: true\n  - match: \"customers.*\""}},
		{"a topic gets a rule of its own that is stronger", []string{`  - match: "customers.*"`, "  - match: \"customers.*\"\n    rules: [{tag: PII.EMAIL, action: reject}]"}},
		{"an entry that another covers goes away", []string{"  - match: \"customers.*\"\n", ""}},
		{"entries that never meet change places", []string{"  - match: \"customers.*\"\n  - match: \"*\"\n", "  - match: \"customers.*\"\n  - match: \"*\"\n    unknown_tag: reject\n"}},
		{"a path becomes strict", []string{"fields: [{path: /home,", "fields: [{path: /secret, action: reject}, {path: /home,"}},
		{"a pin is added", []string{"pins: [{path: /email}]", "pins: [{path: /email}, {path: /home}]"}},
		{"a header is protected", []string{"headers: [", "headers: [{name: trace, action: drop}, "}},
		{"a pattern of JSON is added at the end", []string{"      - {path: \"/**/mail\", action: encrypt, key: pii}\n", "      - {path: \"/**/mail\", action: encrypt, key: pii}\n      - {path: \"/**/phone\", action: encrypt, key: pii}\n"}},
		{"a KEK moves within a KMS", []string{"aws-kms:alias/wide", "gcp-kms:projects/p/wide"}},
		{"an old KEK goes on opening", []string{`kek: "aws-kms:alias/wide"`, `kek: "aws-kms:alias/wider", also: ["aws-kms:alias/wide"]`}},
		{"a domain key gets a version", []string{`["V1", "V2"]`, `["V1", "V2", "V3"]`}},
		{"a key lives shorter", []string{"refresh: 10m, expire: 30m", "refresh: 5m, expire: 15m"}},
		{"a key seals less", []string{"suite: xaes", "suite: xaes, max_seals: 1000"}},
		{"a better suite", []string{`{kek: "aws-kms:alias/wide"}`, `{kek: "aws-kms:alias/wide", suite: xaes}`}},
		{"the forgotten are redacted for readers", []string{"by: /customer_id}\nrules", "by: /customer_id, on_forgotten: redact}\nrules"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found := Weakens(changed(t), changed(t, tt.edit...)); len(found) > 0 {
				t.Errorf("%v", found)
			}
		})
	}
}

func TestAPolicyForAllTopicsGovernsMoreThanOneWithTopics(t *testing.T) {
	all, some := mustPolicy(t, "rules: [{tag: A, action: drop}]"), mustPolicy(t, "rules: [{tag: A, action: drop}]\ntopics: [{match: \"a*\"}, {match: \"b?\"}]")
	if found := Weakens(some, all); len(found) > 0 {
		t.Error(found)
	}
	if got := codes(Weakens(all, some)); !slices.Equal(got, []string{"topic-ungoverned"}) {
		t.Error(got)
	}
}

func TestTheFIPSProfileIsNotLeft(t *testing.T) {
	strict, open := mustPolicy(t, "profile: fips\nrules: [{tag: A, action: drop}]"), mustPolicy(t, "rules: [{tag: A, action: drop}]")
	if got := codes(Weakens(strict, open)); !slices.Equal(got, []string{"fips-off"}) {
		t.Error(got)
	}
	if found := Weakens(open, strict); len(found) > 0 {
		t.Error(found)
	}
}

func mustPolicy(t testing.TB, body string) *Policy {
	t.Helper()
	p, err := parsePolicyIn("", []byte("version: 1\n"+body), false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatternsMeetWhereOneNameFitsBoth(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a*", "*b", true}, {"a*", "b*", false}, {"a?", "a", false}, {"a?c", "ab*", true},
		{"*", "", true}, {"*.eu", "orders.*", true}, {"*.eu", "orders.us", false}, {"??", "*a*b*c*", false},
	} {
		if got := meet(topicGlyphs(tt.a), topicGlyphs(tt.b)); got != tt.want {
			t.Errorf("%s and %s: %t", tt.a, tt.b, got)
		}
		if got := meet(topicGlyphs(tt.b), topicGlyphs(tt.a)); got != tt.want {
			t.Errorf("%s and %s: %t", tt.b, tt.a, got)
		}
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"/a/b", "/a", true}, {"/a/b", "/a/c", false}, {"/**/mail", "/user/mail", true}, {"/**/mail", "/user", true}, {"/a/*/c", "/a/b/d", false},
	} {
		if got := meet(pathGlyphs(tt.a), pathGlyphs(tt.b)); got != tt.want {
			t.Errorf("%s and %s: %t", tt.a, tt.b, got)
		}
	}
}

// Whatever a file of the tests says, it is as strong as itself.
func TestNoPolicyIsWeakerThanItself(t *testing.T) {
	for _, file := range policyFiles(t) {
		p, err := LoadPolicy(file)
		if err != nil {
			continue
		}
		q, err := LoadPolicy(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := Weakens(p, q); len(found) > 0 {
			t.Errorf("%s: %v", file, found)
		}
	}
}
