package endtoend

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/schema/wire"
)

const stays = 3000

// A run is one format on its way through broker and registry.
type run struct {
	codec
	topic    string
	addr     string
	kek      string
	registry string // address
	original []byte // framing of the originals, with message indexes
	coder           // of the original schema
	derived  map[int]coder
	sent     [][]byte // the originals
	first    int      // number of the first stay
	// sealed counts the envelopes that were met, by nonce and key.
	sealed map[string]int
}

func TestEveryFormatCrossesARealBrokerProtected(t *testing.T) {
	broker := kafkabroker.Start(t)
	kek := filepath.Join(t.TempDir(), "test.kek")
	if err := localkms.Create(kek); err != nil {
		t.Fatal(err)
	}
	server, err := registrytest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	var done []*run
	for n, c := range codecs() {
		r := &run{
			codec: c, topic: "stays-" + c.name, addr: broker.Addr(), kek: kek, registry: server.URL(),
			sent: make([][]byte, stays), first: n * stays, sealed: make(map[string]int), derived: make(map[int]coder),
		}
		if t.Run(c.name, r.test) {
			done = append(done, r)
		}
	}
	broker.Stop(t)
	scanFor(t, broker.DataDir(), done)
}

func (r *run) test(t *testing.T) {
	start := time.Now()
	r.produce(t)
	produced := time.Since(start)
	start = time.Now()
	r.consume(t)
	if want := min(1, len(r.schema)); len(r.derived) != want {
		t.Errorf("the protected records have %d schemas, want %d", len(r.derived), want)
	}
	t.Logf("%d records sent in %v, read and compared in %v; %d envelopes, all with another nonce",
		stays, produced.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), len(r.sealed))
}

// stay returns the i-th stay, which no other format has.
func (r *run) stay(i int) map[string]any { return stayOf(r.first + i) }

func (r *run) client(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.New([]string{r.registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// engine is that of another process each time.
func (r *run) engine(t *testing.T) *fieldcrypt.Engine {
	t.Helper()
	if r.schema == "" {
		return newEngine(t, r.addr, fmt.Sprintf(pathPolicy, r.kek))
	}
	c := r.client(t)
	return newEngine(t, r.addr, fmt.Sprintf(tagPolicy, r.kek),
		fieldcrypt.WithSchemas(c), fieldcrypt.WithRegistrar(c), fieldcrypt.WithFormat(r.schema, r.parse))
}

func (r *run) produce(t *testing.T) {
	t.Helper()
	text := r.text(t)
	r.coder = r.open(t, text.Schema)
	if r.schema != "" {
		id, err := r.client(t).Register(t.Context(), r.topic+"-original", text)
		if err != nil {
			t.Fatal(err)
		}
		if r.original, err = wire.AppendFrame(nil, id); err != nil {
			t.Fatal(err)
		}
		r.original = append(r.original, r.message...)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(r.addr), kgo.DefaultProduceTopic(r.topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, r.topic); err != nil {
		t.Fatal(err)
	}
	producer, err := kgocrypt.NewProducer(client, r.engine(t))
	if err != nil {
		t.Fatal(err)
	}
	failures := make(chan error, stays)
	for i := range r.sent {
		r.sent[i] = append(bytes.Clone(r.original), r.encode(t, r.stay(i))...)
		rec := &kgo.Record{Key: fmt.Appendf(nil, "stay-%06d", i), Value: r.sent[i]}
		producer.Produce(t.Context(), rec, func(_ *kgo.Record, err error) {
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
}

// consume reads every record as somebody without keys does, and then as somebody
// with.
func (r *run) consume(t *testing.T) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.addr), kgo.ConsumeTopics(r.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	consumer, err := kgocrypt.NewConsumer(client, r.engine(t))
	if err != nil {
		t.Fatal(err)
	}
	schemas := r.client(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := make(map[int]bool)
	for len(seen) < stays {
		for it := client.PollFetches(ctx).RecordIter(); !it.Done(); {
			rec := it.Next()
			var i int
			if _, err := fmt.Sscanf(string(rec.Key), "stay-%d", &i); err != nil || i >= stays {
				t.Fatalf("record key %q", rec.Key)
			}
			r.compare(t, schemas, i, rec.Value)
			out, err := consumer.Reveal(ctx, rec)
			if err != nil {
				t.Fatalf("after %d records: %v", len(seen), err)
			}
			r.compareRevealed(t, i, out.Value)
			seen[i] = true
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records came", len(seen), stays)
		}
	}
}

// compareRevealed demands the original bytes, but for what cannot be undone.
func (r *run) compareRevealed(t *testing.T, i int, value []byte) {
	t.Helper()
	body, ok := bytes.CutPrefix(value, r.original)
	if !ok {
		t.Fatalf("record %d is revealed with another framing than it had", i)
	}
	want := r.stay(i)
	want["name"], want["insurer"], want["remark"] = maskOf(want["name"]), "withheld", nil
	if !bytes.Equal(body, r.encode(t, want)) {
		t.Fatalf("record %d comes back as %q", i, body)
	}
}

// compare looks at a protected record with the schema that its framing names and
// a reader of others.
func (r *run) compare(t *testing.T, schemas *registry.Client, i int, value []byte) {
	t.Helper()
	reader := r.coder
	if r.schema != "" {
		id, n, err := wire.ParseFrame(value)
		if err != nil || bytes.HasPrefix(value, r.original) {
			t.Fatalf("record %d has the framing of the original schema, or %v", i, err)
		}
		if r.derived[id] == nil {
			text, err := schemas.Schema(t.Context(), id)
			if err != nil || text.Format != r.schema {
				t.Fatalf("schema %d: %v", id, err)
			}
			r.derived[id] = r.open(t, text.Schema)
		}
		body, ok := bytes.CutPrefix(value[n:], r.message)
		if !ok {
			t.Fatalf("record %d has other message indexes", i)
		}
		reader, value = r.derived[id], body
	}
	got := make(map[string]any)
	for _, l := range leaves(leaf{value: reader.decode(t, value)}, nil) {
		got[l.at] = l.value
	}
	rules := r.actions()
	expected := make(map[string]bool)
	for _, want := range leaves(leaf{value: r.stay(i)}, nil) {
		a, at := want.ruled(rules)
		v, there := got[at]
		if a == dropped {
			if there {
				t.Fatalf("record %d: %s is not dropped", i, at)
			}
			continue
		}
		if !there {
			t.Fatalf("record %d: %s is gone", i, at)
		}
		switch a {
		case masked:
			r.same(t, i, at, maskOf(want.value), v)
		case replaced:
			r.same(t, i, at, "withheld", v)
		case sealed, sealedWhole:
			if !expected[at] { // a container has several leaves
				r.checkEnvelope(t, i, at, v)
			}
		default:
			r.same(t, i, at, want.value, v)
		}
		expected[at] = true
	}
	if len(got) != len(expected) {
		t.Fatalf("record %d has %d values, want %d", i, len(got), len(expected))
	}
}

func (r *run) same(t *testing.T, i int, at string, want, got any) {
	t.Helper()
	if b, ok := want.([]byte); ok {
		if s, ok := got.(string); ok { // JSON has no bytes
			want, got = string(r.binary(b)), s
		}
	}
	if s, ok := got.(fmt.Stringer); ok { // a number of JSON
		want, got = string(jsonNumberOf(want)), s.String()
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Fatalf("record %d: %s is %v, want %v", i, at, got, want)
	}
}

func jsonNumberOf(v any) []byte {
	if n, ok := v.(int32); ok {
		v = int64(n)
	}
	return jsonNumber(v)
}

// checkEnvelope knows the form from the description of the format alone.
func (r *run) checkEnvelope(t *testing.T, i int, at string, v any) {
	t.Helper()
	b, ok := v.([]byte)
	if s, isText := v.(string); isText {
		s, ok = strings.CutPrefix(s, "fv1:")
		var err error
		if b, err = base64.RawURLEncoding.Strict().DecodeString(s); err != nil {
			t.Fatalf("record %d: %s: %v", i, at, err)
		}
	}
	const header, nonce, overhead = 22, 12, 50
	if !ok || len(b) <= overhead || b[0] != 1 || b[1] != 1 {
		t.Fatalf("record %d: %s is no envelope", i, at)
	}
	// Key id and nonce.
	r.sealed[string(b[2:14])+string(b[header:header+nonce])]++
	if r.sealed[string(b[2:14])+string(b[header:header+nonce])] > 1 {
		t.Fatalf("record %d: %s has the nonce of another value", i, at)
	}
}

// maskOf keeps the first character.
func maskOf(v any) any {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	return s[:1] + strings.Repeat("*", len(s)-1)
}
