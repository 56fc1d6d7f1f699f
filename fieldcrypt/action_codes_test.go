package fieldcrypt_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// Values that fit no action: none of them is sent, and no error holds any of it.
func TestNoActionLetsAValuePassThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	key := w.domainKey("")
	vault := fieldcrypt.WithVault("v", tokenize.NewVault(vaulttest.NewMemory()))
	for _, action := range []string{
		"mask, rule: card", "mask, rule: email", "mask, rule: phone", "mask, rule: iban", "mask, rule: ssn", "mask, rule: ip/24",
		"mask, rule: mac", "mask, rule: uuid", "mask, rule: zip3", "mask, rule: geo/1",
		"generalize, to: year, layout: iso-date", "generalize, to: hour, layout: rfc3339", "generalize, to: month, layout: compact-date",
		"generalize, bucket: 10", "generalize, top: 90", "generalize, round: 1", "generalize, grid: 0.1",
		"shift, key: ids, days: 40, by: key, layout: iso-date",
		"encrypt, key: ids, mode: format-preserving", "encrypt, key: ids, mode: format-preserving, luhn: keep",
		"tokenize, key: ids, format: pan", "tokenize, key: ids, format: ssn", "tokenize, key: ids, format: digits",
		"tokenize, vault: v, format: pan", "tokenize, vault: v, format: ssn", "tokenize, vault: v, format: digits",
	} {
		policy := fmt.Sprintf("version: 1\ndataset: d\ndomain_keys: {ids: {kek: \"local:k\", versions: [%s]}}\nvaults: {v: {key: ids}}\nrules: [{tag: X, action: %s", key, action)
		w.schemas[1] = avroText(record(`{"name": "x", "type": ["null", "string"], "confluent:tags": ["X"]}`))
		value := []byte("CANARY-" + action)
		rec := fieldcrypt.Record{Topic: "t", Key: []byte("p"), Value: w.framed(1, map[string]any{"x": string(value)})}

		out, err := w.engine(policy+"}]\n", vault).Protect(t.Context(), rec)
		f := asFault(t, err)
		if f.Code != fieldcrypt.CodeValue || f.Retryable() || f.Path != "/x" || out.Value != nil {
			t.Errorf("%s: %v", action, err)
		}
		if how := (canaries{value}).leak(fmt.Sprintf("%v %+v %#v", err, f, f.Err)); how != "" {
			t.Errorf("%s: the error holds the value, %s", action, how)
		}

		e := w.engine(policy+", on_invalid: redact}]\n", vault)
		out, err = e.Protect(t.Context(), rec)
		if err != nil || w.decoded(1, out.Value)["x"] != "[redacted]" || e.Stats().Redacted != 1 {
			t.Errorf("%s, redacted: %v, counted %d", action, err, e.Stats().Redacted)
		}
		null := rec
		null.Value = w.framed(1, map[string]any{"x": nil})
		out, err = e.Protect(t.Context(), null)
		if err != nil || w.decoded(1, out.Value)["x"] != nil {
			t.Errorf("%s, null: %v", action, err)
		}
	}
}

// What a token vault and its gate refuse has codes of its own.
func TestTheCodesOfVaultsAndGates(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	policy := fmt.Sprintf(tokenRules, w.domainKey(""))
	store := vaulttest.NewMemory()
	in := fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson("CANARY-a@x.org"))}
	out, err := w.engine(policy, fieldcrypt.WithVault("people", tokenize.NewVault(store))).Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	audit := tokenize.NewSlogAudit(slog.NewJSONHandler(&lines, nil))
	allow := func(context.Context, tokenize.Request) error { return nil }
	deny := func(context.Context, tokenize.Request) error { return errors.New("not on the list") }
	for name, tt := range map[string]struct {
		authorize tokenize.Authorizer
		opts      []tokenize.GateOption
		store     tokenize.Store
		want      fieldcrypt.Code
		retryable bool
	}{
		"a caller who may not":       {authorize: deny, store: store, want: fieldcrypt.CodeDenied},
		"a caller who had his share": {authorize: allow, opts: []tokenize.GateOption{tokenize.WithVolume(1, time.Hour)}, store: store, want: fieldcrypt.CodeLimited, retryable: true},
		"a vault without the rows":   {authorize: allow, store: vaulttest.NewMemory(), want: fieldcrypt.CodeTokenUnknown},
	} {
		gate, err := tokenize.NewGate(audit, tt.authorize, tt.opts...)
		if err != nil {
			t.Fatal(err)
		}
		e := w.engine(policy, fieldcrypt.WithVault("people", tokenize.NewVault(tt.store, tokenize.WithGate(gate))),
			fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"}))
		back, err := e.Reveal(t.Context(), out)
		for range 3 { // until a limit is met
			if err == nil {
				back, err = e.Reveal(t.Context(), out)
			}
		}
		if f := asFault(t, err); f.Code != tt.want || f.Retryable() != tt.retryable || back.Value != nil {
			t.Errorf("%s: %v", name, err)
		}
		if how := (canaries{[]byte("CANARY-a@x.org")}).leak(err.Error() + lines.String()); how != "" {
			t.Errorf("%s: a text holds the value, %s", name, how)
		}
	}
	// A vault without a gate tells nobody.
	e := w.engine(policy, fieldcrypt.WithVault("people", tokenize.NewVault(store)), fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"}))
	if _, err := e.Reveal(t.Context(), out); asFault(t, err).Code != fieldcrypt.CodeDenied {
		t.Errorf("no gate: %v", err)
	}
	// In report mode a token that nobody knows is handed out, and counted.
	gate, err := tokenize.NewGate(audit, allow)
	if err != nil {
		t.Fatal(err)
	}
	e = w.engine(policy+"on_mismatch: report\n", fieldcrypt.WithVault("people", tokenize.NewVault(vaulttest.NewMemory(), tokenize.WithGate(gate))),
		fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"}))
	back, err := e.Reveal(t.Context(), out)
	if err != nil || !bytes.Equal(back.Value, out.Value) || e.Stats().Unsealed != 2 {
		t.Errorf("report: %v, %d", err, e.Stats().Unsealed)
	}
}

func TestLintFindsWhatAReviewerWouldAskAbout(t *testing.T) {
	const domain = "domain_keys: {ids: {kek: \"local:k\", versions: [%s]}}\n"
	w := newWorld(t)
	key := fmt.Sprintf(domain, w.domainKey(""))
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing but the record key", "rules: [{tag: PII, action: drop}]", []string{"record-key-clear"}},
		{"a key that is protected", key + "dataset: d\nrules: [{tag: PII, action: drop}]\ntopics: [{match: t, key: {action: hash, key: ids}}]", nil},
		{"guards that are open", "untagged_schema: allow\nunknown_tag: allow\nunknown_field: allow\nrules: [{tag: PII, action: drop}]", []string{"guard-open", "guard-open", "guard-open", "record-key-clear"}},
		{"a reader who takes all", "on_mismatch: report\nrules: [{tag: PII, action: drop}]", []string{"mismatch-report", "record-key-clear"}},
		{"a personal tag that is ignored", "ignore_tags: [HR.SALARY]\nrules: [{tag: PII, action: drop}]", []string{"ignored-personal-tag", "record-key-clear"}},
		{"tenants by chance", "tenant: {from: header:t, required: false}\nrules: [{tag: PII, action: drop}]", []string{"record-key-clear", "tenant-optional"}},
		{"a key for a day", "keys: {k: {kek: \"local:k\", expire: 24h}}\nrules: [{tag: PII, action: encrypt, key: k}]", []string{"key-long-lived", "record-key-clear"}},
		{"a hash without a key", "rules: [{tag: SESSION, action: unsafe-sha256, reason: random}]", []string{"record-key-clear", "unsafe-hash"}},
		{"a card in two forms", key + "rules: [{tag: PCI.PAN, action: mask, rule: card}]\ntopics: [{match: \"*\", dataset: d, key: {action: hash, key: ids}, rules: [{tag: PCI.PAN, action: hash, key: ids}]}]", []string{"card-in-two-forms"}},
		{"a mask that shows a card", "rules: [{tag: PAN, action: mask, keep_first: 8, keep_last: 4}]", []string{"mask-shows-card", "record-key-clear"}},
		{"a mask that shows a phone", "rules: [{tag: PHONE, action: mask, keep_last: 6}]", []string{"mask-shows-much", "record-key-clear"}},
		{"the oldest", "rules: [{tag: PII.BIRTH, action: generalize, to: year}]", []string{"age-over-89", "record-key-clear"}},
		{"a small shift", key + "rules: [{tag: WHEN, action: shift, key: ids, days: 3, by: key}]", []string{"record-key-clear", "shift-small"}},
		{"what looks like a card", key + "rules: [{tag: PAN, action: encrypt, key: ids, mode: format-preserving}]", []string{"looks-like-a-card", "no-integrity", "record-key-clear"}},
		{"a valid card", key + "rules: [{tag: PII.X, action: encrypt, key: ids, mode: format-preserving, luhn: keep}]", []string{"looks-like-a-card", "no-integrity", "record-key-clear"}},
		{"a short hash of a card", key + "rules: [{tag: PAN, action: hash, key: ids, form: uuid}]", []string{"hash-short", "record-key-clear"}},
		{"a reason", key + "rules: [{tag: PII, action: hash, key: ids, reason: counted once}]", []string{"reason-given", "record-key-clear"}},
		{"what is lost", "rules: [{tag: PAN, action: mask, rule: card, on_invalid: redact}]", []string{"invalid-redacted", "record-key-clear"}},
	} {
		p, err := fieldcrypt.ParsePolicy([]byte("version: 1\n" + tt.text + "\n"))
		if fips140.Enforced() && strings.Contains(tt.text, "format-preserving") {
			if err == nil {
				t.Errorf("%s: FF1 in a process that enforces FIPS 140-3", tt.name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, f := range p.Lint() {
			got = append(got, f.Code)
			if f.Text == "" || f.Severity == "" || f.Line == 0 && f.Path == "" || f.String() == "" {
				t.Errorf("%s: %+v", tt.name, f)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLintOfAPlanFindsFieldsThatSoundPersonal(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`
		{"name": "homePhone", "type": "string"}, {"name": "amount", "type": "int"}, {"name": "pin", "type": "int"},
		{"name": "cardNumber", "type": "string", "confluent:tags": ["A"]}, {"name": "pan", "type": "string", "confluent:tags": ["B"]}`))
	plan := w.planOf("version: 1\nrules: [{tag: A, action: mask, rule: card}, {tag: B, action: mask, rule: card-last4}]\n", 1)
	var got []string
	for _, f := range plan.Lint() {
		got = append(got, f.Code+" "+f.Path)
	}
	want := []string{"clear-sounds-personal /homePhone", "clear-sounds-personal /pin", "card-in-two-forms /pan"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLintOfAPlanBelievesWhatIsListedUnderClear(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`
		{"name": "email", "type": "string", "confluent:tags": ["A"]}, {"name": "city", "type": "string"},
		{"name": "home", "type": {"type": "record", "name": "Home", "fields": [{"name": "country", "type": "string"}]}}, {"name": "phone", "type": "string"}`))
	plan := w.planOf("version: 1\nrules: [{tag: A, action: mask, rule: email}]\ntopics: [{match: \"*\", clear: [/city, /home]}]\n", 1)
	var got []string
	for _, f := range plan.Lint() {
		got = append(got, f.Code+" "+f.Path)
	}
	if want := []string{"clear-sounds-personal /phone"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
