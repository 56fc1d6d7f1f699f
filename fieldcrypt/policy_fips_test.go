package fieldcrypt

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// fipsKeys are the sections that the rules of the table below refer to. The
// block is that of the policy files under testdata.
const fipsKeys = `keys: {gcm: {kek: "local:k"}, xaes: {kek: "local:k", suite: xaes}}
domain_keys: {ids: {kek: "local:dev.kek", versions: ["AT+18E4e8ECSykxwFEicpjvmdcnkNuyWqPqLWKOR1XmjAA1sb2NhbDpkZXYua2VrAARhY21lAFEBAGmLLWdkpXjg4eLj5OXm5+jp6uvs7e7v8PHy8/T19vehdmxVP4vJAKoqRjLV6pR0CF4bTQwtWphARG02nxiRG5Xrnman4B8WGER4bWjvG9I="]}}
vaults: {people: {key: ids}}
persons: {kek: "local:k", by: "header:who"}
`

type fipsRow struct {
	name   string
	kind   actionKind
	mode   cryptMode
	suite  suiteName
	rule   string
	at     string
	refuse string
}

// fipsTable has a row for every action in every way that differs in its
// cryptography. at is where a refusal points to and says which algorithm it is
// about; both are empty for what is approved.
var fipsTable = []fipsRow{
	{name: "a constant is no cryptography", kind: actConstant, rule: `action: constant, value: "x"`},
	{name: "dropping is no cryptography", kind: actDrop, rule: `action: drop`},
	{name: "encryption with AES-256-GCM", kind: actEncrypt, suite: suiteGCM, rule: `action: encrypt, key: gcm`},
	{name: "encryption with XAES-256-GCM", kind: actEncrypt, suite: suiteXAES, rule: `action: encrypt, key: xaes`},
	{name: "encryption with the mode written out", kind: actEncrypt, suite: suiteGCM, rule: `action: encrypt, key: gcm, mode: random`},
	{name: "encryption under the key of a person", kind: actEncrypt, mode: modePerson, rule: `action: encrypt, mode: person`},
	{name: "encryption of containers as a whole", kind: actEncrypt, suite: suiteGCM, rule: `action: encrypt, key: gcm, apply: whole`},
	{name: "deterministic encryption", kind: actEncrypt, mode: modeDeterministic, rule: `action: encrypt, key: ids, mode: deterministic`, at: "mode", refuse: "AES-SIV"},
	{name: "deterministic encryption of a join domain", kind: actEncrypt, mode: modeDeterministic, rule: `action: encrypt, key: ids, mode: deterministic, join: d`, at: "mode", refuse: "AES-SIV"},
	{name: "format-preserving encryption", kind: actEncrypt, mode: modeFormat, rule: `action: encrypt, key: ids, mode: format-preserving`, at: "mode", refuse: "FF1"},
	{name: "generalisation is no cryptography", kind: actGeneralize, rule: `action: generalize, to: year`},
	{name: "a keyed hash is HMAC-SHA-256", kind: actHash, rule: `action: hash, key: ids`},
	{name: "a mask is no cryptography", kind: actMask, rule: `action: mask, keep_last: 4`},
	{name: "refusal is no cryptography", kind: actReject, rule: `action: reject`},
	{name: "shifted times go by HMAC-SHA-256", kind: actShift, rule: `action: shift, key: ids, days: 10, by: key`},
	{name: "tokens of a vault are drawn", kind: actTokenize, rule: `action: tokenize, vault: people, format: uuid`},
	{name: "tokens that are computed", kind: actTokenize, rule: `action: tokenize, key: ids, format: pan`, at: "format", refuse: "FF1"},
	{name: "a hash without a key is SHA-256", kind: actUnsafe, rule: `action: unsafe-sha256, reason: "random identifiers"`},
}

func TestTheFIPSTableHasEveryActionModeAndSuite(t *testing.T) {
	for _, word := range actions() {
		if !slices.ContainsFunc(fipsTable, func(r fipsRow) bool { return r.kind == actionKind(word) }) {
			t.Errorf("no row for action %s", word)
		}
	}
	modes, suites, ways := map[cryptMode]bool{}, map[suiteName]bool{}, map[bool]bool{}
	for _, row := range fipsTable {
		switch row.kind {
		case actEncrypt:
			modes[row.mode], suites[row.suite] = true, true
		case actTokenize:
			ways[strings.Contains(row.rule, "vault:")] = true
		default:
		}
	}
	// The String of a mode that does not exist is that of mode random.
	for mode := modeRandom; mode == modeRandom || mode.String() != modeRandom.String(); mode++ {
		if !modes[mode] {
			t.Errorf("no row for mode %s", mode)
		}
	}
	if !suites[suiteGCM] || !suites[suiteXAES] || len(ways) != 2 {
		t.Errorf("suites %v, tokens by vault or key %v", suites, ways)
	}
}

// places puts a rule into each place of a policy that takes one.
func places(rule string) map[string]string {
	return map[string]string{
		"rules[0]":            "rules:\n  - {tag: PII, " + rule + "}\n",
		"topics[0].rules[0]":  "topics:\n  - match: t\n    rules: [{tag: PII, " + rule + "}]\n",
		"topics[0].fields[0]": "topics:\n  - match: t\n    format: json\n    fields: [{path: /a, " + rule + "}]\n",
		"topics[0].headers[0]": "topics:\n  - match: t\n    format: json\n    fields: [{path: /b, action: drop}]\n" +
			"    headers: [{name: h, " + rule + "}]\n",
		"topics[0].key": "topics:\n  - match: t\n    format: json\n    fields: [{path: /b, action: drop}]\n    key: {" + rule + "}\n",
	}
}

// fits tells whether a policy without the profile takes the rule at its place.
func fits(text string) bool {
	_, err := parsePolicyIn("", []byte(text), false)
	return err == nil
}

func TestTheFIPSProfileRefusesWhatIsNotApprovedAndNothingElse(t *testing.T) {
	for _, row := range fipsTable {
		t.Run(row.name, func(t *testing.T) {
			tried := 0
			for place, section := range places(row.rule) {
				plain := "version: 1\n" + fipsKeys + section
				if !fits(plain) {
					continue // such as a mask of a record key
				}
				tried++
				for _, c := range []struct {
					what, text string
					enforced   bool
					begins     string
				}{
					{"profile", "version: 1\nprofile: fips\n" + fipsKeys + section, false, whyProfile},
					{"profile and process", "version: 1\nprofile: fips\n" + fipsKeys + section, true, whyProfile},
					{"process", plain, true, whyEnforced},
				} {
					p, err := parsePolicyIn("p.yaml", []byte(c.text), c.enforced)
					if row.refuse == "" {
						if err != nil {
							t.Errorf("%s, %s: %v", c.what, place, err)
						}
						continue
					}
					errs, ok := errors.AsType[PolicyErrors](err)
					if !ok || len(errs) != 1 || p != nil {
						t.Errorf("%s, %s: %v", c.what, place, err)
						continue
					}
					e := errs[0]
					if e.Path != place+"."+row.at || e.File != "p.yaml" || !strings.HasPrefix(e.Reason, c.begins) ||
						!strings.Contains(e.Reason, row.refuse) || !strings.Contains(e.Reason, "FIPS 140-3 module: use ") {
						t.Errorf("%s, %s: %v", c.what, place, e)
					}
					// The place is that of the word which chose the algorithm.
					line := strings.Split(c.text, "\n")[e.Line-1]
					if !strings.Contains(line[:e.Column-1], row.at+": ") || strings.ContainsAny(line[e.Column-1:e.Column], " :") {
						t.Errorf("%s, %s: points at %q", c.what, place, line[e.Column-1:])
					}
				}
			}
			if tried == 0 {
				t.Error("the rule fits nowhere")
			}
		})
	}
}

func TestAllRefusalsOfTheProfileComeAtOnce(t *testing.T) {
	text := "version: 1\n" + fipsKeys + `rules:
  - {tag: A, action: encrypt, key: ids, mode: deterministic}
  - {tag: B, action: encrypt, key: gcm}
  - {tag: C, action: tokenize, key: ids, format: ssn}
  - {tag: D, action: encrypt, key: ids, mode: format-preserving}
  - {tag: E, action: encypt}
profile: fips
`
	_, err := parsePolicyIn("", []byte(text), false)
	errs, _ := errors.AsType[PolicyErrors](err)
	var at []int
	for _, e := range errs {
		at = append(at, e.Line)
	}
	if !slices.Equal(at, []int{7, 9, 10, 11}) {
		t.Errorf("refused on lines %v:\n%v", at, err)
	}
}

func TestTheProfileIsOneWord(t *testing.T) {
	for text, want := range map[string]string{
		"profile: fips":    "",
		"profile: FIPS":    `unknown profile "FIPS" (known: fips)`,
		"profile: none":    `unknown profile "none" (known: fips)`,
		"profile: true":    "expected one of fips, found true or false",
		"profile:":         "expected one of fips, found nothing",
		"profile: [fips]":  "expected one of fips, found a list",
		`profile: "fips "`: "unknown profile (known: fips)",
	} {
		p, err := parsePolicyIn("", []byte("version: 1\n"+text+"\nrules: [{tag: A, action: drop}]\n"), false)
		if want == "" {
			if err != nil || !p.FIPS() {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func fipsPolicy(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := parsePolicyIn("", []byte("version: 1\n"+text), false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnEngineOfTheProfileNeedsTheModule(t *testing.T) {
	const (
		approved   = fipsKeys + "rules: [{tag: A, action: encrypt, key: gcm}]\n"
		unapproved = fipsKeys + "rules: [{tag: A, action: encrypt, key: ids, mode: deterministic}]\n"
	)
	for _, tt := range []struct {
		name                                string
		policy                              string
		asked, noModule, enabled, ok, isOff bool
	}{
		{name: "no profile, no module", policy: unapproved, ok: true},
		{name: "no profile, with the module", policy: unapproved, enabled: true, ok: true},
		{name: "profile, no module", policy: "profile: fips\n" + approved, isOff: true},
		{name: "profile, with the module", policy: "profile: fips\n" + approved, enabled: true, ok: true},
		{name: "profile, and the option that says otherwise", policy: "profile: fips\n" + approved, noModule: true, ok: true},
		{name: "asked for by the program, no module", policy: approved, asked: true, isOff: true},
		{name: "asked for by the program, with the module", policy: approved, asked: true, enabled: true, ok: true},
		{name: "asked for by the program, and what is not approved", policy: unapproved, asked: true, enabled: true},
		{name: "the option that says otherwise excuses no algorithm", policy: unapproved, asked: true, noModule: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Engine{policy: fipsPolicy(t, tt.policy), fips: tt.asked, noModule: tt.noModule}
			err := e.checkFIPS(tt.enabled)
			_, refused := errors.AsType[*PolicyError](err)
			if (err == nil) != tt.ok || errors.Is(err, ErrFIPSMode) != tt.isOff || refused != (!tt.ok && !tt.isOff) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestNewAndCompileCheckTheProcessTheyRunIn(t *testing.T) {
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s, err := avro.Parse(schema.Text{Format: schema.Avro, Schema: `{"type": "record", "name": "r", "fields": [{"name": "x", "type": "string", "confluent:tags": ["A"]}]}`})
	if err != nil {
		t.Fatal(err)
	}
	const rules = fipsKeys + "rules: [{tag: A, action: encrypt, key: gcm}]\n"
	marked, plain := fipsPolicy(t, "profile: fips\n"+rules), fipsPolicy(t, rules)
	siv := fipsPolicy(t, fipsKeys+"rules: [{tag: A, action: encrypt, key: ids, mode: deterministic}]\n")
	for _, tt := range []struct {
		name   string
		policy *Policy
		opts   []Option
		// needs is true where the process decides.
		needs, refused bool
	}{
		{name: "profile", policy: marked, needs: true},
		{name: "profile without the module", policy: marked, opts: []Option{WithoutFIPSModule()}},
		{name: "no profile", policy: plain},
		{name: "asked for", policy: plain, opts: []Option{WithFIPS()}, needs: true},
		{name: "asked for of another policy", policy: siv, opts: []Option{WithFIPS(), WithoutFIPSModule()}, refused: true},
	} {
		check := func(what string, err error) {
			t.Helper()
			_, refused := errors.AsType[PolicyErrors](err)
			off := tt.needs && !fips140.Enabled()
			if errors.Is(err, ErrFIPSMode) != off || refused != tt.refused || err != nil && !off && !refused {
				t.Errorf("%s, %s: %v", tt.name, what, err)
			}
			if refused && !strings.Contains(err.Error(), "rules[0].mode: "+whyProfile+"AES-SIV") {
				t.Errorf("%s, %s: %v", tt.name, what, err)
			}
		}
		_, err := New(tt.policy, keys, tt.opts...)
		check("New", err)
		_, err = Compile(s, tt.policy, keys, "t", tt.opts...)
		check("Compile", err)
	}
}

func TestParsePolicyAsksTheProcessWhetherItEnforces(t *testing.T) {
	_, err := ParsePolicy([]byte("version: 1\n" + fipsKeys + "rules: [{tag: A, action: tokenize, key: ids, format: pan}]\n"))
	if refused := err != nil; refused != fips140.Enforced() {
		t.Errorf("enforced %v: %v", fips140.Enforced(), err)
	}
}

func TestAnActionOrModeThatNobodyJudgedIsRefused(t *testing.T) {
	for _, a := range []actionSpec{{kind: "new"}, {}, {kind: actEncrypt, mode: modePerson + 1}} {
		if key, why := a.unapproved(); key == "" || !strings.Contains(why, "not known to be approved") {
			t.Errorf("%+v: %q, %q", a.kind, key, why)
		}
	}
}

func TestMoreRefusalsThanAreShown(t *testing.T) {
	var b strings.Builder
	b.WriteString(fipsKeys + "rules:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "  - {tag: T%d, action: encrypt, key: ids, mode: deterministic}\n", i)
	}
	e := &Engine{policy: fipsPolicy(t, b.String()), fips: true}
	errs, _ := errors.AsType[PolicyErrors](e.checkFIPS(true))
	if len(errs) != maxPolicyErrors {
		t.Errorf("%d errors", len(errs))
	}
}
