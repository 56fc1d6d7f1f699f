package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema"
	fvavro "github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
)

// An entry of the catalogue is one field with a rule of its own.
type entry struct {
	rule  string // as a policy has it, without the tag
	typ   string // Avro type
	value any
	back  bool // a reader with the keys gets the value back
}

// A chapter is a group of entries.
type chapter struct {
	title   string
	entries []entry
}

const (
	avroString = `"string"`
	avroDate   = `{"type": "int", "logicalType": "date"}`
	avroMillis = `{"type": "long", "logicalType": "timestamp-millis"}`
	avroMoney  = `{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}`
)

func catalogue() []chapter {
	moment := time.Date(1984, 2, 29, 23, 15, 42, 0, time.UTC)
	str := func(rule, value string, back bool) entry { return entry{rule, avroString, value, back} }
	return []chapter{
		{"Encryption: comes back for those who may use the key", []entry{
			str("action: encrypt, key: pii", "ada@example.com", true),
			{"action: encrypt, key: pii", `"long"`, int64(123456), true},
			str(ofPerson, "Ada Example", true),
			str("action: encrypt, key: ids, mode: deterministic, join: customer", "customer-42", true),
			str(`action: encrypt, key: ids, mode: format-preserving, separators: " -", keep_last: 4, luhn: break`, "4111 1111 1111 1111", true),
			str("action: encrypt, key: ids, mode: format-preserving, alphabet: alnum-upper", "AB12CD34EF", true),
		}},
		{"Tokens: random, remembered by a vault, or computed", []entry{
			str("action: tokenize, vault: people, format: pan, keep_last: 4", "4111111111111111", true),
			str("action: tokenize, vault: people, format: ssn", "123-45-6789", true),
			str("action: tokenize, vault: people, format: prefixed, prefix: mail_", "ada@example.com", true),
			str("action: tokenize, vault: people, format: uuid", "customer-42", true),
			str("action: tokenize, key: ids, format: pan, keep_first: 6, keep_last: 4", "4111111111111111110", true),
		}},
		{"Keyed hashes: equal values stay equal, and none comes back", []entry{
			str("action: hash, key: ids", "ada@example.com", false),
			str("action: hash, key: ids, form: base64, join: mail", "ada@example.com", false),
			str("action: hash, key: ids, form: uuid", "ada@example.com", false),
			str(`action: hash, key: ids, form: digits, prefix: "h:"`, "ada@example.com", false),
		}},
		{"Masks: part of the text stays readable", []entry{
			str("action: mask, keep_first: 1", "Ada Example", false),
			str("action: mask, rule: redact", "Ada Example", false),
			str("action: mask, rule: card", "4111 1111 1111 1111", false),
			str("action: mask, rule: email", "ada@example.com", false),
			str("action: mask, rule: phone", "+420 601 123 456", false),
			str("action: mask, rule: iban", "DE89 3704 0044 0532 0130 00", false),
			str("action: mask, rule: ssn", "123-45-6789", false),
			str("action: mask, rule: initials", "Ada Mary Example", false),
			str("action: mask, rule: ip/24", "198.51.100.77", false),
			str("action: mask, rule: mac", "00:1b:63:84:45:e6", false),
			str("action: mask, rule: url", "https://ada:pw@example.com/orders?id=7#top", false),
			str("action: mask, rule: uuid", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", false),
			str("action: mask, rule: zip3", "94107-1234", false),
			str(`action: mask, match: "[0-9]{5,}", with: "#####"`, "account 12345678, call back", false),
		}},
		{"Coarser values: of the same type", []entry{
			{"action: generalize, to: year", avroDate, moment.Truncate(24 * time.Hour), false},
			{"action: generalize, to: birth-year", avroDate, time.Date(1901, 5, 6, 0, 0, 0, 0, time.UTC), false},
			{"action: generalize, to: hour", avroMillis, moment, false},
			str("action: generalize, to: month, layout: iso-date", "1984-02-29", false),
			{"action: generalize, bucket: 10", `"int"`, int32(47), false},
			{"action: generalize, top: 90", `"int"`, int32(97), false},
			{"action: generalize, round: -3", avroMoney, "81234.56", false},
			{"action: generalize, grid: 0.01", `"double"`, 50.087465, false},
			{"action: shift, key: ids, days: 180, by: /customer_id", avroDate, moment.Truncate(24 * time.Hour), false},
		}},
		{"Nothing is left", []entry{
			str(`action: constant, value: "unknown"`, "calls at night", false),
			{"action: drop", `["null", "string"]`, "calls at night", false},
			{rejects, `["null", "string"]`, nil, false},
		}},
	}
}

// showCatalogue protects one record that has a field for each action, and shows
// each value before, after, and as it comes back.
func showCatalogue(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "fieldveil-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kek := filepath.Join(dir, kekFile)
	if err := localkms.Create(kek); err != nil {
		return err
	}
	wrapper := localkms.New()
	block, err := datakey.CreateDomainBlock(ctx, wrapper, "local:"+kek, "")
	if err != nil {
		return err
	}
	chapters := catalogue()
	policy, err := fieldcrypt.ParsePolicy([]byte(cataloguePolicy(chapters, kek, block)))
	if err != nil {
		return err
	}
	text := catalogueSchema(chapters)
	codec, err := avro.Parse(text)
	if err != nil {
		return err
	}
	store, err := boltvault.Open(filepath.Join(dir, "tokens.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := datakey.New(wrapper)
	if err != nil {
		return err
	}
	defer keys.Close()
	persons, err := datakey.OpenPersons(ctx, keys, new(shred.MemStore), new(shred.MemLedger))
	if err != nil {
		return err
	}
	var audit bytes.Buffer
	lines, err := tokenize.NewJSONAudit(&audit)
	if err != nil {
		return err
	}
	gate, err := tokenize.NewGate(lines, func(context.Context, tokenize.Request) error { return nil })
	if err != nil {
		return err
	}
	engine, err := fieldcrypt.New(policy, keys,
		fieldcrypt.WithVault("people", tokenize.NewVault(store, tokenize.WithGate(gate))),
		fieldcrypt.WithPersons(persons),
		fieldcrypt.WithDetokenize(tokenize.Access{Caller: "demo", Purpose: "show the catalogue"}),
		fieldcrypt.WithTopicSchema(catalogueTopic, schema.Text{Format: schema.Avro, Schema: text}))
	if err != nil {
		return err
	}
	record := map[string]any{"customer_id": cataloguePerson}
	eachEntry(chapters, func(name string, e *entry) { record[name] = e.value })
	value, err := codec.AppendEncode(nil, record)
	if err != nil {
		return err
	}
	sealed, err := engine.Protect(ctx, fieldcrypt.Record{Topic: catalogueTopic, Value: value})
	if err != nil {
		return err
	}
	back, err := engine.Reveal(ctx, sealed)
	if err != nil {
		return err
	}
	plan, err := catalogueDerived(policy, keys, text, store, persons)
	if err != nil {
		return err
	}
	after, err := decodeRecord(plan, sealed.Value)
	if err != nil {
		return err
	}
	revealed, err := decodeRecord(text, back.Value)
	if err != nil {
		return err
	}
	original, err := decodeRecord(text, value)
	if err != nil {
		return err
	}
	refused, err := refusal(ctx, engine, codec, chapters, record)
	if err != nil {
		return err
	}
	s := &shop{options: o}
	if err := s.showEntries(chapters, original, after, revealed, refused); err != nil {
		return err
	}
	return s.showForgetting(ctx, engine, sealed, text, chapters)
}

// showForgetting forgets the record's person, and reads the record once more.
func (s *shop) showForgetting(ctx context.Context, engine *fieldcrypt.Engine, sealed fieldcrypt.Record, text string, chapters []chapter) error {
	done, err := engine.Forget(ctx, "", cataloguePerson, "demo", "show the catalogue")
	if err != nil {
		return err
	}
	back, err := engine.Reveal(ctx, sealed)
	if err != nil {
		return err
	}
	record, err := decodeRecord(text, back.Value)
	if err != nil {
		return err
	}
	is := ""
	eachEntry(chapters, func(name string, e *entry) {
		if e.rule == ofPerson {
			is = entryText(record[name])
		}
	})
	s.titlef("The person is forgotten: entry %d of the ledger", done.Seq)
	s.printRow(pad("", 4), pad("revealed", 10), s.verdict(is == "[forgotten]", is))
	if is != "[forgotten]" {
		return fmt.Errorf("%w: a value of the forgotten came back", errCatalogue)
	}
	return nil
}

const (
	catalogueTopic = "catalogue"
	// cataloguePerson is who the record is about.
	cataloguePerson = "customer-42"
	// ofPerson is the rule under which a person can be forgotten.
	ofPerson = "action: encrypt, mode: person, by: /customer_id"
	// rejects is the rule that lets no record with a value pass.
	rejects = "action: reject"
)

// eachEntry calls f with the name of each entry's field.
func eachEntry(chapters []chapter, f func(name string, e *entry)) {
	n := 0
	for i := range chapters {
		for j := range chapters[i].entries {
			n++
			f(fmt.Sprintf("f%d", n), &chapters[i].entries[j])
		}
	}
}

func cataloguePolicy(chapters []chapter, kek string, block []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\ndataset: catalogue\nkeys: {pii: {kek: %q}}\n", "local:"+kek)
	fmt.Fprintf(&b, "domain_keys: {ids: {kek: %q, versions: [%q]}}\n", "local:"+kek, base64.StdEncoding.EncodeToString(block))
	fmt.Fprintf(&b, "persons: {kek: %q, on_forgotten: redact}\n", "local:"+kek)
	b.WriteString("vaults: {people: {key: ids}}\nrules:\n")
	eachEntry(chapters, func(name string, e *entry) { fmt.Fprintf(&b, "  - {tag: %s, %s}\n", name, e.rule) })
	fmt.Fprintf(&b, "topics: [{match: %s}]\n", catalogueTopic)
	return b.String()
}

func catalogueSchema(chapters []chapter) string {
	var b strings.Builder
	b.WriteString(`{"type": "record", "name": "Catalogue", "fields": [{"name": "customer_id", "type": "string"}`)
	eachEntry(chapters, func(name string, e *entry) {
		fmt.Fprintf(&b, `, {"name": %q, "type": %s, "confluent:tags": [%q]}`, name, e.typ, name)
	})
	b.WriteString("]}")
	return b.String()
}

// refusal returns what is said of a record that has a value where none may be.
func refusal(ctx context.Context, engine *fieldcrypt.Engine, codec *avro.Schema, chapters []chapter, record map[string]any) (string, error) {
	const value = "987"
	eachEntry(chapters, func(name string, e *entry) {
		if e.rule == rejects {
			record[name] = value
		}
	})
	b, err := codec.AppendEncode(nil, record)
	if err != nil {
		return "", err
	}
	_, err = engine.Protect(ctx, fieldcrypt.Record{Topic: catalogueTopic, Value: b})
	fault, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok || fault.Code != fieldcrypt.CodeRejected || strings.Contains(err.Error(), value) {
		return "", fmt.Errorf("%w: a value that is to be rejected: %w", errCatalogue, err)
	}
	return string(fault.Code), nil
}

// catalogueDerived returns the schema of protected records.
func catalogueDerived(policy *fieldcrypt.Policy, keys *datakey.Cache, text string, store tokenize.Store, persons *datakey.Persons) (string, error) {
	parsed, err := fvavro.Parse(schema.Text{Format: schema.Avro, Schema: text})
	if err != nil {
		return "", err
	}
	plan, err := fieldcrypt.Compile(parsed, policy, keys, catalogueTopic, fieldcrypt.WithVault("people", tokenize.NewVault(store)), fieldcrypt.WithPersons(persons))
	if err != nil {
		return "", err
	}
	if derived, ok := plan.Derived(); ok {
		return derived.Schema, nil
	}
	return text, nil
}

func decodeRecord(text string, value []byte) (map[string]any, error) {
	s, err := avro.Parse(text)
	if err != nil {
		return nil, err
	}
	record := map[string]any{}
	rest, err := s.Decode(value, &record)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes behind the record")
	}
	return record, err
}

var errCatalogue = errors.New("the catalogue does not hold what it says")

// showEntries prints the catalogue, and fails when a value left as it was or did
// not come back.
func (s *shop) showEntries(chapters []chapter, before, after, back map[string]any, refused string) error {
	var faults []error
	n, reversible := 0, 0
	for _, c := range chapters {
		s.titlef("%s", c.title)
		for _, e := range c.entries {
			n++
			name := fmt.Sprintf("f%d", n)
			was, is, again := entryText(before[name]), entryText(after[name]), entryText(back[name])
			s.printRow(s.paint(bold, strings.TrimPrefix(e.rule, "action: ")))
			if e.rule == rejects {
				s.printRow(pad("", 4), pad("before", 10), "987")
				s.printRow(pad("", 4), pad("after", 10), "no record: "+refused)
				continue
			}
			s.printRow(pad("", 4), pad("before", 10), cut(was, s.width-16))
			s.printRow(pad("", 4), pad("after", 10), cut(is, s.width-16))
			if e.back {
				reversible++
				s.printRow(pad("", 4), pad("revealed", 10), s.verdict(again == was, cut(again, s.width-16)))
				if again != was {
					faults = append(faults, fmt.Errorf("%w: %s did not come back", errCatalogue, e.rule))
				}
			}
			if is == was && was != "null" {
				faults = append(faults, fmt.Errorf("%w: %s left the value as it was", errCatalogue, e.rule))
			}
		}
	}
	s.printf("\n%s\n", s.verdict(len(faults) == 0, fmt.Sprintf("%d actions shown, %d of them reversible.", n, reversible)))
	return errors.Join(faults...)
}

// entryText shows a value of any type on one line.
func entryText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []byte:
		return fmt.Sprintf("%x", v)
	case *big.Rat:
		return v.FloatString(2)
	case time.Time:
		return strings.TrimSuffix(v.UTC().Format("2006-01-02 15:04:05"), " 00:00:00")
	default:
		return fmt.Sprint(v)
	}
}
