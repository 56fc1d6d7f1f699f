package endtoend

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
	"github.com/fieldveil/fieldveil/schema"
)

const (
	topic    = "patients.v1"
	schemaID = 42
	records  = 10_000
	text     = `{"type": "record", "name": "Patient", "namespace": "com.example.clinic", "fields": [
	  {"name": "id", "type": "string"},
	  {"name": "name", "type": "string", "confluent:tags": ["PHI.NAME"]},
	  {"name": "ssn", "type": ["null", "string"], "confluent:tags": ["PHI.SSN"]},
	  {"name": "visits", "type": {"type": "array", "items": {"type": "record", "name": "Visit", "fields": [
	    {"name": "day", "type": "int"},
	    {"name": "finding", "type": "string", "confluent:tags": ["PHI.FINDING"]}]}}},
	  {"name": "scan", "type": "bytes", "confluent:tags": ["PHI.SCAN"]},
	  {"name": "remark", "type": ["null", "string"], "confluent:tags": ["PHI.REMARK"]},
	  {"name": "insurer", "type": "string", "confluent:tags": ["PHI.INSURER"]}]}`
	policy = `
version: 1
dataset: patients
keys: {phi: {kek: "local:%s"}}
rules:
  - {tag: PHI.NAME, action: mask, keep_first: 1}
  - {tag: PHI.REMARK, action: drop}
  - {tag: PHI.INSURER, action: constant, value: "withheld"}
  - {tag: PHI, action: encrypt, key: phi}
topics: [{match: "patients.*"}]
`
)

type visit struct {
	Day     int32  `avro:"day"`
	Finding string `avro:"finding"`
}

type patient struct {
	ID      string  `avro:"id"`
	Name    string  `avro:"name"`
	SSN     *string `avro:"ssn"`
	Visits  []visit `avro:"visits"`
	Scan    []byte  `avro:"scan"`
	Remark  *string `avro:"remark"`
	Insurer string  `avro:"insurer"`
}

// patientOf makes the i-th patient. Every protected value is one of its kind.
func patientOf(i int) patient {
	ssn, remark := fmt.Sprintf("9%02d-%02d-%04d", i/10000, i/100%100, i), fmt.Sprintf("remark no. %d of the ward", i)
	p := patient{
		ID: fmt.Sprintf("patient-%06d", i), Name: fmt.Sprintf("Zq%06d Testperson", i),
		Scan: fmt.Appendf(nil, "\x00scan-%06d-bytes\xff", i), Insurer: fmt.Sprintf("insurer-%06d Ltd", i),
	}
	if i%3 > 0 {
		p.SSN = &ssn
	}
	if i%2 > 0 {
		p.Remark = &remark
	}
	for v := range i % 4 {
		p.Visits = append(p.Visits, visit{int32(19000 + v), fmt.Sprintf("finding %06d/%d: nothing", i, v)})
	}
	return p
}

// plaintexts are the protected values of a patient.
func (p patient) plaintexts() [][]byte {
	out := [][]byte{[]byte(p.Name[1:]), p.Scan[1 : len(p.Scan)-1], []byte(p.Insurer)}
	if p.SSN != nil {
		out = append(out, []byte(*p.SSN))
	}
	if p.Remark != nil {
		out = append(out, []byte(*p.Remark))
	}
	for _, v := range p.Visits {
		out = append(out, []byte(v.Finding))
	}
	return out
}

// engine is what one process has: a client of the key topic and keys of its own.
func engine(t *testing.T, addr, kek string) *fieldcrypt.Engine {
	t.Helper()
	return newEngine(t, addr, fmt.Sprintf(policy, kek),
		fieldcrypt.WithSchemas(schema.Static{schemaID: {Format: schema.Avro, Schema: text}}))
}

func newEngine(t *testing.T, addr, policy string, opts ...fieldcrypt.Option) *fieldcrypt.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store, err := kgocrypt.OpenKeyTopic(ctx, kgocrypt.DefaultKeyTopic, []kgo.Opt{kgo.SeedBrokers(addr)}, kgocrypt.WithReplication(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.New()}, datakey.WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	e, err := fieldcrypt.New(p, keys, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPatientsSurviveRestartsOfARealBrokerProtected(t *testing.T) {
	broker := kafkabroker.Start(t)
	kek := filepath.Join(t.TempDir(), "test.kek")
	if err := localkms.Create(kek); err != nil {
		t.Fatal(err)
	}
	parsed := avro.MustParse(text)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	producer, err := kgocrypt.NewProducer(client, engine(t, broker.Addr(), kek))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	failures := make(chan error, records)
	for i := range records {
		p := patientOf(i)
		value, err := parsed.AppendEncode(binary.BigEndian.AppendUint32([]byte{0}, schemaID), &p)
		if err != nil {
			t.Fatal(err)
		}
		producer.Produce(t.Context(), &kgo.Record{Key: []byte(p.ID), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failures <- err
			}
		})
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(failures) > 0 {
		t.Fatalf("%d records failed, the first: %v", len(failures), <-failures)
	}
	client.Close()
	t.Logf("Apache Kafka %s: %d records acknowledged in %v", broker.Version(), records, time.Since(start).Round(time.Millisecond))

	broker.Restart(t)
	readAll(t, broker.Addr(), kek, "after a restart", false)
	broker.Kill(t)
	broker.Restart(t)
	readAll(t, broker.Addr(), kek, "after kill -9, without headers", true)
	broker.Stop(t)
	scan(t, broker.DataDir())
}

// readAll reveals and compares every record, with a new engine.
func readAll(t *testing.T, addr, kek, when string, dropHeaders bool) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	consumer, err := kgocrypt.NewConsumer(client, engine(t, addr, kek))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	parsed := avro.MustParse(text)
	seen := make(map[string]bool)
	for len(seen) < records {
		for it := client.PollFetches(ctx).RecordIter(); !it.Done(); {
			r := it.Next()
			if dropHeaders {
				r.Headers = nil
			}
			out, err := consumer.Reveal(ctx, r)
			if err != nil {
				t.Fatalf("%s: after %d records: %v", when, len(seen), err)
			}
			var got patient
			if _, err := parsed.Decode(out.Value[5:], &got); err != nil {
				t.Fatal(err)
			}
			var i int
			if _, err := fmt.Sscanf(got.ID, "patient-%d", &i); err != nil {
				t.Fatal(err)
			}
			compare(t, patientOf(i), got)
			seen[got.ID] = true
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %d of %d records came", when, len(seen), records)
		}
	}
	t.Logf("%s: %d records revealed and equal", when, len(seen))
}

func compare(t *testing.T, want, got patient) {
	t.Helper()
	wantSSN, gotSSN := "null", "null"
	if want.SSN != nil {
		wantSSN = *want.SSN
	}
	if got.SSN != nil {
		gotSSN = *got.SSN
	}
	if wantSSN != gotSSN || !bytes.Equal(want.Scan, got.Scan) || fmt.Sprint(want.Visits) != fmt.Sprint(got.Visits) {
		t.Fatalf("patient %s came back as %+v", want.ID, got)
	}
	if got.Name[0] != want.Name[0] || strings.Contains(got.Name, "Testperson") || got.Remark != nil || got.Insurer != "withheld" {
		t.Fatalf("patient %s: mask, drop or constant did not hold: %+v", want.ID, got)
	}
}

// scan looks for every protected plaintext in every byte of the broker's disk.
func scan(t *testing.T, dir string) {
	t.Helper()
	var disk []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		disk = append(disk, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// All values begin in one of few ways, so one look at each place is enough.
	needles := make(map[string]bool)
	lengths := make(map[int]bool)
	for i := range records {
		for _, p := range patientOf(i).plaintexts() {
			needles[string(p)] = true
			lengths[len(p)] = true
		}
	}
	control := make(map[string]bool)
	found := 0
	for at := range disk {
		for n := range lengths {
			if at+n <= len(disk) && needles[string(disk[at:at+n])] {
				found++
			}
		}
		const idSize = len("patient-000000")
		if at+idSize <= len(disk) && bytes.HasPrefix(disk[at:], []byte("patient-")) {
			control[string(disk[at:at+idSize])] = true
		}
	}
	if found > 0 {
		t.Errorf("%d protected values are on the disk in clear", found)
	}
	if len(control) < records {
		t.Errorf("the scan found %d of %d clear ids, so it proves nothing", len(control), records)
	}
	t.Logf("%d bytes on disk, %d protected values: %d found; %d clear ids found", len(disk), len(needles), found, len(control))
}
