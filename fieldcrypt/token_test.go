package fieldcrypt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const tokenRules = `
version: 1
dataset: people
domain_keys:
  ids: {kek: "local:k", versions: [%s]}
vaults:
  people: {key: ids}
rules:
  - {tag: PAN, action: tokenize, vault: people, format: pan, keep_last: 4, join: card}
  - {tag: MAIL, action: tokenize, vault: people, format: prefixed, prefix: "mail_", on_invalid: redact}
topics:
  - {match: "*", key: {action: tokenize, vault: people, format: uuid}}
`

const tokenFields = `{"name": "pan", "type": ["null", "string"], "confluent:tags": ["PAN"]},
	{"name": "mails", "type": {"type": "array", "items": "string"}, "confluent:tags": ["MAIL"]}`

func tokenPerson(mails ...string) map[string]any {
	items := make([]any, len(mails))
	for i, m := range mails {
		items[i] = m
	}
	return map[string]any{"pan": "4111111111111111", "mails": items}
}

// countingStore counts round trips, and can be down.
type countingStore struct {
	tokenize.Store

	inserts, rows int
	down          error
}

func (s *countingStore) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if s.down != nil {
		return nil, s.down
	}
	s.inserts++
	s.rows += len(rows)
	return s.Store.Insert(ctx, rows)
}

func TestTokensStandForValues(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	w.schemas[2] = avroText(strings.Replace(record(tokenFields), "com.example.R", "com.example.Order", 1))
	store := &countingStore{Store: vaulttest.NewMemory()}
	var audit bytes.Buffer
	first, second := w.domainKey(""), w.domainKey("")
	engine := func(versions string, more ...fieldcrypt.Option) *fieldcrypt.Engine {
		gate, err := tokenize.NewGate(tokenize.NewSlogAudit(slog.NewJSONHandler(&audit, nil)), func(context.Context, tokenize.Request) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		vault := tokenize.NewVault(store, tokenize.WithGate(gate))
		return w.engine(fmt.Sprintf(tokenRules, versions), append(more, fieldcrypt.WithVault("people", vault))...)
	}
	in := fieldcrypt.Record{Topic: "people", Key: []byte("person-1"), Value: w.framed(1, tokenPerson("a@x.org", "b@x.org", "a@x.org"))}
	e := engine(first)
	out, err := e.Protect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := w.decoded(1, out.Value)
	pan, _ := got["pan"].(string)
	mails, _ := got["mails"].([]any)
	if len(pan) != 16 || !strings.HasSuffix(pan, "1111") || strings.HasPrefix(pan, "4") || len(mails) != 3 || mails[0] != mails[2] || mails[0] == mails[1] {
		t.Fatalf("%v", got)
	}
	if len(out.Key) != 36 {
		t.Errorf("key %q", out.Key)
	}
	// What is known needs no vault.
	before := store.inserts
	again, err := e.Protect(t.Context(), in)
	if err != nil || store.inserts != before || !bytes.Equal(again.Value, out.Value) || !bytes.Equal(again.Key, out.Key) {
		t.Errorf("%d round trips for known values, %v", store.inserts-before, err)
	}
	// Another process, after a rotation, in another topic and schema.
	later, err := engine(first+", "+second).Protect(t.Context(), fieldcrypt.Record{Topic: "orders", Value: w.framed(2, tokenPerson("a@x.org"))})
	if err != nil {
		t.Fatal(err)
	}
	order := w.decoded(2, later.Value)
	theirs, _ := order["mails"].([]any)
	if order["pan"] != pan || theirs[0] == mails[0] {
		t.Errorf("the joined token is %v, the other %v", order["pan"], theirs)
	}
	// Tokens stay tokens for those who have no access.
	back, err := engine(first+", "+second).Reveal(t.Context(), out)
	if err != nil || !bytes.Equal(back.Value, out.Value) {
		t.Errorf("revealed without access: %v", err)
	}
	reader := engine(first+", "+second, fieldcrypt.WithDetokenize(tokenize.Access{Caller: "reader", Purpose: "test"}))
	for _, rec := range []fieldcrypt.Record{out, again} {
		back, err := reader.Reveal(t.Context(), rec)
		if err != nil || !bytes.Equal(back.Value, in.Value) || string(back.Key) != "person-1" {
			t.Errorf("revealed %q, %q, %v", back.Key, back.Value, err)
		}
	}
	if n := strings.Count(audit.String(), "\n"); n != 6 || !strings.Contains(audit.String(), `"reader"`) {
		t.Errorf("%d lines of audit: %s", n, audit.String())
	}
	// A reader who is named by the context of one call, and no later one.
	ctx := tokenize.ContextWithAccess(t.Context(), tokenize.Access{Caller: "somebody else", Purpose: "case 7"})
	open := engine(first + ", " + second)
	if back, err := open.Reveal(ctx, out); err != nil || !bytes.Equal(back.Value, in.Value) || string(back.Key) != "person-1" {
		t.Errorf("revealed for one call %q, %q, %v", back.Key, back.Value, err)
	}
	if back, err := open.Reveal(t.Context(), out); err != nil || !bytes.Equal(back.Value, out.Value) {
		t.Errorf("revealed without access after a call with it: %v", err)
	}
	if n := strings.Count(audit.String(), "somebody else"); n != 3 || !strings.Contains(audit.String(), "case 7") {
		t.Errorf("%d lines name the reader of the call: %s", n, audit.String())
	}
	for _, value := range []string{"4111111111111111", "a@x.org", "person-1"} {
		if strings.Contains(audit.String(), value) {
			t.Errorf("the audit holds a value: %s", audit.String())
		}
	}
}

// FV-94: no token leaves before its row is durable.
func TestAVaultThatIsAwayStopsOnlyWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	store := &countingStore{Store: vaulttest.NewMemory()}
	e := w.engine(fmt.Sprintf(tokenRules, w.domainKey("")), fieldcrypt.WithVault("people", tokenize.NewVault(store)))
	known := fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson("a@x.org"))}
	if _, err := e.Protect(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	store.down = errors.New("connection refused")
	if _, err := e.Protect(t.Context(), known); err != nil {
		t.Errorf("a record of known values: %v", err)
	}
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson("new@x.org"))})
	f := asFault(t, err)
	if f.Code != fieldcrypt.CodeVault || !f.Retryable() || f.Path != "/mails/[]" || out.Value != nil || strings.Contains(err.Error(), "new@") {
		t.Errorf("%v", err)
	}
	store.down = nil
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson("new@x.org"))}); err != nil {
		t.Errorf("after the vault is back: %v", err)
	}
}

func TestManyNewValuesOfARecordAreOneBatch(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	store := &countingStore{Store: vaulttest.NewMemory()}
	e := w.engine(fmt.Sprintf(tokenRules, w.domainKey("")), fieldcrypt.WithVault("people", tokenize.NewVault(store)))
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson("first@x.org"))}); err != nil {
		t.Fatal(err)
	}
	mails := make([]string, 500)
	for i := range mails {
		mails[i] = fmt.Sprintf("m%d@x.org", i)
	}
	before := *store
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson(mails...))}); err != nil {
		t.Fatal(err)
	}
	if n := store.inserts - before.inserts; n != 1 {
		t.Errorf("%d round trips", n)
	}
	if n := store.rows - before.rows; n != 500 {
		t.Errorf("%d rows", n)
	}
}

func TestAVaultMustBeGivenToTheEngine(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	e := w.engine(fmt.Sprintf(tokenRules, w.domainKey("")))
	_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, tokenPerson())})
	if f := asFault(t, err); f.Code != fieldcrypt.CodePolicy || !strings.Contains(err.Error(), "WithVault") {
		t.Errorf("%v", err)
	}
}

func TestACardNumberThatIsNoneGetsNoToken(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(tokenFields))
	e := w.engine(fmt.Sprintf(tokenRules, w.domainKey("")), fieldcrypt.WithVault("people", tokenize.NewVault(vaulttest.NewMemory())))
	v := tokenPerson()
	v["pan"] = "4111111111111112"
	_, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, v)})
	if f := asFault(t, err); f.Code != fieldcrypt.CodeValue || f.Path != "/pan" || strings.Contains(err.Error(), "4111") {
		t.Errorf("%v", err)
	}
}

// swappingStore answers with the row of another value.
type swappingStore struct {
	tokenize.Store

	other tokenize.Row
}

func (s *swappingStore) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	out, err := s.Store.Insert(ctx, rows)
	for i := range out {
		switch {
		case rows[i].Index == tokenize.Index{}: // which key makes the index
		case len(s.other.Token) > 0:
			out[i] = tokenize.Outcome{Status: tokenize.Exists, Row: s.other}
			out[i].Row.Index = rows[i].Index
		default:
			s.other = out[i].Row
		}
	}
	return out, err
}

// FV-95: a token that stands for another value never leaves.
func TestARowOfAnotherValueIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`{"name": "mail", "type": "string", "confluent:tags": ["MAIL"]}`))
	vault := tokenize.NewVault(&swappingStore{Store: vaulttest.NewMemory()})
	e := w.engine(fmt.Sprintf(tokenRules, w.domainKey("")), fieldcrypt.WithVault("people", vault))
	for i, mail := range []string{"a@x.org", "b@x.org"} {
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, map[string]any{"mail": mail})})
		if i == 0 {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if f := asFault(t, err); f.Code != fieldcrypt.CodeVaultUnusable || f.Retryable() || out.Value != nil {
			t.Errorf("%v", err)
		}
	}
}
