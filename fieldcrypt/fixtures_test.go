package fieldcrypt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

// frozenFiles are the SHA-256 of the files under testdata/v1. They were written
// once; a file that differs is wrong, and so is this list if it was changed.
func frozenFiles() map[string]string {
	return map[string]string{
		"address.avsc":          "32a3fa9743ea61d66acdb9c41072947754d1cc1039e529e8c721c790d6507872",
		"customer-renamed.avsc": "2ecdf4481d738953bd34e0f887ed9f179a304735dc05e12ede35707c1a05d23e",
		"customer.avsc":         "a611b7a260a949bb80a75e30c351c67fa66aec9246f3e93868822dcd344b9309",
		"pci.kek":               "bf86444bc7294920f026163f3ba18966942b5fe9bd75660706f1c3af1111357c",
		"pii.kek":               "282aa89863d88c41ca94b5c6d93058d7ffc80cfb74d838cdb4386a1aa243a620",
		"policy.yaml":           "80b6fc77313fe9f2ad507e0bbd12231756f401be6ff1c2d59cce7b3f42e77fd8",
		"records.json":          "0215ca405719c3e4ea7f52460248ba1d7f3e9b4db334ebe548190dde5ea018a8",
	}
}

// The fixtures' schemas, by the ids that their records are framed with.
const (
	fixtureCustomer = 1
	fixtureRenamed  = 2 // email is called mail, with an alias
)

// hexed is a byte string that JSON holds in hex.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// What records.json holds.
type (
	fixtureFile struct {
		About   string          `json:"about"`
		Blocks  []hexed         `json:"blocks"` // all key blocks, as a key store has them
		Records []fixtureRecord `json:"records"`
	}
	fixtureRecord struct {
		Name    string          `json:"name"`
		Topic   string          `json:"topic"`
		Headers []fixtureHeader `json:"headers"`
		Value   hexed           `json:"value"`
		// Revealed is what Reveal makes of Value, where Code is empty.
		Revealed hexed           `json:"revealed,omitempty"`
		Code     fieldcrypt.Code `json:"code,omitempty"`
	}
	fixtureHeader struct {
		Key   string `json:"key"`
		Value hexed  `json:"value"`
	}
)

func (f *fixtureRecord) record() fieldcrypt.Record {
	rec := fieldcrypt.Record{Topic: f.Topic, Value: bytes.Clone(f.Value)}
	for _, h := range f.Headers {
		rec.Headers = append(rec.Headers, fieldcrypt.Header{Key: h.Key, Value: h.Value})
	}
	return rec
}

func fixturePath(name string) string { return filepath.Join("testdata", "v1", name) }

func readFixture(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(fixturePath(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixtureReader is a reader of the fixtures: their policy, schemas and KEKs,
// and a store, nil for none. The policy names the KEK files relative to the
// working directory, so they are put into a new one, with the mode that they
// must have and that a checkout does not keep.
func fixtureReader(t *testing.T, store datakey.Store) *fieldcrypt.Engine {
	t.Helper()
	policy, err := fieldcrypt.ParsePolicy(readFixture(t, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	schemas := fixtureSchemas(t)
	dir := t.TempDir()
	for _, kek := range []string{"pii.kek", "pci.kek"} {
		if err := os.WriteFile(filepath.Join(dir, kek), readFixture(t, kek), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var opts []datakey.Option
	if store != nil {
		opts = append(opts, datakey.WithStore(store))
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(policy, keys, fieldcrypt.WithSchemas(schemas))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func fixtureSchemas(t *testing.T) schema.Static {
	t.Helper()
	text := func(name string) schema.Text {
		return schema.Text{
			Format: schema.Avro, Schema: string(readFixture(t, name)), References: []string{string(readFixture(t, "address.avsc"))},
		}
	}
	return schema.Static{fixtureCustomer: text("customer.avsc"), fixtureRenamed: text("customer-renamed.avsc")}
}

func readRecords(t *testing.T) fixtureFile {
	t.Helper()
	var f fixtureFile
	d := json.NewDecoder(bytes.NewReader(readFixture(t, "records.json")))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheFixturesAreFrozen(t *testing.T) {
	entries, err := os.ReadDir(fixturePath(""))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := frozenFiles()
	if !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
		t.Errorf("testdata/v1 holds %q", names)
	}
	for _, name := range names {
		if sum := sha256.Sum256(readFixture(t, name)); hex.EncodeToString(sum[:]) != want[name] {
			t.Errorf("%s changed: its SHA-256 is %x", name, sum)
		}
	}
}

// Whatever an earlier release wrote is revealed, or refused with the same code:
// with its headers (FV-41, FV-42) and, FV-40, from a key store without them.
func TestEveryReleaseRevealsTheFixtures(t *testing.T) {
	file := readRecords(t)
	accepted, refused := 0, 0
	for _, f := range file.Records {
		if f.Code == "" {
			accepted++
		} else {
			refused++
		}
	}
	if accepted < 7 || refused < 8 {
		t.Fatalf("%d records to reveal and %d to refuse: the file is not whole", accepted, refused)
	}
	for _, f := range file.Records {
		t.Run(f.Name, func(t *testing.T) {
			out, err := fixtureReader(t, nil).Reveal(t.Context(), f.record())
			checkFixture(t, "with headers", f, out, err)
		})
		if f.Code == fieldcrypt.CodeKeyUnknown || f.hasBadMeta() {
			continue // refused for its headers, so it is another record without them
		}
		t.Run(f.Name+", from the store", func(t *testing.T) {
			store := new(datakey.MemStore)
			for _, b := range file.Blocks {
				id, err := datakey.CheckBlock(b)
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Put(t.Context(), id, b); err != nil {
					t.Fatal(err)
				}
			}
			rec := f.record()
			rec.Headers = foreignHeaders(rec.Headers)
			out, err := fixtureReader(t, store).Reveal(t.Context(), rec)
			checkFixture(t, "without headers", f, out, err)
		})
	}
}

func checkFixture(t *testing.T, how string, f fixtureRecord, out fieldcrypt.Record, err error) {
	t.Helper()
	checkCode(t, how, err, f.Code)
	if !bytes.Equal(out.Value, f.Revealed) {
		t.Errorf("%s: revealed %x\nwant %x", how, out.Value, f.Revealed)
	}
	if err == nil && !slices.EqualFunc(out.Headers, foreignHeaders(f.record().Headers), func(a, b fieldcrypt.Header) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
	}) {
		t.Errorf("%s: headers %v", how, out.Headers)
	}
}

// foreignHeaders are those that are not of the format.
func foreignHeaders(in []fieldcrypt.Header) []fieldcrypt.Header {
	var out []fieldcrypt.Header
	for _, h := range in {
		if h.Key != fieldcrypt.HeaderKey && h.Key != fieldcrypt.HeaderMeta {
			out = append(out, h)
		}
	}
	return out
}

// hasBadMeta tells whether the record was refused for its fv-meta header: those
// of the writer are one version byte and one policy digest.
func (f *fixtureRecord) hasBadMeta() bool {
	return slices.ContainsFunc(f.Headers, func(h fixtureHeader) bool { return h.Key == fieldcrypt.HeaderMeta && len(h.Value) != 11 })
}

// The digest in the headers is that of the policy file beside them.
func TestTheFixturesNameTheirPolicy(t *testing.T) {
	policy, err := fieldcrypt.ParsePolicy(readFixture(t, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	digest := policy.Digest()
	want := append([]byte{1, 1, 8}, digest[:]...)
	for _, f := range readRecords(t).Records {
		if f.Code != "" {
			continue
		}
		found := slices.ContainsFunc(f.Headers, func(h fixtureHeader) bool {
			return h.Key == fieldcrypt.HeaderMeta && bytes.Equal(h.Value, want)
		})
		if !found {
			t.Errorf("%s: no fv-meta header with %x", f.Name, want)
		}
	}
}

// writeFrozen writes a file that does not exist yet.
func writeFrozen(name string, b []byte) error {
	f, err := os.OpenFile(fixturePath(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
