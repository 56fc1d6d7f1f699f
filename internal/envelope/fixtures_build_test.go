package envelope_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// refusedPlaintext is inside every refused value, to be looked for afterwards.
const refusedPlaintext = "jane.doe@example.com"

const aboutKeys = " All keys here are public and protect nothing. Bytes are in hex; docs/format.md is the specification."

// sequence returns n bytes that count up from first.
func sequence(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

func textOf(env []byte) string { return "fv1:" + base64.RawURLEncoding.EncodeToString(env) }

func customerEmail() []string {
	return []string{"acme", "customers", "com.example.Customer", "/email", "string", "encrypt"}
}

func buildValues(t *testing.T) valuesFile {
	t.Helper()
	k := deriveOracle(t, sequence(0, 32))
	file := valuesFile{
		About: "Sealed values. A reader that holds the data key opens the accepted ones, raw and as text, and refuses the others with the error named." + aboutKeys,
		Key: keyFixture{Data: k.data, Commitment: k.commitment, ID: k.id, Seal: map[string]hexed{
			"1": k.seal[1], "2": k.seal[2],
		}},
	}
	_, place := oracleContext(customerEmail()...)
	_, other := oracleContext("", "customers", "com.example.Customer", "/photo", "bytes", "encrypt")
	names := map[byte]string{1: "AES-256-GCM", 2: "XAES-256-GCM"}
	for _, suite := range []byte{1, 2} {
		size := map[byte]int{1: 12, 2: 24}[suite]
		for i, v := range []struct {
			name    string
			context []byte
			plain   []byte
		}{
			{name: "an e-mail address", context: place, plain: []byte("jane@example.com")},
			{name: "an empty value", context: place, plain: []byte{}},
			{name: "one byte", context: place, plain: []byte{0}},
			{name: "text outside ASCII", context: place, plain: []byte("Žofie Müller, 東京")},
			{name: "bytes of every value", context: other, plain: sequence(0, 256)},
			{name: "a long value", context: other, plain: bytes.Repeat([]byte("0123456789abcdef"), 257)[:4099]},
		} {
			nonce := sequence(0xA0+i, size)
			env := oracleSeal(t, k, suite, v.context, nonce, v.plain)
			file.Accepted = append(file.Accepted, valueFixture{
				Name: names[suite] + ", " + v.name, Suite: suite, ContextID: v.context, Header: env[:22],
				Nonce: nonce, Plaintext: v.plain, Envelope: env, Text: textOf(env),
			})
		}
		file.Refused = append(file.Refused, refusedEnvelopes(t, k, suite, names[suite]+", ", place)...)
	}
	good := oracleSeal(t, k, 1, place, sequence(0xA0, 12), []byte(refusedPlaintext+".")) // 22+12+21+16 = 71: a tail of three characters
	file.Refused = append(file.Refused, refusedTexts(good)...)
	return file
}

// refusedEnvelopes are values that came from the good one by one change, or
// that a writer sealed in another way than the specification says.
func refusedEnvelopes(t *testing.T, k oracleKey, suite byte, prefix string, place []byte) []refusedValues {
	t.Helper()
	size := map[byte]int{1: 12, 2: 24}[suite]
	seal := map[byte]func(testing.TB, []byte, []byte, []byte, []byte) []byte{1: oracleGCM, 2: oracleXAES}[suite]
	plain, nonce := []byte(refusedPlaintext), sequence(0xA0, size)
	good := oracleSeal(t, k, suite, place, nonce, plain)
	header := good[:22]
	empty := oracleSeal(t, k, suite, place, nonce, nil)

	set := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	flip := func(at int) []byte { return set(at, good[at]^1) }
	under := func(key, aad []byte) []byte {
		return append(bytes.Clone(header), seal(t, key, nonce, plain, aad)...)
	}
	otherKey := deriveOracle(t, sequence(0x20, 32))
	rows := []refusedValues{
		{Name: "nothing", Error: "cut short", Envelope: hexed{}},
		{Name: "the version alone", Error: "cut short", Envelope: good[:1]},
		{Name: "a header without its last byte", Error: "cut short", Envelope: good[:21]},
		{Name: "a header alone", Error: "cut short", Envelope: header},
		{Name: "an empty value without the last byte of its tag", Error: "cut short", Envelope: empty[:len(empty)-1]},
		{Name: "version 0", Error: "version", Envelope: set(0, 0)},
		{Name: "version 2", Error: "version", Envelope: set(0, 2)},
		{Name: "suite 0", Error: "suite", Envelope: set(1, 0)},
		{Name: "the reserved suite 3", Error: "suite", Envelope: set(1, 3)},
		{Name: "suite 4", Error: "suite", Envelope: set(1, 4)},
		{Name: "suite 255", Error: "suite", Envelope: set(1, 255)},
		{Name: "the other suite", Error: "authentication", Envelope: set(1, 3-suite)},
		{Name: "first bit of the key id changed", Error: "other key", Envelope: flip(2)},
		{Name: "last bit of the key id changed", Error: "other key", Envelope: flip(13)},
		{Name: "sealed under another data key", Error: "other key", Envelope: oracleSeal(t, otherKey, suite, place, nonce, plain)},
		{Name: "first byte of the context id changed", Error: "authentication", Envelope: flip(14)},
		{Name: "last byte of the context id changed", Error: "authentication", Envelope: flip(21)},
		{Name: "first byte of the nonce changed", Error: "authentication", Envelope: flip(22)},
		{Name: "last byte of the nonce changed", Error: "authentication", Envelope: flip(21 + size)},
		{Name: "first byte of the ciphertext changed", Error: "authentication", Envelope: flip(22 + size)},
		{Name: "last byte of the ciphertext changed", Error: "authentication", Envelope: flip(len(good) - 17)},
		{Name: "first byte of the tag changed", Error: "authentication", Envelope: flip(len(good) - 16)},
		{Name: "last byte of the tag changed", Error: "authentication", Envelope: flip(len(good) - 1)},
		{Name: "last byte cut", Error: "authentication", Envelope: good[:len(good)-1]},
		{Name: "one byte appended", Error: "authentication", Envelope: append(bytes.Clone(good), 0)},
		{Name: "another key, under the id of this one", Error: "authentication", Envelope: under(otherKey.seal[suite], header)},
		{Name: "the data key itself as cipher key", Error: "authentication", Envelope: under(k.data, header)},
		{Name: "the seal key of the other suite", Error: "authentication", Envelope: under(k.seal[3-suite], header)},
		{Name: "no AAD", Error: "authentication", Envelope: under(k.seal[suite], nil)},
		{Name: "AAD without the context id", Error: "authentication", Envelope: under(k.seal[suite], header[:14])},
		{Name: "AAD with the nonce", Error: "authentication", Envelope: under(k.seal[suite], append(bytes.Clone(header), nonce...))},
	}
	for i := range rows {
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

func refusedTexts(env []byte) []refusedValues {
	good := textOf(env)
	last := good[len(good)-1]
	// The tail of three characters has two unused bits, which are zero.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	dirty := good[:len(good)-1] + string(alphabet[strings.IndexByte(alphabet, last)+1])
	var rows []refusedValues
	for _, r := range []struct{ name, err, text string }{
		{name: "empty", err: "not an envelope", text: ""},
		{name: "plaintext", err: "not an envelope", text: refusedPlaintext},
		{name: "no prefix", err: "not an envelope", text: good[4:]},
		{name: "prefix in capitals", err: "not an envelope", text: "FV1:" + good[4:]},
		{name: "prefix of another version", err: "not an envelope", text: "fv2:" + good[4:]},
		{name: "space in front", err: "not an envelope", text: " " + good},
		{name: "prefix alone", err: "cut short", text: "fv1:"},
		{name: "padding", err: "text", text: good + "="},
		{name: "space behind", err: "text", text: good + " "},
		{name: "line break behind", err: "text", text: good + "\n"},
		{name: "line break inside", err: "text", text: good[:44] + "\r\n" + good[44:]},
		{name: "plus sign of standard base64", err: "text", text: good[:10] + "+" + good[11:]},
		{name: "slash of standard base64", err: "text", text: good[:10] + "/" + good[11:]},
		{name: "unused bits that are not zero", err: "text", text: dirty},
		{name: "two characters cut", err: "text", text: good[:len(good)-2]},
		{name: "three characters cut", err: "authentication", text: good[:len(good)-3]},
	} {
		rows = append(rows, refusedValues{Name: "text, " + r.name, Error: r.err, Text: &r.text})
	}
	return rows
}

func buildContexts() contextsFile {
	file := contextsFile{About: "Contexts of kind field: tenant, dataset, schema name, path, value type, purpose, then the encoding and the context id." + aboutKeys}
	for _, c := range []contextFixture{
		{Name: "a field", Parts: customerEmail()},
		{Name: "no tenant", Parts: []string{"", "customers", "com.example.Customer", "/email", "string", "encrypt"}},
		{Name: "an element of an array", Parts: []string{"acme", "customers", "com.example.Customer", "/cards/[]/pan", "string", "encrypt"}},
		{Name: "a value of a map, as bytes", Parts: []string{"acme", "customers", "com.example.Customer", "/labels/{}", "bytes", "encrypt"}},
		{Name: "names outside ASCII", Parts: []string{"", "účty", "x.Ü", "/labels/{}", "bytes", "encrypt"}},
		{Name: "a byte moved from tenant to dataset", Parts: []string{"acm", "ecustomers", "com.example.Customer", "/email", "string", "encrypt"}},
		{Name: "empty parts", Parts: []string{"", "", "", "", "", ""}},
		{Name: "4096 bytes", Parts: []string{"", strings.Repeat("d", 4064), "", "", "", ""}},
	} {
		c.Encoding, c.ID = oracleContext(c.Parts...)
		file.Accepted = append(file.Accepted, c)
	}
	file.Refused = []contextFixture{
		{Name: "4097 bytes", Error: "context size", Parts: []string{"", strings.Repeat("d", 4065), "", "", "", ""}},
		{Name: "4097 bytes in two parts", Error: "context size", Parts: []string{"", "", strings.Repeat("s", 2000), strings.Repeat("p", 2065), "", ""}},
	}
	return file
}

func rawBlock(commitment []byte, parts ...string) []byte {
	b := append([]byte{1}, commitment...)
	for _, p := range parts {
		b = append(b, byte(len(p)>>8), byte(len(p)))
		b = append(b, p...)
	}
	return b
}

func buildKeyBlocks(t *testing.T) keyBlocksFile {
	t.Helper()
	k := deriveOracle(t, sequence(0, 32))
	file := keyBlocksFile{About: "Key blocks." + aboutKeys}
	wrapped := string(sequence(0x40, 81))
	for _, f := range []keyBlockFixture{
		{Name: "a tenant", KEK: "aws-kms:alias/customer-pii", Tenant: "acme", Wrapped: []byte(wrapped)},
		{Name: "no tenant", KEK: "local:/etc/fieldveil/dev.kek", Wrapped: []byte(wrapped)},
		{Name: "names outside ASCII", KEK: "hcvault:transit/keys/klíč", Tenant: "Łódź", Wrapped: []byte(wrapped)},
		{Name: "the shortest parts", KEK: "k", Wrapped: []byte{0}},
		{Name: "16384 bytes", KEK: "k", Tenant: "t", Wrapped: bytes.Repeat([]byte{0xEE}, 16384-41)},
	} {
		f.Commitment = k.commitment
		f.Block = rawBlock(k.commitment, f.KEK, f.Tenant, string(f.Wrapped))
		file.Accepted = append(file.Accepted, f)
	}
	good := rawBlock(k.commitment, "kek", "tenant", wrapped)
	set := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for _, r := range []struct {
		name  string
		bytes []byte
	}{
		{name: "nothing", bytes: nil},
		{name: "version 0", bytes: set(0, 0)},
		{name: "version 2", bytes: set(0, 2)},
		{name: "cut inside the commitment", bytes: good[:32]},
		{name: "cut behind the commitment", bytes: good[:33]},
		{name: "cut inside the length of the KEK", bytes: good[:34]},
		{name: "cut inside the KEK", bytes: good[:37]},
		{name: "cut before the tenant", bytes: good[:38]},
		{name: "cut before the wrapped key", bytes: good[:46]},
		{name: "last byte cut", bytes: good[:len(good)-1]},
		{name: "one byte appended", bytes: append(bytes.Clone(good), 0)},
		{name: "a KEK longer than the rest", bytes: set(33, 0xFF)},
		{name: "an empty KEK", bytes: rawBlock(k.commitment, "", "tenant", wrapped)},
		{name: "an empty wrapped key", bytes: rawBlock(k.commitment, "kek", "tenant", "")},
		{name: "16385 bytes", bytes: rawBlock(k.commitment, "k", "t", strings.Repeat("\xEE", 16384-40))},
	} {
		file.Refused = append(file.Refused, bytesFixture{Name: r.name, Error: "key block", Bytes: r.bytes})
	}
	return file
}

func buildMetas() metasFile {
	const digest, item = "POLICYDG", "\x01\x08POLICYDG"
	file := metasFile{About: "Contents of the fv-meta header." + aboutKeys}
	for _, f := range []struct{ name, policy, meta string }{
		{name: "no items", meta: "\x01"},
		{name: "a policy digest", policy: digest, meta: "\x01" + item},
		{name: "an optional item before the digest", policy: digest, meta: "\x01\x80\x03abc" + item},
		{name: "an optional item of the highest type and greatest length", policy: digest, meta: "\x01" + item + "\xff\xff" + strings.Repeat("x", 255)},
		{name: "an empty optional item", meta: "\x01\xc8\x00"},
	} {
		file.Accepted = append(file.Accepted, metaFixture{Name: f.name, Policy: hexed(f.policy), Meta: hexed(f.meta)})
	}
	for _, f := range []struct{ name, meta string }{
		{name: "nothing", meta: ""},
		{name: "version 0", meta: "\x00" + item},
		{name: "version 2", meta: "\x02" + item},
		{name: "an unknown item of type 0", meta: "\x01" + item + "\x00\x00"},
		{name: "an unknown item of type 2", meta: "\x01" + item + "\x02\x01x"},
		{name: "an unknown item of type 127", meta: "\x01\x7f\x00"},
		{name: "a type without a length", meta: "\x01\x80"},
		{name: "an item cut short", meta: "\x01" + item[:9]},
		{name: "an optional item cut short", meta: "\x01\x80\x02a"},
		{name: "a digest of seven bytes", meta: "\x01\x01\x07POLICYD"},
		{name: "a digest of nine bytes", meta: "\x01\x01\x09POLICYDGX"},
		{name: "two digests", meta: "\x01" + item + item},
	} {
		file.Refused = append(file.Refused, bytesFixture{Name: f.name, Error: "meta", Bytes: hexed(f.meta)})
	}
	return file
}
