package serve

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

const password = secretMark + "-cGFzc3dvcmQ"

// collector takes spans as a collector does.
func (c *canaryRun) collector() string {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if z, err := gzip.NewReader(r.Body); err == nil {
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			c.t.Errorf("spans: %v", err)
		}
		c.keep("spans", string(b))
	}))
	c.t.Cleanup(s.Close)
	return s.URL
}

// registry answers as one that has nothing.
func (c *canaryRun) registry() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error_code":40401,"message":"KANARI"}`)
	}))
	c.t.Cleanup(s.Close)
	return s.URL
}

func (c *canaryRun) prepare(w *world) {
	c.world = w
	w.write("policy.yaml", canaryPolicy)
	w.write("tokens", token+"\n")
	w.write("password", password)
	w.write("fieldveil.yaml", `version: 1
kafka:
  properties: {bootstrap.servers: "`+strings.Join(w.broker.ListenAddrs(), ",")+`", linger.ms: "0", security.protocol: sasl_plaintext, sasl.mechanism: PLAIN, sasl.username: side, delivery.timeout.ms: "2000", request.timeout.ms: "1000"}
  secrets: {sasl.password: {file: "`+filepath.Join(w.dir, "password")+`"}}
  insecure: true
listen: {rest: "127.0.0.1:0", grpc: "127.0.0.1:0"}
admin: {addr: "127.0.0.1:0"}
shutdown: {drain_delay: 0s, timeout: 10s}
reload: {watch: false}
keys: {warm_timeout: 500ms}
audit: {to: file, path: audit.log}
schemas: {registry: {urls: ["`+c.registry()+`"], user: side, password: {value: "`+password+`"}, insecure: true}}
auth:
  tokens: [{principal: shop, file: tokens}]
  rules: [{principals: [shop], operations: ["*"], topics: ["*"], tenants: ["*"]}]
telemetry:
  log: {level: debug, burst: 0}
  traces: {otlp_endpoint: "`+c.collector()+`", insecure: true, sample_ratio: 1, headers: {authorization: {value: "`+password+`"}}}
`)
}

// onBroker returns all that the broker holds, raw, but the key.
func (c *canaryRun) onBroker() (records int, all string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.broker.ListenAddrs()...), kgo.SASL(plain.Auth{User: "side", Pass: password}.AsMechanism()),
		kgo.ConsumeTopics("people", "denied"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	want := c.broker.TopicInfo("people")
	var high int64
	if want != nil {
		for i := range 2 {
			high += c.broker.PartitionInfo("people", int32(i)).HighWatermark
		}
	}
	var b strings.Builder
	for int64(records) < high {
		f := client.PollFetches(c.t.Context())
		if err := f.Err(); err != nil {
			c.t.Fatal(err)
		}
		for _, r := range f.Records() {
			records++
			b.Write(r.Key)
			b.WriteByte('\n')
			b.Write(r.Value)
			for _, h := range r.Headers {
				b.WriteString("\n" + h.Key + "\n")
				b.Write(h.Value)
			}
			b.WriteByte('\n')
		}
	}
	return records, b.String()
}

func TestNothingThatIsProtectedOrSecretLeavesTheSidecar(t *testing.T) {
	kek := &outage{Wrapper: localkms.NewInMemory()}
	var panics atomic.Bool
	c := &canaryRun{world: &world{t: t}, seen: map[string]*strings.Builder{}}
	start(t, c.prepare, func(o *Options) {
		o.KMS = kek
		o.before = func(r *produce.Record) {
			if panics.Load() {
				panic(string(r.Value))
			}
		}
	}, kfake.EnableSASL(), kfake.Superuser("PLAIN", "side", password), kfake.SeedTopics(1, "denied"))

	c.everything(true)
	for _, path := range []string{"/metrics", "/config", "/readyz", "/version", "/KANARI", "/reload?acknowledge=KANARI"} {
		c.send("admin", http.MethodGet, path, "")
	}
	panics.Store(true)
	c.everything(false)
	panics.Store(false)

	// A policy whose key nobody has yet, while the KMS is away.
	kek.on.Store(true)
	c.write("policy.yaml", strings.ReplaceAll(canaryPolicy, "local:k", "local:KEK2"))
	c.send("admin", http.MethodPost, "/reload", "")
	c.write("policy.yaml", strings.Replace(canaryPolicy, "action: reject", "action: [KANARI]", 1))
	c.send("admin", http.MethodPost, "/reload", "")
	c.write("policy.yaml", canaryPolicy)
	c.everything(false)
	kek.on.Store(false)

	// A broker that does not take records, and then one that hangs up.
	const produceKey = 0
	var hangsUp, well atomic.Bool
	var refused atomic.Int64
	c.broker.ControlKey(produceKey, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.broker.KeepControl()
		if well.Load() {
			return nil, nil, false
		}
		refused.Add(1)
		if hangsUp.Load() {
			return nil, errors.New("gone"), true
		}
		p, _ := req.(*kmsg.ProduceRequest)
		res, _ := p.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range p.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, part := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = part.Partition, kerr.TopicAuthorizationFailed.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	for _, s := range shapes() {
		c.send(s.listener, http.MethodPost, s.path, s.body, "Content-Type: "+s.media, "Authorization: Bearer "+token)
	}
	hangsUp.Store(true)
	for _, s := range shapes()[:2] {
		c.send(s.listener, http.MethodPost, s.path, s.body, "Content-Type: "+s.media, "Authorization: Bearer "+token)
	}
	well.Store(true)
	for _, path := range []string{"/metrics", "/config", "/readyz"} {
		if status := c.send("admin", http.MethodGet, path, ""); status == 0 {
			t.Errorf("%s does not answer", path)
		}
	}
	records, held := c.onBroker()
	c.signals <- syscall.SIGTERM
	select {
	case <-c.ended: // and the last spans were sent
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	trail, err := os.ReadFile(filepath.Join(c.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	c.keep("log", c.log.String())
	c.keep("audit trail", string(trail))
	c.keep("end", func() string {
		if c.err == nil {
			return ""
		}
		return c.err.Error()
	}())
	// The scan means something only where there was something to find.
	if records < 20 || refused.Load() == 0 || !strings.Contains(held, clearMark) {
		t.Errorf("%d records in the topic, %d requests refused by the broker", records, refused.Load())
	}
	for where, sign := range map[string]string{
		"answers": `"offset"`, "log": `"where":"protect"`, "spans": "people", "audit trail": "case-7",
	} {
		if got := c.seen[where]; got == nil || !strings.Contains(got.String(), sign) {
			t.Errorf("%s: no %s in it", where, sign)
		}
	}
	for _, code := range []string{"value_rejected", "internal", "unauthenticated", "kafka_denied"} {
		if !strings.Contains(c.seen["log"].String(), code) {
			t.Errorf("nothing came to %s", code)
		}
	}
	for where, text := range c.seen {
		found := leaks(text.String(), secretMark, clearMark)
		for _, leak := range found[:min(len(found), 5)] {
			t.Errorf("%s: %s", where, leak)
		}
	}
	for _, leak := range leaks(held, secretMark) {
		t.Errorf("the broker holds %s", leak)
	}
	t.Logf("%d requests, %d records, %d bytes of answers, %d of the log", c.requests, records, c.seen["answers"].Len(), c.seen["log"].Len())
}
