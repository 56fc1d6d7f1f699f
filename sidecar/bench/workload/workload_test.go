package workload_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func parse(t *testing.T, c workload.Case) *avro.Schema {
	t.Helper()
	s, err := avro.Parse(c.Schema)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return s
}

func total(parts [][]byte) int {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	return n
}

func TestSizesAreWhatTheFiguresSay(t *testing.T) {
	tests := []struct {
		name                   string
		c                      workload.Case
		record, tagged, secret int
		shortest, longest      int
		hash                   string
	}{
		{name: "avro20", c: workload.Avro20(), record: 626, tagged: 5, secret: 113, shortest: 11, longest: 38, hash: "01cb6a61908471a1"},
		{name: "avro20one", c: workload.Avro20One(), record: 626, tagged: 1, secret: 38, shortest: 38, longest: 38, hash: "8ecdf375f685e405"},
		{name: "json20", c: workload.JSON20(), record: 1024, tagged: 5, secret: 113, shortest: 11, longest: 38, hash: "28e1c9dcf4ea5006"},
		{name: "proto20", c: workload.Proto20(), record: 680, tagged: 5, secret: 113, shortest: 11, longest: 38, hash: "ecc8d91167af7ffc"},
		{name: "avro10k", c: workload.Avro10K(), record: 10_240, tagged: 60, secret: 1446, shortest: 10, longest: 77, hash: "8723633a0bd65070"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.c.Name != tt.name {
				t.Errorf("its name is %q", tt.c.Name)
			}
			if got := len(tt.c.Record); got != tt.record {
				t.Errorf("the record has %d bytes, want %d", got, tt.record)
			}
			if got := len(tt.c.Tagged); got != tt.tagged {
				t.Errorf("%d tagged values, want %d", got, tt.tagged)
			}
			if got := total(tt.c.Tagged); got != tt.secret {
				t.Errorf("the tagged values have %d bytes together, want %d", got, tt.secret)
			}
			shorter := func(a, b []byte) int { return len(a) - len(b) }
			if got := len(slices.MinFunc(tt.c.Tagged, shorter)); got != tt.shortest {
				t.Errorf("the shortest tagged value has %d bytes, want %d", got, tt.shortest)
			}
			if got := len(slices.MaxFunc(tt.c.Tagged, shorter)); got != tt.longest {
				t.Errorf("the longest tagged value has %d bytes, want %d", got, tt.longest)
			}
			// Figures of different days compare only while these stand.
			sum := sha256.Sum256(append(slices.Clone(tt.c.Record), tt.c.Schema...))
			if got := hex.EncodeToString(sum[:8]); got != tt.hash {
				t.Errorf("hash of record and schema = %s, want %s", got, tt.hash)
			}
		})
	}
}

// tagged collects the strings under tagged fields of a decoded value, in the
// order in which the encoding holds them, by nothing but the schema.
func tagged(n *avro.SchemaNode, under bool, v any, out *[][]byte) {
	under = under || carriesTag(n.Props)
	switch v := v.(type) {
	case string:
		if under {
			*out = append(*out, []byte(v))
		}
	case map[string]any:
		switch n.Type {
		case "record":
			for i := range n.Fields {
				f := &n.Fields[i]
				tagged(&f.Type, under || carriesTag(f.Props), v[f.Name], out)
			}
			return
		case "union":
			tagged(&n.Branches[1], under, v, out)
		}
	case []any:
		for _, item := range v {
			tagged(n.Items, under, item, out)
		}
	}
}

func carriesTag(props map[string]any) bool {
	list, _ := props["confluent:tags"].([]any)
	return slices.Contains(list, any(workload.Tag))
}

func TestTaggedIsWhatADecodeFinds(t *testing.T) {
	for _, c := range workload.Cases() {
		if c.Format != workload.Avro {
			continue // the other formats are the same order, in tests of their own
		}
		t.Run(c.Name, func(t *testing.T) {
			s := parse(t, c)
			var v any
			rest, err := s.Decode(c.Record, &v)
			if err != nil {
				t.Fatal(err)
			}
			if len(rest) != 0 {
				t.Fatalf("the decode leaves %d bytes", len(rest))
			}
			root := s.Root()
			var got [][]byte
			tagged(root.ExpandReferences(), false, v, &got)
			if !slices.EqualFunc(got, c.Tagged, bytes.Equal) {
				t.Errorf("a decode finds %q, the case lists %q", got, c.Tagged)
			}
			// The order of a map's entries is the library's own, its length is not.
			again, err := s.Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			if len(again) != len(c.Record) {
				t.Errorf("the library encodes the same value in %d bytes, the case has %d", len(again), len(c.Record))
			}
		})
	}
}

func TestTaggedValuesStandInTheRecordInOrder(t *testing.T) {
	for _, c := range workload.Cases() {
		rest := c.Record
		for i, p := range c.Tagged {
			_, after, found := bytes.Cut(rest, p)
			if !found {
				t.Fatalf("%s: tagged value %d does not stand behind the one before it", c.Name, i)
			}
			rest = after
		}
	}
}

func TestAvro20HasTwentyFields(t *testing.T) {
	for _, c := range []workload.Case{workload.Avro20(), workload.Avro20One()} {
		root := parse(t, c).Root()
		if n := len(root.Fields); n != 20 {
			t.Errorf("%s has %d fields", c.Name, n)
		}
	}
}

func TestAvro20OneIsTheSameRecordWithOneTag(t *testing.T) {
	five, one := workload.Avro20(), workload.Avro20One()
	if !bytes.Equal(five.Record, one.Record) {
		t.Error("the records differ")
	}
	if !bytes.Equal(parse(t, five).Canonical(), parse(t, one).Canonical()) {
		t.Error("the schemas differ in more than tags")
	}
}

func TestCasesShareNoMemory(t *testing.T) {
	for i, c := range workload.Cases() {
		for _, p := range c.Tagged {
			clear(p)
		}
		fresh := workload.Cases()[i]
		if !bytes.Equal(c.Record, fresh.Record) {
			t.Errorf("%s: writing to Tagged changed Record", c.Name)
		}
		clear(c.Record)
		fresh = workload.Cases()[i]
		if bytes.Equal(c.Record, fresh.Record) || bytes.Equal(c.Tagged[0], fresh.Tagged[0]) {
			t.Errorf("%s: writing to one case changed the next", c.Name)
		}
	}
}

func TestTheJSONRecordIsTheOrder(t *testing.T) {
	c := workload.JSON20()
	var v map[string]any
	if err := json.Unmarshal(c.Record, &v); err != nil {
		t.Fatal(err)
	}
	if len(v) != 20 {
		t.Errorf("%d members", len(v))
	}
	var schema struct {
		Properties map[string]struct {
			Tags []string `json:"confluent:tags"`
		}
	}
	if err := json.Unmarshal([]byte(c.Schema), &schema); err != nil {
		t.Fatal(err)
	}
	tagged := 0
	for name, p := range schema.Properties {
		if slices.Contains(p.Tags, workload.Tag) != slices.Contains(workload.JSONPaths(), "/"+name) {
			t.Errorf("%s is tagged in one place only", name)
		}
		if len(p.Tags) > 0 {
			tagged++
		}
	}
	if tagged != len(c.Tagged) {
		t.Errorf("%d tagged members", tagged)
	}
	for i, path := range workload.JSONPaths() {
		if v[path[1:]] != string(c.Tagged[i]) {
			t.Errorf("%s is not what the case lists", path)
		}
	}
}

func TestTheProtobufRecordIsTheOrder(t *testing.T) {
	c := workload.Proto20()
	fields := map[protowire.Number]int{}
	for b := c.Record; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if num >= 3 && num <= 7 {
			if v, _ := protowire.ConsumeBytes(b[n:]); !bytes.Equal(v, c.Tagged[num-3]) {
				t.Errorf("field %d is not what the case lists", num)
			}
		}
		fields[num]++
		b = b[n+size:]
	}
	if len(fields) != 19 || fields[18] != 6 || fields[20] != 6 || fields[16] != 0 {
		t.Errorf("fields: %v", fields)
	}
}
