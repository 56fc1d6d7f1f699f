package input

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// broker starts a broker with a topic of three partitions, and returns its address
// and a function that writes to it.
func broker(t *testing.T) (address string, put func(recs ...*kgo.Record)) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "users", "clicks", "users.empty"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cluster.ListenAddrs()[0], func(recs ...*kgo.Record) {
		if err := client.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// user is the encoding of one record of ownAvro.
func user(id int) string {
	email := fmt.Sprintf("u%03d@example.com", id)
	return string(appendLong(nil, int64(id))) + "\x02" + string(appendBytes(nil, []byte(email)))
}

func TestLoadReadsTheNewestRecordsOfATopic(t *testing.T) {
	dir := files(t, ownFiles())
	address, put := broker(t)
	for i := range 30 {
		put(&kgo.Record{
			Topic: "users", Partition: int32(i % 2), Key: []byte("k"), Value: []byte("\x00\x00\x00\x00\x07" + user(i)),
			Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}},
		})
	}
	put(&kgo.Record{Topic: "users", Partition: 1, Key: []byte("k")}) // a tombstone, the newest record of its partition
	put(&kgo.Record{Topic: "users", Partition: 0, Value: []byte("\x00\x00\x00\x00\x08other")})
	s, err := Load(t.Context(), Options{
		Policy: dir + "policy.yaml", Topic: "users", Schema: dir + "user.avsc", Records: "topic", Brokers: []string{address}, Count: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.SchemaID != 7 || !s.Framed || len(s.Records) != 8 || len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "1 tombstones") || !strings.Contains(s.Notes[1], "other schemas than id 7") {
		t.Errorf("id %d, %d records, notes %q", s.SchemaID, len(s.Records), s.Notes)
	}
	if r := s.Records[0]; string(r.Key) != "k" || len(r.Headers) != 1 || r.Headers[0].Key != "h" {
		t.Errorf("key %q, headers %v", r.Key, r.Headers)
	}
	for i := range s.Records {
		if email := string(s.Tagged[i][0]); email < "u022@" {
			t.Errorf("%s is none of the newest", email)
		}
	}
	rekeyed(t, s)
}

func TestLoadTakesTheSchemaThatTheRecordsOfATopicName(t *testing.T) {
	dir := files(t, ownFiles())
	address, put := broker(t)
	server, err := registrytest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	id, err := server.Register("anywhere", registrytest.Schema{Format: registrytest.Avro, Text: ownAvro})
	if err != nil {
		t.Fatal(err)
	}
	put(&kgo.Record{Topic: "users", Value: append([]byte{0, 0, 0, 0, byte(id)}, user(5)...)})
	o := Options{Policy: dir + "policy.yaml", Topic: "users", Registry: []string{server.URL()}, Records: "topic", Brokers: []string{address}}
	s, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.SchemaID != id || !strings.Contains(s.Text.Schema, `"long"`) || string(s.Tagged[0][0]) != "u005@example.com" {
		t.Errorf("id %d, tagged %q", s.SchemaID, s.Tagged)
	}
}

func TestLoadReadsTopicsWithoutFraming(t *testing.T) {
	dir := files(t, ownFiles())
	address, put := broker(t)
	put(&kgo.Record{Topic: "users", Value: []byte(user(5))}, &kgo.Record{Topic: "clicks", Value: []byte(`{"user":{"ip":"192.0.2.7"}}`)})
	s, err := Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "users", Schema: dir + "user.avsc", Records: "topic", Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Records[0].Value) != "\x00\x00\x00\x00\x01"+user(5) || len(s.Notes) != 1 {
		t.Errorf("value %q, notes %q", s.Records[0].Value, s.Notes)
	}
	s, err = Load(t.Context(), Options{Policy: dir + "policy.yaml", Topic: "clicks", Records: "topic", Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Framed || s.Protected != 1 {
		t.Errorf("framed %v, %v protected", s.Framed, s.Protected)
	}
}

func TestLoadRefusesTopicsThatCannotBeMeasured(t *testing.T) {
	dir := files(t, ownFiles())
	frame := func(body string) []byte { return []byte("\x00\x00\x00\x00\x07" + body) }
	sealed := "\x02\x02" + string(appendBytes(nil, []byte("fv1:AQF_n4ac_nVdwJBFGzQC1TAnfY4TIMct29l9V3rXQ64xt2KJbErzy0TE6tld")))
	tests := []struct {
		name   string
		rec    *kgo.Record // nil for none
		schema string
		want   []string
	}{
		{"an empty topic", nil, "user.avsc", []string{"topic users", "no records"}},
		{"a header of a protected record", &kgo.Record{Value: frame(user(1)), Headers: []kgo.RecordHeader{{Key: fieldcrypt.HeaderKey}}}, "user.avsc", []string{"topic users, partition 0, offset 0", "protected already"}},
		{"a value that is an envelope", &kgo.Record{Value: frame(sealed)}, "user.avsc", []string{"offset 0", "protected already"}},
		{"a schema in a header", &kgo.Record{Value: []byte(user(1)), Headers: []kgo.RecordHeader{{Key: wire.HeaderValueSchemaID}}}, "user.avsc", []string{"offset 0", "GUID"}},
		{"a record of another schema", &kgo.Record{Value: frame("\xff\xffcanary")}, "user.avsc", []string{"offset 0", "malformed"}},
		{"no schema", &kgo.Record{Value: frame(user(1))}, "", []string{"offset 0", "--registry"}},
		{"neither schema nor framing", &kgo.Record{Value: []byte(user(1))}, "", []string{"offset 0", "no schema was given"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, put := broker(t)
			if tt.rec != nil {
				tt.rec.Topic = "users"
				put(tt.rec)
			}
			o := Options{Policy: dir + "policy.yaml", Topic: "users", Records: "topic:users", Brokers: []string{address}}
			if tt.schema != "" {
				o.Schema = dir + tt.schema
			}
			_, err := Load(t.Context(), o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("error %q holds a value", err)
			}
		})
	}
}

func TestSharesOfPartitions(t *testing.T) {
	tests := []struct {
		name  string
		have  map[int32]int64
		count int64
		want  map[int32]int64
	}{
		{"all have enough", map[int32]int64{0: 50, 1: 50}, 10, map[int32]int64{0: 5, 1: 5}},
		{"one has less", map[int32]int64{0: 2, 1: 50, 2: 50}, 12, map[int32]int64{0: 2, 1: 5, 2: 5}},
		{"together not enough", map[int32]int64{0: 2, 1: 3}, 12, map[int32]int64{0: 2, 1: 3}},
		{"fewer records than partitions", map[int32]int64{0: 9, 1: 9, 2: 9}, 2, map[int32]int64{1: 1, 2: 1}},
		{"a rest", map[int32]int64{0: 9, 1: 9, 2: 9}, 10, map[int32]int64{0: 3, 1: 3, 2: 4}},
	}
	for _, tt := range tests {
		if got := shares(tt.have, tt.count); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
