package envelope_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/siv"
)

// An example is one line of a worked example: a name and a value without spaces.
type example struct{ name, value string }

// worked is section 7 of docs/format.md as the oracle computes it.
func worked(t *testing.T) []example {
	t.Helper()
	var out []example
	add := func(name string, b ...[]byte) {
		out = append(out, example{name, hex.EncodeToString(bytes.Join(b, nil))})
	}
	part := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

	// A data key.
	k := deriveOracle(t, sequence(0, 32))
	add("data key", k.data)
	add("commitment", k.commitment)
	add("key id", k.id)
	add("seal key, suite 1", k.seal[1])
	add("seal key, suite 2", k.seal[2])

	// A context.
	parts := customerEmail()
	encoding, place := oracleContext(parts...)
	add("label", []byte("fieldveil/1 context"))
	add("kind", []byte{1})
	for i, name := range []string{"tenant", "dataset", "schema name", "path", "value type", "purpose"} {
		add(name, part(parts[i]))
	}
	add("encoding", encoding)
	add("context id", place)

	// A sealed value.
	plain, nonce := []byte("jane@example.com"), sequence(0xA0, 12)
	env := oracleSeal(t, k, 1, place, nonce, plain)
	add("plaintext", plain)
	add("header", env[:22])
	add("nonce", nonce)
	add("ciphertext", env[34:len(env)-16])
	add("tag", env[len(env)-16:])
	add("envelope", env)
	out = append(out, example{"text form", textOf(env)})

	// A domain key, a join domain and a deterministic value.
	dk := deriveOracle(t, sequence(0x20, 32))
	add("domain key", dk.data)
	add("commitment of it", dk.commitment)
	add("key id of it", dk.id)
	add("seal key, suite 3", dk.seal[3])
	domainParts := customerDomain()
	domainEncoding, domain := oracleContextOf(2, domainParts...)
	add("kind of a domain", []byte{2})
	for i, name := range []string{"tenant", "domain", "value type", "purpose"} {
		add(name, part(domainParts[i]))
	}
	add("domain encoding", domainEncoding)
	add("domain context id", domain)
	det := oracleSeal(t, dk, 3, domain, nil, plain)
	add("value of it", plain)
	add("header of it", det[:22])
	add("synthetic IV", det[22:38])
	add("ciphertext of it", det[38:])
	add("envelope of it", det)
	out = append(out, example{"text form of it", textOf(det)})

	// A wrapped data key and a key block.
	const kekURI = "local:dev.kek"
	kek := sequence(0xC0, 32)
	kekID := derive(t, kek, "fieldveil/1 local kek id", 8)
	pairs := bytes.Join([][]byte{
		{1}, part("fieldveil:purpose"), part("data-key"), part("fieldveil:tenant"), part("acme"),
	}, nil)
	header := append([]byte{1}, kekID...)
	aad := bytes.Join([][]byte{[]byte("fieldveil/1 local wrap"), header, pairs}, nil)
	sealed := oracleXAES(t, kek, sequence(0xE0, 24), k.data, aad)
	wrapped := bytes.Join([][]byte{header, sealed}, nil)
	add("KEK", kek)
	add("KEK version id", kekID)
	add("encryption context", pairs)
	add("nonce", sealed[:24])
	add("wrapped data key", wrapped)
	add("block version", []byte{1})
	add("commitment", k.commitment)
	add("KEK URI", part(kekURI))
	add("tenant", part("acme"))
	add("wrapped key", part(string(wrapped)))
	add("key block", rawBlock(k.commitment, kekURI, "acme", string(wrapped)))

	// A fv-meta header.
	add("version", []byte{1})
	add("policy digest", []byte{1, 8}, sequence(0xD0, 8))
	add("fv-meta", []byte{1, 1, 8}, sequence(0xD0, 8))
	return out
}

// documented reads the lines of the fenced blocks of section 7.
func documented(t *testing.T) []example {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## 7. Worked examples\n")
	if !ok {
		t.Fatal("docs/format.md has no section 7")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	row := regexp.MustCompile(`^(\S+(?: \S+)*) {2,}(\S+)$`)
	var out []example
	inside := false
	for line := range strings.Lines(section) {
		line = strings.TrimSuffix(line, "\n")
		switch m := row.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case inside && m == nil:
			t.Errorf("line %q is no name and value", line)
		case inside:
			out = append(out, example{m[1], m[2]})
		}
	}
	return out
}

func TestTheWorkedExamplesOfTheSpecificationAreRight(t *testing.T) {
	skipWithoutNonces(t)
	want, got := worked(t), documented(t)
	if len(got) != len(want) {
		t.Errorf("docs/format.md has %d lines of examples, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("line %d is\n%s  %s\nwant\n%s  %s", i+1, got[i].name, got[i].value, want[i].name, want[i].value)
		}
	}
	if t.Failed() {
		var all strings.Builder
		for _, e := range want {
			all.WriteString(e.name + strings.Repeat(" ", 20-len(e.name)) + e.value + "\n")
		}
		t.Logf("the examples are\n%s", all.String())
	}
}

// The page, read as another implementation would read it, by the packages under
// test: no oracle.
func TestTheWorkedExamplesAreReadByThisImplementation(t *testing.T) {
	lines := map[string][]byte{}
	for _, e := range documented(t) {
		b, err := hex.DecodeString(e.value)
		if err != nil {
			b = []byte(e.value)
		}
		lines[e.name] = b
	}
	r := newReader(t, keyFixture{ID: lines["key id"], Seal: map[string]hexed{
		"1": lines["seal key, suite 1"], "2": lines["seal key, suite 2"],
	}})
	env, err := envelope.ParseText(nil, lines["text form"])
	if err != nil || !bytes.Equal(env, lines["envelope"]) {
		t.Errorf("ParseText = %x, %v", env, err)
	}
	if got, err := r.open(nil, env); err != nil || !bytes.Equal(got, lines["plaintext"]) {
		t.Errorf("open = %q, %v", got, err)
	}
	place, err := (envelope.Context{
		Tenant: "acme", Dataset: "customers", Schema: "com.example.Customer",
		Path: "/email", ValueType: "string", Purpose: envelope.PurposeEncrypt,
	}).ID()
	if err != nil || !bytes.Equal(place[:], lines["context id"]) {
		t.Errorf("context id = %x, %v", place, err)
	}
	det, err := envelope.ParseText(nil, lines["text form of it"])
	if err != nil || !bytes.Equal(det, lines["envelope of it"]) {
		t.Errorf("ParseText = %x, %v", det, err)
	}
	h, aad, sealed, err := envelope.Parse(det)
	if err != nil || h.Suite != envelope.AES256SIV || !bytes.Equal(h.Key[:], lines["key id of it"]) {
		t.Errorf("Parse = %+v, %v", h, err)
	}
	deterministic, err := siv.New(lines["seal key, suite 3"])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := deterministic.Open(nil, sealed, aad); err != nil || !bytes.Equal(got, lines["value of it"]) {
		t.Errorf("open = %q, %v", got, err)
	}
	if got := deterministic.Seal(bytes.Clone(aad), lines["value of it"], aad); !bytes.Equal(got, det) {
		t.Errorf("sealed %x", got)
	}
	domain, err := (envelope.DomainContext{
		Tenant: "acme", Domain: "customer-email", ValueType: "string", Purpose: envelope.PurposeDeterministic,
	}).ID()
	if err != nil || !bytes.Equal(domain[:], lines["domain context id"]) || domain != h.Context {
		t.Errorf("domain context id = %x, %v", domain, err)
	}
	kb, err := envelope.ParseKeyBlock(lines["key block"])
	if err != nil || kb.KEK != "local:dev.kek" || kb.Tenant != "acme" ||
		!bytes.Equal(kb.Commitment[:], lines["commitment"]) || !bytes.Equal(kb.Wrapped, lines["wrapped data key"]) {
		t.Errorf("key block %+v, %v", kb, err)
	}
	meta, err := envelope.ParseMeta(lines["fv-meta"])
	if err != nil || !meta.HasPolicy || !bytes.HasSuffix(lines["policy digest"], meta.Policy[:]) {
		t.Errorf("fv-meta %+v, %v", meta, err)
	}
}
