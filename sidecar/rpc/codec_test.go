package rpc

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

func testLimits() *limits { return &limits{records: 1000, headers: 2000} }

func decoded(k kind, b []byte) *request {
	r := newRequest(k, testLimits())
	r.decode(b)
	return r
}

func recordsOf(recs []produce.Record) []*v1.Record {
	out := make([]*v1.Record, len(recs))
	for i := range recs {
		out[i] = recordOf(&recs[i])
	}
	return out
}

// messageOf returns the generated message that a request was read from.
func (r *request) messageOf() proto.Message {
	mode := v1.Mode_MODE_UNSPECIFIED
	if r.mode == produce.Whole {
		mode = v1.Mode_MODE_WHOLE
	}
	recs := recordsOf(r.recs)
	switch r.kind {
	case kindCheck:
		return &v1.CheckRequest{Topic: r.topic, Records: recs}
	case kindProtect:
		return &v1.ProtectRequest{Record: recs[0]}
	case kindReveal:
		return &v1.RevealRequest{Record: recs[0], Purpose: r.purpose}
	case kindStream:
		if r.open {
			return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: r.topic, Mode: mode}}}
		}
		return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: &v1.StreamBatch{Sequence: r.sequence, Records: recs}}}
	default:
		return &v1.ProduceRequest{Topic: r.topic, Mode: mode, Records: recs}
	}
}

func allKinds() []kind { return []kind{kindProduce, kindCheck, kindProtect, kindReveal, kindStream} }

// plainly makes a generated message comparable with a request: topics are given
// to records, and the first mode is the default.
func plainly(m proto.Message) proto.Message {
	topic := ""
	var recs []*v1.Record
	mode := func(in *v1.Mode) {
		if *in == v1.Mode_MODE_EACH {
			*in = v1.Mode_MODE_UNSPECIFIED
		}
	}
	switch m := m.(type) {
	case *v1.ProduceRequest:
		topic, recs = m.GetTopic(), m.GetRecords()
		mode(&m.Mode)
	case *v1.CheckRequest:
		topic, recs = m.GetTopic(), m.GetRecords()
	case *v1.ProduceStreamRequest:
		if m.GetOpen() != nil {
			mode(&m.GetOpen().Mode)
		}
	}
	for _, r := range recs {
		if r.GetTopic() == "" {
			r.Topic = topic
		}
	}
	return m
}

func randomRecord(rng *rand.Rand, topic bool) *v1.Record {
	some := func() []byte {
		switch rng.IntN(4) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		b := make([]byte, rng.IntN(300))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	r := &v1.Record{Key: some(), Value: some()}
	if topic || rng.IntN(3) == 0 {
		r.Topic = "topic-" + string(rune('a'+rng.IntN(3)))
	}
	if rng.IntN(3) == 0 {
		r.Partition = new(rng.Int32())
	}
	if rng.IntN(3) == 0 {
		r.Timestamp = &timestamppb.Timestamp{Seconds: rng.Int64N(maxSeconds), Nanos: rng.Int32N(1e9)}
	}
	for range rng.IntN(4) {
		r.Headers = append(r.Headers, &v1.Header{Name: strings.Repeat("é", rng.IntN(5)), Value: some()})
	}
	return r
}

func randomRequest(rng *rand.Rand, k kind) proto.Message {
	records := func(topic bool) []*v1.Record {
		out := make([]*v1.Record, 1+rng.IntN(5))
		for i := range out {
			out[i] = randomRecord(rng, topic)
		}
		return out
	}
	switch k {
	case kindCheck:
		return &v1.CheckRequest{Topic: "default", Records: records(false)}
	case kindProtect:
		return &v1.ProtectRequest{Record: randomRecord(rng, true)}
	case kindReveal:
		return &v1.RevealRequest{Record: randomRecord(rng, true), Purpose: "support"}
	case kindStream:
		if rng.IntN(2) == 0 {
			return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: "t", Mode: v1.Mode(rng.IntN(3))}}}
		}
		return &v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: &v1.StreamBatch{Sequence: rng.Uint64(), Records: records(false)}}}
	default:
		return &v1.ProduceRequest{Topic: "default", Mode: v1.Mode(rng.IntN(3)), Records: records(false)}
	}
}

func TestDecoderReadsWhatGeneratedCodeWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for _, k := range allKinds() {
			m := randomRequest(rng, k)
			b, err := proto.MarshalOptions{}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			r := decoded(k, b)
			if r.fault != nil {
				t.Fatalf("%v at %q: %v", r.fault, r.fault.path, m)
			}
			if got := r.messageOf(); !proto.Equal(got, plainly(m)) {
				t.Fatalf("got  %v\nwant %v", got, m)
			}
			r.release()
		}
	}
}

func randomResponse(rng *rand.Rand, k kind) *response {
	r := &response{kind: k, sequence: rng.Uint64(), opened: rng.IntN(4) == 0, records: rng.IntN(1 << 20), bytes: rng.IntN(1 << 30)}
	for range rng.IntN(6) {
		res := delivered(rng.Int64())
		res.Partition, res.KeySize = rng.Int32(), rng.IntN(300)-1
		switch rng.IntN(3) {
		case 0:
			res = refused(produce.Outcome(rng.IntN(4)), produce.Code(strings.Repeat("c", rng.IntN(200))))
			res.Err.Kafka = int16(rng.Uint32())
			if rng.IntN(2) == 0 {
				res.Err.Path = strings.Repeat("p", rng.IntN(20000))
			}
		case 1:
			res.Timestamp = time.Time{}
		}
		r.results = append(r.results, *res)
	}
	in, _ := randomRequest(rng, kindProtect).(*v1.ProtectRequest)
	b, _ := proto.Marshal(in)
	r.rec = decoded(kindProtect, b).recs[0]
	return r
}

func TestGeneratedCodeReadsWhatEncoderWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	codec := newGRPCCodec(newPool())
	for range 2000 {
		for _, k := range allKinds() {
			r := randomResponse(rng, k)
			want := r.message()
			out, err := codec.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			b := out.Materialize()
			got := want.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(b, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Fatalf("got  %v\nwant %v", got, want)
			}
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
			if err != nil || len(again) != len(b) {
				t.Fatalf("%d bytes, and generated code writes %d: %v", len(b), len(again), err)
			}
			out.Free()
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	varint := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	inRecord := func(b []byte) []byte { return join(field(1, []byte("t")), field(3, b)) }
	tests := []struct {
		name  string
		kind  kind
		in    []byte
		path  string
		words string
	}{
		{"a field that is not known", kindProduce, join(inRecord(nil), varint(4, 1)), "request", wordsUnknown},
		{"a field far beyond those", kindProduce, join(inRecord(nil), varint(900, 1)), "request", wordsUnknown},
		{"a topic that is a number", kindProduce, join(varint(1, 1), inRecord(nil)), "request", wordsUnknown},
		{"a fixed number", kindProduce, protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 1), "request", wordsUnknown},
		{"a group", kindProduce, protowire.AppendTag(nil, 1, protowire.StartGroupType), "request", wordsUnknown},
		{"two topics", kindProduce, join(field(1, []byte("a")), inRecord(nil)), "request", wordsTwice},
		{"a cut message", kindProduce, inRecord(make([]byte, 9))[:8], "request", wordsMalformed},
		{"text that is not UTF-8", kindProduce, field(1, []byte{0xff}), "topic", wordsText},
		{"a field of a record that is not known", kindProduce, inRecord(field(7, nil)), "records[0]", wordsUnknown},
		{"a field of a record that is far beyond", kindProduce, inRecord(field(70, nil)), "records[0]", wordsUnknown},
		{"two values", kindProduce, inRecord(join(field(4, nil), field(4, nil))), "records[0]", wordsTwice},
		{"two keys in the second record", kindProduce, join(inRecord(nil), field(3, join(field(3, nil), field(3, nil)))), "records[1]", wordsTwice},
		{"a topic of a record that is not UTF-8", kindProduce, inRecord(field(1, []byte{0xff})), "records[0].topic", wordsText},
		{"a partition beyond 31 bits", kindProduce, inRecord(varint(2, 1<<31)), "records[0].partition", wordsPartition},
		{"a header with a field that is not known", kindProduce, inRecord(field(5, field(3, nil))), "records[0].headers", wordsUnknown},
		{"a header with two names", kindProduce, inRecord(field(5, join(field(1, nil), field(1, nil)))), "records[0].headers", wordsTwice},
		{"a header whose name is not UTF-8", kindProduce, inRecord(field(5, field(1, []byte{0xff}))), "records[0].headers", wordsText},
		{"too many headers", kindProduce, inRecord(bytes.Repeat(field(5, nil), 2001)), "records[0].headers", wordsHeaders},
		{"a time before 1970", kindProduce, inRecord(field(6, varint(1, 1<<63))), "records[0].timestamp", wordsTime},
		{"a time after 9999", kindProduce, inRecord(field(6, varint(1, maxSeconds+1))), "records[0].timestamp", wordsTime},
		{"a time with a second of nanoseconds", kindProduce, inRecord(field(6, varint(2, 1e9))), "records[0].timestamp", wordsTime},
		{"a time with two seconds", kindProduce, inRecord(field(6, join(varint(1, 1), varint(1, 1)))), "records[0].timestamp", wordsTwice},
		{"a time with a zone", kindProduce, inRecord(field(6, varint(3, 1))), "records[0].timestamp", wordsUnknown},
		{"a topic that is two dots", kindProduce, join(field(1, []byte("..")), field(3, nil)), "topic", wordsTopic},
		{"nothing to check", kindCheck, nil, "records", wordsEmpty},
		{"a mode of a check", kindCheck, varint(3, 1), "request", wordsUnknown},
		{"nothing to protect", kindProtect, nil, "record", wordsNoRecord},
		{"two records to protect", kindProtect, join(field(1, nil), field(1, nil)), "record", wordsTwice},
		{"a record to protect without a topic", kindProtect, field(1, nil), "record.topic", wordsTopic},
		{"a purpose with a space", kindReveal, join(field(1, field(1, []byte("t"))), field(2, []byte("a b"))), "purpose", wordsPurpose},
		{"a purpose that is not UTF-8", kindReveal, join(field(1, field(1, []byte("t"))), field(2, []byte{0xff})), "purpose", wordsText},
		{"an empty message of a stream", kindStream, nil, "request", wordsOneOf},
		{"open and batch at once", kindStream, join(field(1, nil), field(2, nil)), "request", wordsTwice},
		{"a third kind of message", kindStream, field(3, nil), "request", wordsUnknown},
		{"records in open", kindStream, field(1, field(3, nil)), "open.request", wordsUnknown},
		{"a topic of a stream that cannot be", kindStream, field(1, field(1, []byte("a/b"))), "open.topic", wordsTopic},
		{"a batch of nothing", kindStream, field(2, nil), "batch.records", wordsEmpty},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := decoded(test.kind, test.in)
			if r.fault == nil || r.fault.path != test.path || r.fault.words != test.words {
				t.Errorf("got %+v", r.fault)
			}
		})
	}
}

func TestRecordsReferToTheReceivedMessage(t *testing.T) {
	b, err := proto.Marshal(&v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Key: []byte("key"), Value: []byte("value")}}})
	if err != nil {
		t.Fatal(err)
	}
	codec := newGRPCCodec(newPool())
	r := newRequest(kindProduce, testLimits())
	// Two pieces have to be joined, one is taken as it is.
	if err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b[:5]), mem.SliceBuffer(b[5:])}, r); err != nil || r.fault != nil {
		t.Fatal(err, r.fault)
	}
	rec := r.recs[0]
	if string(rec.Key) != "key" || string(rec.Value) != "value" {
		t.Fatalf("got %+v", rec)
	}
	if cap(rec.Key) != len(rec.Key) {
		t.Error("there is room behind the key, where the value is")
	}
	r.release()
	if r.buf != nil || len(r.recs) != 0 || r.headers != nil && len(r.headers[:cap(r.headers)]) != 0 && !reflect.ValueOf(r.headers[:cap(r.headers)][0]).IsZero() {
		t.Errorf("a released request keeps %+v", r)
	}
}

func TestDecoderTakesNothingFromTheHeapForABatch(t *testing.T) {
	m := &v1.StreamBatch{Sequence: 1}
	for range 100 {
		m.Records = append(m.Records, &v1.Record{Topic: "customers", Key: []byte("k"), Value: make([]byte, 100), Headers: []*v1.Header{{Name: "src", Value: []byte("web")}}})
	}
	b, err := proto.Marshal(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: m}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRequest(kindStream, testLimits())
	again := func() {
		recs, headers, names := r.recs[:0], r.headers[:0], r.names
		*r = request{kind: kindStream, lim: r.lim, recs: recs, headers: headers, names: names}
		r.decode(b)
	}
	again()
	again()
	// One string for the topic that all records share.
	if n := testing.AllocsPerRun(100, again); n > 1 || r.fault != nil {
		t.Errorf("%v allocations, %v", n, r.fault)
	}
}

// FuzzDecode holds the decoder against the generated code: what it takes, that
// takes too, and reads the same.
func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, k := range allKinds() {
		for range 3 {
			b, err := proto.Marshal(randomRequest(rng, k))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(k), b)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		k := kind(which % 5)
		r := decoded(k, bytes.Clone(b))
		defer r.release()
		if r.fault != nil {
			if strings.Contains(r.fault.Error(), "example.test") {
				t.Fatal(r.fault)
			}
			return
		}
		want := k.request()
		if err := proto.Unmarshal(b, want); err != nil {
			t.Fatalf("generated code refuses %x: %v", b, err)
		}
		if got := r.messageOf(); !proto.Equal(got, plainly(want)) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}

// FuzzJSON looks at what JSON does to the decoder, and that no error repeats it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"topic":"t","records":[{"key":"aw==","value":"e30="}]}`, `{"topic":"t","recordz":[]}`, `{"records":[{"value":"ann@example.test"}]}`,
		`{"open":{"topic":"t","mode":"MODE_WHOLE"}}`, `{"record":{"topic":"t","timestamp":"2026-01-02T03:04:05Z"},"purpose":"support"}`, `[`, ``,
	} {
		f.Add(byte(0), []byte(s))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		k := kind(which % 5)
		r := newRequest(k, testLimits())
		defer r.release()
		if err := (jsonCodec{"json"}).Unmarshal(b, r); err != nil {
			t.Fatal(err)
		}
		want := k.request()
		err := protojson.Unmarshal(b, want)
		if r.fault == nil && (err != nil || !proto.Equal(r.messageOf(), plainly(want))) {
			t.Fatalf("%v: got %v, want %v", err, r.messageOf(), want)
		}
	})
}
