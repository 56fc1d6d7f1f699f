package envelope_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/siv"
)

// domainsFile holds values under a domain key.
type (
	domainsFile struct {
		About    string          `json:"about"`
		Key      keyFixture      `json:"key"`
		Accepted []domainFixture `json:"accepted"`
		Refused  []refusedValues `json:"refused"`
	}
	domainFixture struct {
		Name      string   `json:"name"`
		Kind      byte     `json:"kind"`
		Parts     []string `json:"parts"` // of the context, in the order of the specification
		ContextID hexed    `json:"context_id"`
		Header    hexed    `json:"header"` // the AAD
		IV        hexed    `json:"synthetic_iv"`
		Plaintext hexed    `json:"plaintext"`
		Envelope  hexed    `json:"envelope"`
		Text      string   `json:"text"`
	}
)

func customerDomain() []string {
	return []string{"acme", "customer-email", "string", "deterministic"}
}

func buildDomains(t *testing.T) domainsFile {
	t.Helper()
	k := deriveOracle(t, sequence(0x20, 32))
	file := domainsFile{
		About: "Deterministic values under a domain key. A reader that holds it opens the accepted ones and seals them to the same bytes, and refuses the others with the error named." + aboutKeys,
		Key: keyFixture{Data: k.data, Commitment: k.commitment, ID: k.id, Seal: map[string]hexed{
			"3": k.seal[3],
		}},
	}
	field := customerEmail()
	field[5] = "deterministic"
	for _, v := range []struct {
		name  string
		kind  byte
		parts []string
		plain []byte
	}{
		{"an e-mail address", 2, customerDomain(), []byte("jane@example.com")},
		{"the same at a field without a domain", 1, field, []byte("jane@example.com")},
		{"the same without a tenant", 2, []string{"", "customer-email", "string", "deterministic"}, []byte("jane@example.com")},
		{"an empty value", 2, customerDomain(), []byte{}},
		{"one byte", 2, customerDomain(), []byte{0}},
		{"one byte less than a block", 2, customerDomain(), []byte("0123456789abcde")},
		{"one byte more than a block", 2, customerDomain(), []byte("0123456789abcdefg")},
		{"two blocks", 2, customerDomain(), []byte("0123456789abcdef0123456789abcdef")},
		{"text outside ASCII", 2, customerDomain(), []byte("Žofie Müller, 東京")},
		{"bytes of every value", 2, []string{"acme", "photo", "bytes", "deterministic"}, sequence(0, 256)},
		{"a long value", 2, customerDomain(), bytes.Repeat([]byte("0123456789abcdef"), 257)[:4099]},
	} {
		_, place := oracleContextOf(v.kind, v.parts...)
		env := oracleSeal(t, k, 3, place, nil, v.plain)
		file.Accepted = append(file.Accepted, domainFixture{
			Name: v.name, Kind: v.kind, Parts: v.parts, ContextID: place, Header: env[:22], IV: env[22:38],
			Plaintext: v.plain, Envelope: env, Text: textOf(env),
		})
	}

	_, place := oracleContextOf(2, customerDomain()...)
	good := oracleSeal(t, k, 3, place, nil, []byte(refusedPlaintext))
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	refuse := func(name, err string, env []byte) {
		file.Refused = append(file.Refused, refusedValues{Name: name, Error: err, Envelope: env})
	}
	refuse("the next version", "version", append([]byte{2}, good[1:]...))
	refuse("suite 1 under a domain key", "suite", oracleSeal(t, k, 1, place, sequence(0xA0, 12), []byte(refusedPlaintext)))
	refuse("suite 2 under a domain key", "suite", oracleSeal(t, k, 2, place, sequence(0xA0, 24), []byte(refusedPlaintext)))
	refuse("suite 4", "suite", append([]byte{1, 4}, good[2:]...))
	refuse("another key id", "other key", flip(13))
	refuse("another context id", "authentication", flip(21))
	refuse("the first bit of the synthetic IV", "authentication", flip(22))
	refuse("the last byte of the synthetic IV", "authentication", flip(37))
	refuse("the first byte of the ciphertext", "authentication", flip(38))
	refuse("the last byte of the ciphertext", "authentication", flip(len(good)-1))
	refuse("the ciphertext without its last byte", "authentication", good[:len(good)-1])
	refuse("a byte behind the end", "authentication", append(bytes.Clone(good), 0))
	refuse("the ciphertext before the synthetic IV", "authentication", slices.Concat(good[:22], good[38:], good[22:38]))
	refuse("the synthetic IV without its last byte", "cut short", good[:37])
	refuse("a header alone", "cut short", good[:22])
	return file
}

// FV-1, FV-7, FV-10, FV-12, FV-13, FV-17, FV-24.
func TestDeterministicFixtures(t *testing.T) {
	file := load[domainsFile](t, "domains.json")
	c, err := siv.New(file.Key.Seal["3"])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range file.Accepted {
		env, err := envelope.ParseText(nil, []byte(f.Text))
		if err != nil || !bytes.Equal(env, f.Envelope) {
			t.Fatalf("%s: ParseText = %x, %v", f.Name, env, err)
		}
		h, aad, sealed, err := envelope.Parse(env)
		if err != nil || h.Suite != envelope.AES256SIV || !bytes.Equal(h.Context[:], f.ContextID) ||
			!bytes.Equal(h.Key[:], file.Key.ID) || !bytes.Equal(aad, f.Header) || !bytes.HasPrefix(sealed, f.IV) {
			t.Errorf("%s: header %+v, %v", f.Name, h, err)
		}
		if got, err := c.Open(nil, sealed, aad); err != nil || !bytes.Equal(got, f.Plaintext) {
			t.Errorf("%s: opened %x, %v", f.Name, got, err)
		}
		if got := c.Seal(envelope.AppendHeader(nil, h), f.Plaintext, f.Header); !bytes.Equal(got, f.Envelope) {
			t.Errorf("%s: sealed %x", f.Name, got)
		}
		if got, err := contextIDOf(f.Kind, f.Parts); err != nil || !bytes.Equal(got[:], f.ContextID) {
			t.Errorf("%s: context id %x, %v", f.Name, got, err)
		}
	}
	for _, f := range file.Refused {
		h, aad, sealed, err := envelope.Parse(f.Envelope)
		dst := append(make([]byte, 0, 4096), "kept"...)
		switch {
		case err != nil:
		case !bytes.Equal(h.Key[:], file.Key.ID):
			err = errOtherKey
		case h.Suite != envelope.AES256SIV:
			err = envelope.ErrSuite
		default:
			if dst, err = c.Open(dst, sealed, aad); errors.Is(err, siv.ErrOpen) {
				err = aead.ErrOpen
			}
		}
		if want := refusals()[f.Error]; want == nil || !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %q", f.Name, err, f.Error)
		}
		if string(dst) != "kept" || bytes.Contains(dst[:cap(dst)], []byte(refusedPlaintext[:8])) {
			t.Errorf("%s: plaintext is left behind", f.Name)
		}
	}
	if len(file.Accepted) < 10 || len(file.Refused) < 15 {
		t.Errorf("%d and %d fixtures", len(file.Accepted), len(file.Refused))
	}
}

func contextIDOf(kind byte, parts []string) (envelope.ContextID, error) {
	switch {
	case kind == 1 && len(parts) == 6:
		return envelope.Context{
			Tenant: parts[0], Dataset: parts[1], Schema: parts[2], Path: parts[3], ValueType: parts[4], Purpose: parts[5],
		}.ID()
	case kind == 2 && len(parts) == 4:
		return envelope.DomainContext{Tenant: parts[0], Domain: parts[1], ValueType: parts[2], Purpose: parts[3]}.ID()
	default:
		return envelope.ContextID{}, errors.New("a context of no kind")
	}
}
