package engine

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/produce"
	"github.com/fieldveil/fieldveil/sidecar/secret"
	"github.com/fieldveil/fieldveil/tokenize"
)

const mail = "ann@example.org"

// A countingKMS counts the keys that are made.
type countingKMS struct {
	kms.Wrapper

	made atomic.Int64
	down atomic.Bool
}

func (c *countingKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if c.down.Load() {
		return nil, nil, kms.ErrUnavailable
	}
	c.made.Add(1)
	return c.Wrapper.Generate(ctx, kek, ec)
}

func newKMS() *countingKMS { return &countingKMS{Wrapper: localkms.NewInMemory()} }

func policy(t testing.TB, more string) *fieldcrypt.Policy {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: people
keys: {pii: {kek: "local:k"}}
topics:
  - match: people
    format: json
    fields: [{path: /mail, action: encrypt, key: pii}` + more + `]
`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t testing.TB, change func(*Config), deps Deps) *Base {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	b, err := Open(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func record() *produce.Record {
	return &produce.Record{Topic: "people", Partition: 3, Key: []byte("7"), Value: []byte(`{"id":7,"mail":"` + mail + `","name":"Ann"}`), Headers: []produce.Header{{Key: "h", Value: []byte("v")}}}
}

func TestARecordIsProtectedAndRevealedAgain(t *testing.T) {
	b := open(t, nil, Deps{KMS: newKMS()})
	e, err := b.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	in := record()
	out, err := e.Protect(t.Context(), nil, in)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out.Value, []byte(mail)) || !bytes.Contains(out.Value, []byte(`"mail":"fv1:`)) || out.Partition != 3 || out.Topic != "people" {
		t.Errorf("%s, %+v", out.Value, out)
	}
	if len(out.Headers) < 2 || out.Headers[0].Key != "h" {
		t.Errorf("headers %+v", out.Headers)
	}
	back, err := e.Reveal(t.Context(), &out, tokenize.Access{})
	if err != nil || !bytes.Equal(back.Value, in.Value) || len(back.Headers) != 1 {
		t.Errorf("%s, %v", back.Value, err)
	}
}

func TestTheTenantGuardIsAskedForEachRecord(t *testing.T) {
	p, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: people
tenant: {from: "value:/tenant", required: true}
keys: {pii: {kek: "local:k"}}
topics: [{match: people, format: json, fields: [{path: /mail, action: encrypt, key: pii}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	k := newKMS()
	b := open(t, nil, Deps{KMS: k, Tenant: func(_ context.Context, topic, tenant string) error {
		asked = append(asked, topic+" "+tenant)
		if tenant != "acme" {
			return errors.New("not his")
		}
		return nil
	}})
	e, err := b.NewEngine(t.Context(), Rules{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rec := produce.Record{Topic: "people", Value: []byte(`{"tenant":"umbrella","mail":"` + mail + `"}`)}
	_, err = e.Protect(t.Context(), nil, &rec)
	if refused, ok := errors.AsType[*produce.Error](err); !ok || refused.Code != "tenant_denied" || refused.Outcome != produce.Rejected {
		t.Errorf("another's tenant: %v", err)
	}
	if n := k.made.Load(); n != 0 {
		t.Errorf("%d keys for a record that was refused", n)
	}
	rec.Value = []byte(`{"tenant":"acme","mail":"` + mail + `"}`)
	out, err := e.Protect(t.Context(), nil, &rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Reveal(t.Context(), &out, tokenize.Access{}); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(asked); got != "[people umbrella people acme people acme]" {
		t.Errorf("asked for %s", got)
	}
}

func TestARefusalNamesPathAndCodeAndNoValue(t *testing.T) {
	engine := func(t *testing.T, down bool) *Engine {
		t.Helper()
		k := newKMS()
		k.down.Store(down)
		e, err := open(t, nil, Deps{KMS: k}).NewEngine(t.Context(), Rules{Policy: policy(t, ", {path: /name, action: reject}")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}
	for _, tt := range []struct {
		name  string
		topic string
		value string
		want  produce.Error
	}{
		{"a KMS that is away", "people", `{"mail":"` + mail + `"}`, produce.Error{Code: "key_unavailable", Outcome: produce.Retryable}},
		{"a value that may not be there", "people", `{"mail":"` + mail + `","name":"Ann"}`, produce.Error{Code: "value_rejected", Outcome: produce.Rejected, Path: "/name", Action: "reject"}},
		{"a topic without rules", "others", `{"mail":"` + mail + `"}`, produce.Error{Code: "topic_ungoverned", Outcome: produce.Rejected}},
		{"a record that is none", "people", mail, produce.Error{Code: "record_malformed", Outcome: produce.Rejected}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := engine(t, tt.want.Outcome == produce.Retryable).Protect(t.Context(), nil, &produce.Record{Topic: tt.topic, Value: []byte(tt.value)})
			got, ok := errors.AsType[*produce.Error](err)
			if !ok || got.Code != tt.want.Code || got.Outcome != tt.want.Outcome || (tt.want.Path != "" && *got != tt.want) {
				t.Fatalf("%#v", err)
			}
			if text := fmt.Sprintf("%v %+v", err, got); strings.Contains(text, "ann") || strings.Contains(text, "Ann") {
				t.Errorf("the error shows a value: %s", text)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := engine(t, false).Protect(ended, nil, record())
	if got, ok := errors.AsType[*produce.Error](err); !ok || got.Outcome != produce.Retryable {
		t.Errorf("a request that has ended: %v", err)
	}
}

func TestPoliciesThatDescribeTheirKeysAlikeShareThem(t *testing.T) {
	k := newKMS()
	b := open(t, func(c *Config) { c.Keys.Files = filepath.Join(t.TempDir(), "keys") }, Deps{KMS: k})
	one, err := b.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Engine(t.Context(), Rules{Policy: policy(t, ", {path: /name, action: drop}")})
	if err != nil {
		t.Fatal(err)
	}
	if n := k.made.Load(); n != 1 {
		t.Errorf("%d keys were made for two policies with the same keys", n)
	}
	one.Close()
	one.Close()
	if _, err := two.Protect(t.Context(), nil, record()); err != nil {
		t.Errorf("the second engine ended with the first: %v", err)
	}
	two.Close()
	three, err := b.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	defer three.Close()
	if n := k.made.Load(); n != 2 {
		t.Errorf("%d keys were made, and the first was given up", n)
	}
	b.Close()
	if _, err := b.NewEngine(t.Context(), Rules{Policy: policy(t, "")}); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAnEngineIsReplacedBetweenRecordsAndClosedAfterItsLast(t *testing.T) {
	b := open(t, nil, Deps{KMS: newKMS()})
	engine := func(more string) *Engine {
		e, err := b.Engine(t.Context(), Rules{Policy: policy(t, more)})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	all := []*Engine{engine("")}
	s := NewSwap(all[0])
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				out, err := s.Protect(context.Background(), nil, record()) //nolint:usetesting // the record outlives ctx
				if err != nil || bytes.Contains(out.Value, []byte(mail)) {
					t.Errorf("%s, %v", out.Value, err)
				}
				if back, err := s.Reveal(context.Background(), &out, tokenize.Access{}); err != nil || !bytes.Contains(back.Value, []byte(mail)) { //nolint:usetesting // as above
					t.Errorf("%s, %v", back.Value, err)
				}
			}
		})
	}
	for n := range 50 {
		e := engine([]string{"", ", {path: /name, action: mask, keep_first: 1}"}[n%2])
		all = append(all, e)
		s.Replace(e)
	}
	held := false
	s.Use(func(e *Engine) {
		s.Replace(engine(""))
		held = e == all[len(all)-1] && !e.closed.Load()
	})
	if !held {
		t.Error("an engine was closed while it was used")
	}
	cancel()
	wg.Wait()
	for n, e := range all {
		if !e.closed.Load() {
			t.Errorf("engine %d is still open", n)
		}
	}
	s.Close()
	s.Close()
	if _, err := s.Protect(t.Context(), nil, record()); err == nil {
		t.Error("protected after Close")
	}
	if _, err := s.Reveal(t.Context(), record(), tokenize.Access{}); err == nil || s.Use(func(*Engine) {}) {
		t.Error("used after Close")
	}
}

func TestValuesOfTokensAreGivenToWhomMayHaveThem(t *testing.T) {
	k := newKMS()
	block, err := datakey.CreateDomainBlock(t.Context(), k, "local:k", "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := fieldcrypt.ParsePolicy([]byte(`
version: 1
dataset: people
domain_keys: {d: {kek: "local:k", versions: [` + base64.StdEncoding.EncodeToString(block) + `]}}
vaults: {v: {key: d}}
topics:
  - {match: people, format: json, fields: [{path: /mail, action: tokenize, vault: v, format: uuid}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, nil, Deps{KMS: k}).NewEngine(t.Context(), Rules{Policy: p}); err == nil || !strings.Contains(err.Error(), "vaults: the policy names v") {
		t.Errorf("without the vault: %v", err)
	}
	var lines []tokenize.Entry
	b := open(t, func(c *Config) { c.Vaults = map[string]Vault{"v": {Bolt: filepath.Join(t.TempDir(), "v")}} }, Deps{
		KMS: k,
		Audit: auditFunc(func(_ context.Context, e tokenize.Entry) error {
			lines = append(lines, e)
			return nil
		}),
		Authorize: func(_ context.Context, r tokenize.Request) error {
			if r.Caller != "support" {
				return errors.New("not for you")
			}
			return nil
		},
	})
	e, err := b.Engine(t.Context(), Rules{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out, err := e.Protect(t.Context(), nil, record())
	if err != nil || bytes.Contains(out.Value, []byte(mail)) {
		t.Fatalf("%s, %v", out.Value, err)
	}
	if back, err := e.Reveal(t.Context(), &out, tokenize.Access{}); err != nil || bytes.Contains(back.Value, []byte(mail)) {
		t.Errorf("for nobody: %s, %v", back.Value, err)
	}
	if back, err := e.Reveal(t.Context(), &out, tokenize.Access{Caller: "support", Purpose: "case 7"}); err != nil || !bytes.Contains(back.Value, []byte(mail)) {
		t.Errorf("for support: %s, %v", back.Value, err)
	}
	_, err = e.Reveal(t.Context(), &out, tokenize.Access{Caller: "sales", Purpose: "x"})
	if f, ok := errors.AsType[*produce.Error](err); !ok || f.Code != "detokenize_denied" {
		t.Errorf("for sales: %v", err)
	}
	if len(lines) != 2 || !lines[0].Granted || lines[1].Granted {
		t.Errorf("audit %+v", lines)
	}
}

type auditFunc func(context.Context, tokenize.Entry) error

func (f auditFunc) Record(ctx context.Context, e tokenize.Entry) error { return f(ctx, e) }

func TestKeysArePutIntoTheStoreBeforeTheyAreUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	k := newKMS()
	b := open(t, func(c *Config) { c.Keys.Store.Bolt = path }, Deps{KMS: k})
	e, err := b.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Protect(t.Context(), nil, record())
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	b.Close()
	again := open(t, func(c *Config) { c.Keys.Store.Bolt = path }, Deps{KMS: k})
	e, err = again.Engine(t.Context(), Rules{Policy: policy(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out.Headers = nil
	if back, err := e.Reveal(t.Context(), &out, tokenize.Access{}); err != nil || !bytes.Contains(back.Value, []byte(mail)) {
		t.Errorf("a record without headers: %s, %v", back.Value, err)
	}
}

func TestWhatCannotBeOpenedIsNamedAndShowsNoSecret(t *testing.T) {
	const canary = "hunter2"
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"a store that is no file", func(c *Config) { c.Keys.Store.Bolt = dir }, "keys.store.bolt: "},
		{"a URL that is none", func(c *Config) { c.Keys.Store.Postgres = secret.Value("postgres://u:" + canary + "@[") }, "keys.store.postgres: "},
		{"a secret that is not there", func(c *Config) { c.Keys.Store.Postgres = secret.Env("ENGINE_TEST_NOT_SET") }, "keys.store.postgres: "},
		{"another database", func(c *Config) { c.Keys.Store.Postgres = secret.Value("mysql://u:" + canary + "@h/d") }, "keys.store.postgres: "},
		{"a vault that is no file", func(c *Config) { c.Vaults = map[string]Vault{"v": {Bolt: dir}} }, "vaults.v: "},
		{"a vault in a database that cannot be named", func(c *Config) {
			c.Vaults = map[string]Vault{"v": {Postgres: secret.Value("postgres://u:" + canary + "@[")}}
		}, "vaults.v: "},
		{"a registry without a name", func(c *Config) { c.Schemas.Registry = &Registry{URLs: []string{"ftp://u:" + canary + "@h"}} }, "schemas.registry: "},
		{"what Validate finds", func(c *Config) { c.Keys.FanOut = 0 }, "keys.fan_out: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.change(&cfg)
			b, err := Open(t.Context(), cfg, Deps{KMS: newKMS()})
			if err == nil {
				b.Close()
				t.Fatal("opened")
			}
			if !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSchemasAndTagsOfFilesBelongToTheRules(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p, err := fieldcrypt.ParsePolicy([]byte(`{version: 1, dataset: d, keys: {k: {kek: "local:k"}}, rules: [{tag: PII, action: encrypt, key: k}], topics: [{match: people}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, nil, Deps{KMS: newKMS()})
	topic := TopicSchema{
		Topic: "people", Format: schema.Avro,
		File:       write("person.avsc", `{"type":"record","name":"P","fields":[{"name":"mail","type":"M"}]}`),
		References: []string{write("mail.avsc", `{"type":"record","name":"M","fields":[{"name":"at","type":"string","confluent:tags":["PII"]}]}`)},
	}
	e, err := b.Engine(t.Context(), Rules{Policy: p, Topics: []TopicSchema{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	value := append([]byte{byte(len(mail) * 2)}, mail...)
	out, err := e.Protect(t.Context(), nil, &produce.Record{Topic: "people", Value: value})
	if err != nil || bytes.Contains(out.Value, []byte(mail)) {
		t.Errorf("%s, %v", out.Value, err)
	}
	topic.References = nil
	for name, r := range map[string]Rules{
		"a reference that is not given": {Policy: p, Topics: []TopicSchema{topic}},
		"a file that is not there":      {Policy: p, Topics: []TopicSchema{{Topic: "people", Format: schema.Avro, File: filepath.Join(dir, "none")}}},
		"tags without a registry":       {Policy: p, Tags: write("tags.yaml", "version: 1\n")},
		"a file of tags that is none":   {Policy: p, Tags: write("none.yaml", "x")},
		"approved algorithms only":      {Policy: p, FIPS: true},
	} {
		if name == "approved algorithms only" && fips140.Enabled() {
			continue
		}
		if e, err := b.NewEngine(t.Context(), r); err == nil {
			e.Close()
			t.Errorf("%s: made", name)
		}
	}
}
