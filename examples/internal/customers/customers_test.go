package customers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"index/suffixarray"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/fieldveil/fieldveil/examples/internal/customers"
)

var update = flag.Bool("update", false, "write the golden file anew")

// demoRecords is how many records the demo sends.
const demoRecords = 10_000

func generate(seed uint64, n int) []customers.Customer {
	g := customers.New(seed)
	out := make([]customers.Customer, n)
	for i := range out {
		out[i] = g.Next()
	}
	return out
}

func encode(t testing.TB, c customers.Customer) []byte {
	t.Helper()
	b, err := customers.Encode(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseSchema(t testing.TB) *avro.Schema {
	t.Helper()
	s, err := avro.Parse(customers.Schema())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFirstThousandRecordsMatchTheGoldenHash(t *testing.T) {
	h := sha256.New()
	for _, c := range generate(1, 1000) {
		h.Write(encode(t, c))
	}
	got := hex.EncodeToString(h.Sum(nil)) + "\n"
	file := filepath.Join("testdata", "first-1000-seed-1.sha256")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("hash of the first 1,000 records is %q, the golden file has %q", got, want)
	}
}

func TestSeedDecidesTheRecords(t *testing.T) {
	a, b, c := generate(7, 200), generate(7, 200), generate(8, 200)
	if !reflect.DeepEqual(a, b) {
		t.Error("two generators with one seed differ")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("two seeds give the same records")
	}
	for i := range a {
		if !bytes.Equal(encode(t, a[i]), encode(t, b[i])) {
			t.Fatalf("record %d: equal customers encode to different bytes", i)
		}
	}
}

func TestRecordsDecodeBackEqual(t *testing.T) {
	s := parseSchema(t)
	for i, want := range generate(1, demoRecords) {
		var got customers.Customer
		rest, err := s.Decode(encode(t, want), &got)
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if len(rest) != 0 {
			t.Fatalf("record %d leaves %d bytes", i, len(rest))
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("record %d decodes to\n%+v, want\n%+v", i, got, want)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	c := generate(3, 1)[0]
	got, err := customers.Encode([]byte("head"), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("head"), encode(t, c)...); !bytes.Equal(got, want) {
		t.Errorf("Encode onto a prefix = %x, want %x", got, want)
	}
}

func TestEncodeRefusesAnUnknownTierAndReturnsDst(t *testing.T) {
	c := generate(3, 1)[0]
	c.Tier = "WOODEN"
	got, err := customers.Encode([]byte("head"), c)
	if err == nil {
		t.Fatal("an unknown tier was encoded")
	}
	if string(got) != "head" {
		t.Errorf("dst came back as %q", got)
	}
}

func TestEveryLocaleOccurs(t *testing.T) {
	seen := map[string]int{}
	for _, c := range generate(1, demoRecords) {
		seen[c.Locale]++
	}
	want := []string{"cs-CZ", "de-DE", "en-GB", "en-US", "es-ES", "fr-FR", "hi-IN", "ja-JP", "pt-BR"}
	for _, l := range want {
		if seen[l] < demoRecords/20 {
			t.Errorf("%s occurs %d times in %d records", l, seen[l], demoRecords)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d locales occur, want %d", len(seen), len(want))
	}
}

func TestEveryShapeOccurs(t *testing.T) {
	seen := map[string]int{}
	count := func(what string, is bool) {
		if is {
			seen[what]++
		}
	}
	all := generate(1, demoRecords)
	for _, c := range all {
		count("phone null", c.Phone == nil)
		count("phone", c.Phone != nil)
		count("shipping null", c.ShippingAddress == nil)
		count("shipping", c.ShippingAddress != nil)
		count("notes null", c.Notes == nil)
		count("notes", c.Notes != nil)
		count("never ordered", c.LastOrderAt == nil && c.OrderCount == 0)
		count("ordered", c.LastOrderAt != nil && c.OrderCount > 0)
		count("no preferences", len(c.Preferences) == 0)
		count("four preferences", len(c.Preferences) == 4)
		count("debt", c.BalanceCents < 0)
		for n := range 4 {
			count(fmt.Sprintf("%d emails", n), len(c.Emails) == n)
		}
		for _, tier := range []string{"BRONZE", "SILVER", "GOLD", "PLATINUM"} {
			count(tier, c.Tier == tier)
		}
	}
	if len(seen) != 19 {
		t.Errorf("%d of 19 shapes occur: %v", len(seen), seen)
	}
	if n := seen["never ordered"] + seen["ordered"]; n != len(all) {
		t.Errorf("%d records disagree with themselves about orders", len(all)-n)
	}
}

// leaves walks a decoded value beside its schema and parts its strings into
// the tagged and the clear. It knows nothing of the package's own list.
func leaves(n *avro.SchemaNode, path string, tags []string, v any, tagged *[]customers.Secret, clear *[]string) {
	tags = append(slices.Clone(tags), tagsOf(n.Props)...)
	switch v := v.(type) {
	case string:
		if len(tags) == 0 {
			*clear = append(*clear, v)
			return
		}
		*tagged = append(*tagged, customers.Secret{Path: path, Tag: strings.Join(tags, "+"), Value: v})
	case map[string]any:
		switch n.Type {
		case "record":
			for i := range n.Fields {
				f := &n.Fields[i]
				leaves(&f.Type, path+"/"+f.Name, append(slices.Clone(tags), tagsOf(f.Props)...), v[f.Name], tagged, clear)
			}
		case "map":
			for k, e := range v {
				*clear = append(*clear, k)
				leaves(n.Values, path+"/{}", tags, e, tagged, clear)
			}
		case "union":
			leaves(&n.Branches[1], path, tags, v, tagged, clear)
		}
	case []any:
		for _, e := range v {
			leaves(n.Items, path+"/[]", tags, e, tagged, clear)
		}
	}
}

func tagsOf(props map[string]any) []string {
	var out []string
	list, _ := props["confluent:tags"].([]any)
	for _, t := range list {
		tag, _ := t.(string)
		out = append(out, tag)
	}
	return out
}

func TestSensitiveListsWhatTheSchemaTags(t *testing.T) {
	s := parseSchema(t)
	root := s.Root()
	node := root.ExpandReferences()
	tags := map[string]int{}
	for i, c := range generate(1, 2000) {
		var v any
		if _, err := s.Decode(encode(t, c), &v); err != nil {
			t.Fatal(err)
		}
		var want []customers.Secret
		var clear []string
		leaves(node, "", nil, v, &want, &clear)
		got := customers.Sensitive(c)
		if !slices.Equal(got, want) {
			t.Fatalf("record %d: Sensitive lists %d values %v, the schema tags %d values %v", i, len(got), got, len(want), want)
		}
		if len(clear) < 9 { // id, locale, two countries, city, postal code, tier, segment, currency
			t.Fatalf("record %d: the walk found %d clear strings", i, len(clear))
		}
		for _, secret := range got {
			tags[secret.Tag]++
		}
	}
	if len(tags) != 8 {
		t.Errorf("%d tags occur, want 8: %v", len(tags), tags)
	}
}

func TestNoSecretOccursInsideAClearField(t *testing.T) {
	for _, seed := range []uint64{1, 42, 2026} {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { noSecretInTheClear(t, seed) })
	}
}

// noSecretInTheClear looks for every secret in the clear fields of all
// records of the demo, its own among them.
func noSecretInTheClear(t *testing.T, seed uint64) {
	t.Helper()
	s := parseSchema(t)
	root := s.Root()
	node := root.ExpandReferences()
	var clearText bytes.Buffer
	var secrets []customers.Secret
	for _, c := range generate(seed, demoRecords) {
		var v any
		if _, err := s.Decode(encode(t, c), &v); err != nil {
			t.Fatal(err)
		}
		var clear []string
		leaves(node, "", nil, v, &secrets, &clear)
		for _, text := range clear {
			clearText.WriteString(text)
			clearText.WriteByte(0)
		}
	}
	index := suffixarray.New(clearText.Bytes())
	if index.Lookup([]byte("Fernhaven"), 1) == nil {
		t.Fatal("the index does not find a city that stands in the clear")
	}
	for _, secret := range secrets {
		if len(secret.Value) < 8 {
			t.Errorf("%v is %d bytes long, too short to search for", secret, len(secret.Value))
		}
		if index.Lookup([]byte(secret.Value), 1) != nil {
			t.Errorf("%v also occurs in a clear field", secret)
		}
	}
	t.Logf("%d secrets, %d bytes of clear text", len(secrets), clearText.Len())
}

func TestIdentifyingValuesAreDistinct(t *testing.T) {
	distinct := map[string]map[string]bool{}
	total := map[string]int{}
	for _, c := range generate(1, demoRecords) {
		list := append(customers.Sensitive(c), customers.Secret{Tag: "id", Value: c.ID})
		for _, s := range list {
			if distinct[s.Tag] == nil {
				distinct[s.Tag] = map[string]bool{}
			}
			distinct[s.Tag][s.Value] = true
			total[s.Tag]++
		}
	}
	// In hundredths of the values: people share names, birthdays and, the
	// reserved ranges being small, telephone numbers.
	for tag, least := range map[string]int{"id": 100, "PCI.PAN": 100, "PII.NATIONAL_ID": 99, "PII.EMAIL": 99, "PII.NOTES": 99} {
		if have := len(distinct[tag]); have*100 < total[tag]*least {
			t.Errorf("%s: %d distinct of %d, want %d %%", tag, have, total[tag], least)
		}
	}
	for tag := range total {
		t.Logf("%s: %d distinct of %d", tag, len(distinct[tag]), total[tag])
	}
}

func TestSecretPrintsWithoutItsValue(t *testing.T) {
	s := customers.Sensitive(generate(1, 1)[0])[0]
	for _, text := range []string{s.String(), fmt.Sprintf("%+v", []customers.Secret{s})} {
		if strings.Contains(text, s.Value) {
			t.Errorf("%s prints its value", s.Path)
		}
	}
}

func BenchmarkNextAndEncode(b *testing.B) {
	g := customers.New(1)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = customers.Encode(buf[:0], g.Next()); err != nil {
			b.Fatal(err)
		}
	}
}
