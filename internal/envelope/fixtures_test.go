package envelope_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

var updateFixtures = flag.Bool("update-fixtures", false, "write the fixtures that do not exist yet; an existing file is never overwritten")

// hexed is a byte string that JSON holds in hex.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// What the files under testdata/v1 hold. All bytes are in hex.
type (
	valuesFile struct {
		About    string          `json:"about"`
		Key      keyFixture      `json:"key"`
		Accepted []valueFixture  `json:"accepted"`
		Refused  []refusedValues `json:"refused"`
	}
	keyFixture struct {
		Data       hexed            `json:"data_key"`
		Commitment hexed            `json:"commitment"`
		ID         hexed            `json:"key_id"`
		Seal       map[string]hexed `json:"seal_keys"` // by suite
	}
	valueFixture struct {
		Name      string `json:"name"`
		Suite     byte   `json:"suite"`
		ContextID hexed  `json:"context_id"`
		Header    hexed  `json:"header"` // the AAD
		Nonce     hexed  `json:"nonce"`
		Plaintext hexed  `json:"plaintext"`
		Envelope  hexed  `json:"envelope"`
		Text      string `json:"text"`
	}
	refusedValues struct {
		Name     string  `json:"name"`
		Error    string  `json:"error"` // a key of refusals
		Envelope hexed   `json:"envelope,omitzero"`
		Text     *string `json:"text,omitempty"` // instead of the envelope
	}

	contextsFile struct {
		About    string           `json:"about"`
		Accepted []contextFixture `json:"accepted"`
		Refused  []contextFixture `json:"refused"`
	}
	contextFixture struct {
		Name     string   `json:"name"`
		Error    string   `json:"error,omitempty"`
		Parts    []string `json:"parts"` // in the order of the specification
		Encoding hexed    `json:"encoding,omitempty"`
		ID       hexed    `json:"context_id,omitempty"`
	}

	keyBlocksFile struct {
		About    string            `json:"about"`
		Accepted []keyBlockFixture `json:"accepted"`
		Refused  []bytesFixture    `json:"refused"`
	}
	keyBlockFixture struct {
		Name       string `json:"name"`
		Commitment hexed  `json:"commitment"`
		KEK        string `json:"kek"`
		Tenant     string `json:"tenant"`
		Wrapped    hexed  `json:"wrapped"`
		Block      hexed  `json:"bytes"`
	}

	metasFile struct {
		About    string         `json:"about"`
		Accepted []metaFixture  `json:"accepted"`
		Refused  []bytesFixture `json:"refused"`
	}
	metaFixture struct {
		Name   string `json:"name"`
		Policy hexed  `json:"policy"` // empty where there is none
		Meta   hexed  `json:"bytes"`
	}
	bytesFixture struct {
		Name  string `json:"name"`
		Error string `json:"error"`
		Bytes hexed  `json:"bytes"`
	}
)

// errOtherKey stands for the lookup of a key id that a reader does not hold.
var errOtherKey = errors.New("value names another key")

// refusals are the names that fixtures give to errors.
func refusals() map[string]error {
	return map[string]error{
		"not an envelope": envelope.ErrNotEnvelope,
		"text":            envelope.ErrText,
		"version":         envelope.ErrVersion,
		"suite":           envelope.ErrSuite,
		"cut short":       envelope.ErrShort,
		"other key":       errOtherKey,
		"authentication":  aead.ErrOpen,
		"context size":    envelope.ErrContextSize,
		"key block":       envelope.ErrKeyBlock,
		"meta":            envelope.ErrMeta,
	}
}

// skipWithoutNonces skips where the FIPS module lets nobody choose a nonce.
func skipWithoutNonces(t *testing.T) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("the FIPS 140-3 module is enforced: the oracle cannot fix its nonces")
	}
}

func load[T any](t *testing.T, name string) T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "v1", name))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// The fixtures are frozen: the oracle must build them to the byte for ever.
// With -update-fixtures a file that does not exist is written.
func TestTheFixturesAreWhatTheOracleBuilds(t *testing.T) {
	skipWithoutNonces(t)
	for name, v := range map[string]any{
		"values.json": buildValues(t), "contexts.json": buildContexts(),
		"keyblocks.json": buildKeyBlocks(t), "metas.json": buildMetas(), "domains.json": buildDomains(t),
	} {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "v1", name)
		if *updateFixtures {
			create(t, path, want.Bytes())
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what the oracle builds", path)
		}
	}
}

func create(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Errorf("fixtures are frozen: %v", err)
		return
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// reader opens values as a reader that holds one data key does.
type reader struct {
	key     keyFixture
	ciphers map[envelope.Suite]aead.AEAD
}

func newReader(t *testing.T, k keyFixture) reader {
	t.Helper()
	gcm, err := aead.NewGCM(secret.Take(bytes.Clone(k.Seal["1"])))
	if err != nil {
		t.Fatal(err)
	}
	xaes, err := aead.NewXAES(secret.Take(bytes.Clone(k.Seal["2"])))
	if err != nil {
		t.Fatal(err)
	}
	return reader{key: k, ciphers: map[envelope.Suite]aead.AEAD{envelope.AES256GCM: gcm, envelope.XAES256GCM: xaes}}
}

func (r reader) open(dst, env []byte) ([]byte, error) {
	h, aad, sealed, err := envelope.Parse(env)
	if err != nil {
		return dst, err
	}
	if !bytes.Equal(h.Key[:], r.key.ID) {
		return dst, errOtherKey
	}
	c := r.ciphers[h.Suite]
	if c == nil {
		return dst, envelope.ErrSuite // FV-7: this is no domain key
	}
	return c.Open(dst, sealed, aad)
}

// FV-1, FV-10, FV-12.
func TestEveryAcceptedValueOpens(t *testing.T) {
	file := load[valuesFile](t, "values.json")
	r := newReader(t, file.Key)
	suites := map[byte]int{}
	for _, f := range file.Accepted {
		t.Run(f.Name, func(t *testing.T) {
			env, err := envelope.ParseText(nil, []byte(f.Text))
			if err != nil || !bytes.Equal(env, f.Envelope) {
				t.Fatalf("ParseText = %x, %v", env, err)
			}
			if text := envelope.AppendText(nil, f.Envelope); string(text) != f.Text {
				t.Errorf("AppendText = %q", text)
			}
			h, aad, sealed, err := envelope.Parse(env)
			if err != nil {
				t.Fatal(err)
			}
			if byte(h.Suite) != f.Suite || !bytes.Equal(h.Context[:], f.ContextID) || !bytes.Equal(h.Key[:], file.Key.ID) ||
				!bytes.Equal(aad, f.Header) || !bytes.HasPrefix(sealed, f.Nonce) {
				t.Errorf("header %+v, AAD %x", h, aad)
			}
			if got, err := r.open([]byte("pre"), env); err != nil || string(got) != "pre"+string(f.Plaintext) {
				t.Errorf("open = %x, %v", got, err)
			}
		})
		suites[f.Suite]++
	}
	if suites[1] < 3 || suites[2] < 3 {
		t.Errorf("fixtures by suite: %v", suites)
	}
}

// FV-1, FV-10, FV-12, FV-13, FV-16.
func TestEveryRefusedValueGivesItsErrorAndNoPlaintext(t *testing.T) {
	file := load[valuesFile](t, "values.json")
	r := newReader(t, file.Key)
	if len(file.Refused) < 30 {
		t.Fatalf("%d fixtures", len(file.Refused))
	}
	for _, f := range file.Refused {
		t.Run(f.Name, func(t *testing.T) {
			want := refusals()[f.Error]
			if want == nil {
				t.Fatalf("unknown error %q", f.Error)
			}
			env, err := []byte(f.Envelope), error(nil)
			if f.Text != nil {
				env, err = envelope.ParseText(nil, []byte(*f.Text))
			}
			dst := append(make([]byte, 0, 4096), "kept"...)
			if err == nil {
				dst, err = r.open(dst, env)
			}
			if !errors.Is(err, want) {
				t.Errorf("err = %v, want %v", err, want)
			}
			if string(dst) != "kept" || bytes.Contains(dst[:cap(dst)], []byte(refusedPlaintext)) {
				t.Error("plaintext of a refused value is left behind")
			}
		})
	}
}

func TestEveryAcceptedContextHasItsEncodingAndID(t *testing.T) {
	file := load[contextsFile](t, "contexts.json")
	for _, f := range slices.Concat(file.Accepted, file.Refused) {
		t.Run(f.Name, func(t *testing.T) {
			if len(f.Parts) != 6 {
				t.Fatalf("%d parts", len(f.Parts))
			}
			c := envelope.Context{
				Tenant: f.Parts[0], Dataset: f.Parts[1], Schema: f.Parts[2],
				Path: f.Parts[3], ValueType: f.Parts[4], Purpose: f.Parts[5],
			}
			b, err := c.Append(nil)
			id, idErr := c.ID()
			if f.Error != "" { // FV-20
				if want := refusals()[f.Error]; want == nil || !errors.Is(err, want) || !errors.Is(idErr, want) {
					t.Errorf("err = %v, %v, want %q", err, idErr, f.Error)
				}
				return
			}
			if err != nil || idErr != nil || !bytes.Equal(b, f.Encoding) || !bytes.Equal(id[:], f.ID) {
				t.Errorf("encoding %x, id %x, %v, %v", b, id, err, idErr)
			}
		})
	}
	if len(file.Accepted) < 5 || len(file.Refused) < 2 {
		t.Errorf("%d and %d fixtures", len(file.Accepted), len(file.Refused))
	}
}

// FV-30.
func TestKeyBlockFixtures(t *testing.T) {
	file := load[keyBlocksFile](t, "keyblocks.json")
	for _, f := range file.Accepted {
		k, err := envelope.ParseKeyBlock(f.Block)
		if err != nil || k.KEK != f.KEK || k.Tenant != f.Tenant ||
			!bytes.Equal(k.Commitment[:], f.Commitment) || !bytes.Equal(k.Wrapped, f.Wrapped) {
			t.Errorf("%s: %+v, %v", f.Name, k, err)
		}
		if b, err := k.Append(nil); err != nil || !bytes.Equal(b, f.Block) {
			t.Errorf("%s: Append = %x, %v", f.Name, b, err)
		}
	}
	for _, f := range file.Refused {
		_, err := envelope.ParseKeyBlock(f.Bytes)
		if want := refusals()[f.Error]; want == nil || !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %q", f.Name, err, f.Error)
		}
	}
	if len(file.Accepted) < 3 || len(file.Refused) < 10 {
		t.Errorf("%d and %d fixtures", len(file.Accepted), len(file.Refused))
	}
}

// FV-41.
func TestMetaFixtures(t *testing.T) {
	file := load[metasFile](t, "metas.json")
	for _, f := range file.Accepted {
		m, err := envelope.ParseMeta(f.Meta)
		if err != nil || m.HasPolicy != (len(f.Policy) > 0) || (m.HasPolicy && !bytes.Equal(m.Policy[:], f.Policy)) {
			t.Errorf("%s: %+v, %v", f.Name, m, err)
		}
	}
	for _, f := range file.Refused {
		_, err := envelope.ParseMeta(f.Bytes)
		if want := refusals()[f.Error]; want == nil || !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %q", f.Name, err, f.Error)
		}
	}
	if len(file.Accepted) < 3 || len(file.Refused) < 8 {
		t.Errorf("%d and %d fixtures", len(file.Accepted), len(file.Refused))
	}
}

func TestNamesOfFixturesAreUnique(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "v1", "*.json"))
	if err != nil || len(names) != 5 {
		t.Fatalf("files %v, %v", names, err)
	}
	for _, name := range names {
		file := load[map[string]any](t, filepath.Base(name))
		seen := map[string]bool{}
		for _, list := range []string{"accepted", "refused"} {
			rows, _ := file[list].([]any)
			for _, row := range rows {
				fields, _ := row.(map[string]any)
				n, _ := fields["name"].(string)
				if strings.TrimSpace(n) == "" || seen[n] {
					t.Errorf("%s: the name %q is empty or used twice", name, n)
				}
				seen[n] = true
			}
		}
	}
}
