package telemetry

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// scrape returns what a scrape of o reads.
func scrape(t *testing.T, o *Observer) string {
	t.Helper()
	w := httptest.NewRecorder()
	o.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, body)
	}
	return string(body)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, "{")
			var near []string
			for have := range strings.Lines(text) {
				if strings.HasPrefix(have, name) {
					near = append(near, have)
				}
			}
			t.Errorf("no line %q; there is\n%s", l, strings.Join(near, ""))
		}
	}
}

func TestRecordsAreCountedByProtocolOutcomeAndCode(t *testing.T) {
	o := NewObserver(Options{Codes: []string{"serde_failed"}, Topics: []string{"orders"}})
	o.RecordDone("v3", produce.Delivered.String(), "", 100, 150, time.Millisecond)
	o.RecordDone("v3", produce.Delivered.String(), "", 100, 150, time.Millisecond)
	o.RecordDone("grpc", produce.Rejected.String(), "value_rejected", 7, -1, -1)
	o.RecordDone("v2", produce.Unknown.String(), string(produce.CodeUnknown), 7, -1, -1)
	o.RecordDone("v2", produce.Rejected.String(), "serde_failed", 0, -1, -1)
	o.RecordDone("ftp", "lost", "no such code", 1, 1, -1)
	o.TopicDone("orders", "delivered")
	o.TopicDone("another", "delivered")
	wantLines(t, scrape(t, o),
		`fieldveil_records_total{code="ok",outcome="delivered",protocol="v3"} 2`,
		`fieldveil_records_total{code="value_rejected",outcome="rejected",protocol="grpc"} 1`,
		`fieldveil_records_total{code="outcome_unknown",outcome="unknown",protocol="v2"} 1`,
		`fieldveil_records_total{code="serde_failed",outcome="rejected",protocol="v2"} 1`,
		`fieldveil_records_total{code="other",outcome="other",protocol="other"} 1`,
		`fieldveil_records_total{code="key_unusable",outcome="rejected",protocol="v2"} 0`,
		`fieldveil_record_in_bytes_total{protocol="v3"} 200`,
		`fieldveil_record_out_bytes_total{protocol="v3"} 300`,
		`fieldveil_record_out_bytes_total{protocol="grpc"} 0`,
		`fieldveil_protect_seconds_count 2`,
		`fieldveil_topic_records_total{outcome="delivered",topic="orders"} 1`,
		`fieldveil_topic_records_total{outcome="delivered",topic="other"} 1`,
	)
}

func TestEventsAreCounted(t *testing.T) {
	o := NewObserver(Options{
		Routes: []string{"POST /topics/{topic}"},
		Build:  Build{Version: "v1.2.3+dirty", Commit: "0123abcd", Go: "go1.26.8", FIPS: true},
	})
	o.Request("v2", "POST /topics/{topic}", 207, time.Second)
	o.Request("v2", "/topics/ann@example.test", 1000, time.Second)
	o.Receipt(200)
	o.Receipt(40403)
	o.Receipt(123456)
	o.Refused("overloaded")
	o.InFlight(100, 2, 1)
	o.InFlight(-40, -1, 0)
	o.Config(1, "aa", "p-1")
	o.Config(2, "bb", "p-2")
	o.Reload("ok")
	o.Reload("refused")
	o.Ready(true)
	o.Draining()
	o.Drained("timeout", 3, 4)
	o.Auth("jwt", "denied")
	o.Audit(true)
	o.Audit(false)
	o.Certificate("rest", time.Unix(1900000000, 0))
	o.Panicked("rest")
	text := scrape(t, o)
	wantLines(t, text,
		`fieldveil_requests_total{protocol="v2",route="POST /topics/{topic}",status="2xx"} 1`,
		`fieldveil_requests_total{protocol="v2",route="other",status="other"} 1`,
		`fieldveil_request_seconds_count{protocol="v2",route="other"} 1`,
		`fieldveil_receipts_total{code="200"} 1`,
		`fieldveil_receipts_total{code="40403"} 1`,
		`fieldveil_receipts_total{code="other"} 1`,
		`fieldveil_requests_refused_total{code="overloaded"} 1`,
		`fieldveil_requests_refused_total{code="draining"} 0`,
		`fieldveil_inflight_bytes 60`, `fieldveil_inflight_records 1`, `fieldveil_inflight_streams 1`,
		`fieldveil_config_generation 2`, `fieldveil_config_info{hash="bb"} 1`, `fieldveil_policy_info{version="p-2"} 1`,
		`fieldveil_config_reloads_total{outcome="ok"} 1`, `fieldveil_config_reloads_total{outcome="failed"} 0`,
		`fieldveil_config_last_reload_successful 0`,
		`fieldveil_ready 1`, `fieldveil_draining 1`, `fieldveil_drains_total{cause="timeout"} 1`,
		`fieldveil_drain_records_total{outcome="unknown"} 3`, `fieldveil_drain_records_total{outcome="retryable"} 4`,
		`fieldveil_auth_decisions_total{decision="denied",method="jwt"} 1`,
		`fieldveil_audit_lines_total{outcome="written"} 1`, `fieldveil_audit_lines_total{outcome="failed"} 1`,
		`fieldveil_audit_up 0`, `fieldveil_certificate_expiry_timestamp_seconds{certificate="rest"} 1.9e+09`,
		`fieldveil_panics_total{where="rest"} 1`,
		`fieldveil_build_info{commit="0123abcd",fips="true",go="go1.26.8",version="v1.2.3+dirty"} 1`,
	)
	if strings.Contains(text, `"aa"`) || strings.Contains(text, "p-1") {
		t.Error("a configuration that is not in use any more is shown")
	}
}

func TestDataKeysAreShownByNameAndNotByTenant(t *testing.T) {
	o := NewObserver(Options{})
	o.Observe(datakey.Event{Kind: datakey.EventCall, Endpoint: "kms.eu-central-1.amazonaws.com", Op: datakey.OpGenerate, Outcome: datakey.OutcomeDenied, Took: time.Second})
	o.Observe(datakey.Event{Kind: datakey.EventKey, Key: "pii", Tenant: "acme"})
	o.Observe(datakey.Event{Kind: datakey.EventWait, Key: "pii", Tenant: "acme", Outcome: datakey.OutcomeOK, Took: time.Second})
	o.Observe(datakey.Event{Kind: datakey.EventNegative, Key: "pii"})
	o.Observe(datakey.Event{Kind: datakey.EventDrop, Key: "pii", Reason: datakey.DropRevoked})
	o.Observe(datakey.Event{Kind: datakey.EventPersist, Key: "pii"})
	o.WatchKeys(func() datakey.Stats {
		return datakey.Stats{
			Openers: 5, Refusals: 1, Ready: true,
			Keys: []datakey.KeyStats{
				{Key: "idle", Scopes: 1},
				{Key: "pii", Tenant: "acme", Scopes: 1},
				{Key: "pii", Tenant: "bert", Scopes: 2, Warm: 2, Age: 5 * time.Minute, Left: 55 * time.Minute, SealsLeft: 100, BytesLeft: 1000},
				{Key: "pii", Tenant: "cora", Scopes: 1, Warm: 1, Age: 9 * time.Minute, Left: 51 * time.Minute, SealsLeft: 200, BytesLeft: 900},
			},
			Endpoints: []datakey.EndpointStats{{Endpoint: "kms.eu-central-1.amazonaws.com", Circuit: datakey.CircuitOpen, Opened: 2, InFlight: 1}},
		}
	})
	o.WatchEngine(func() fieldcrypt.Stats { return fieldcrypt.Stats{Redacted: 3, Rechecked: 4} })
	text := scrape(t, o)
	wantLines(t, text,
		`fieldveil_kms_calls_total{endpoint="kms.eu-central-1.amazonaws.com",operation="generate",outcome="denied"} 1`,
		`fieldveil_kms_calls_total{endpoint="kms.eu-central-1.amazonaws.com",operation="unwrap",outcome="disabled"} 0`,
		`fieldveil_datakey_drops_total{key="pii",reason="expired"} 0`,
		`fieldveil_kms_call_seconds_count{operation="generate"} 1`,
		`fieldveil_datakeys_total{key="pii"} 1`,
		`fieldveil_datakey_waits_total{key="pii",outcome="ok"} 1`,
		`fieldveil_datakey_wait_seconds_count{key="pii"} 1`,
		`fieldveil_datakey_negatives_total{key="pii"} 1`,
		`fieldveil_datakey_drops_total{key="pii",reason="revoked"} 1`,
		`fieldveil_datakey_persist_failures_total{key="pii"} 1`,
		`fieldveil_datakey_scopes{key="pii"} 4`, `fieldveil_datakey_warm_scopes{key="pii"} 3`,
		`fieldveil_datakey_left_seconds{key="pii"} 3060`, `fieldveil_datakey_age_seconds{key="pii"} 540`,
		`fieldveil_datakey_seals_left{key="pii"} 100`, `fieldveil_datakey_bytes_left{key="pii"} 900`,
		`fieldveil_datakey_warm_scopes{key="idle"} 0`,
		`fieldveil_datakey_openers 5`, `fieldveil_datakey_refusals 1`, `fieldveil_datakeys_ready 1`,
		`fieldveil_kms_circuit_state{endpoint="kms.eu-central-1.amazonaws.com",state="open"} 1`,
		`fieldveil_kms_circuit_state{endpoint="kms.eu-central-1.amazonaws.com",state="closed"} 0`,
		`fieldveil_kms_circuit_opened_total{endpoint="kms.eu-central-1.amazonaws.com"} 2`,
		`fieldveil_values_total{what="redacted"} 3`, `fieldveil_rechecked_records_total 4`,
	)
	if strings.Contains(text, "acme") || strings.Contains(text, "bert") {
		t.Error("a tenant is a label")
	}
	if strings.Contains(text, `fieldveil_datakey_left_seconds{key="idle"}`) {
		t.Error("a name without a key has time left")
	}
}

func TestNamesBeyondTheBoundAreCountedTogether(t *testing.T) {
	o := NewObserver(Options{})
	for i := range 10 * maxNames {
		n := strconv.Itoa(i)
		o.KMSCall("host"+n, "generate", "ok", 0)
		o.Observe(datakey.Event{Kind: datakey.EventKey, Key: "key" + n})
		o.Certificate("cert"+n, time.Now())
		h := o.Kafka("client" + n)
		h.OnBrokerConnect(kgo.BrokerMetadata{NodeID: int32(i)}, 0, nil, nil)
	}
	for name, v := range map[string]prometheus.Collector{
		"keys": o.keysMade, "certificates": o.certificate,
	} {
		if n := testutil.CollectAndCount(v); n != maxNames+1 {
			t.Errorf("%s: %d series", name, n)
		}
	}
	if n := testutil.CollectAndCount(o.kmsCalls); n > (maxNames+1)*len(kmsOps())*len(kmsOutcomes()) {
		t.Errorf("%d series of endpoints", n)
	}
	if n := testutil.CollectAndCount(o.kafkaConnects); n > 5*maxNames {
		t.Errorf("%d series of brokers", n)
	}
}

func TestAKafkaClientIsCountedByItsHook(t *testing.T) {
	o := NewObserver(Options{})
	first := o.Kafka("produce")
	second := o.Kafka("produce") // takes the place of the first while that still runs
	first.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 1}, 0, nil, nil)
	second.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 1}, 0, nil, io.EOF)
	second.OnBrokerConnect(kgo.BrokerMetadata{NodeID: -2147483648}, 0, nil, nil)
	second.OnBrokerE2E(kgo.BrokerMetadata{NodeID: 1}, 0, kgo.BrokerE2E{BytesWritten: 1, TimeToWrite: time.Second})
	second.OnBrokerE2E(kgo.BrokerMetadata{NodeID: 1}, 0, kgo.BrokerE2E{ReadErr: io.EOF})
	second.OnBrokerThrottle(kgo.BrokerMetadata{NodeID: 1}, 2*time.Second, false)
	second.OnProduceBatchWritten(kgo.BrokerMetadata{NodeID: 1}, "orders", 0, kgo.ProduceBatchMetrics{NumRecords: 3, CompressedBytes: 100})
	o.WatchKafka("produce", func() (int64, int64) { return 1, 1 })
	o.WatchKafka("produce", func() (int64, int64) { return 7, 700 })
	o.WatchKafka("admin", func() (int64, int64) { return 1, 1 })
	o.WatchKafka("admin", nil)
	wantLines(t, scrape(t, o),
		`fieldveil_kafka_connects_total{client="produce",node="1",outcome="ok"} 1`,
		`fieldveil_kafka_connects_total{client="produce",node="1",outcome="failed"} 1`,
		`fieldveil_kafka_connects_total{client="produce",node="seed",outcome="ok"} 1`,
		`fieldveil_kafka_requests_total{client="produce",node="1",outcome="failed"} 1`,
		`fieldveil_kafka_request_seconds_count{client="produce"} 1`,
		`fieldveil_kafka_throttled_seconds_total{client="produce",node="1"} 2`,
		`fieldveil_kafka_produced_bytes_total{client="produce",node="1"} 100`,
		`fieldveil_kafka_produced_records_total{client="produce",node="1"} 3`,
		`fieldveil_kafka_buffered{client="produce",unit="records"} 7`,
		`fieldveil_kafka_buffered{client="produce",unit="bytes"} 700`,
	)
}

func TestANilObserverCountsNothing(*testing.T) {
	var o *Observer
	o.RecordDone("v2", "delivered", "", 1, 1, 1)
	o.TopicDone("a", "delivered")
	o.InFlight(1, 1, 1)
	o.Request("v2", "/", 200, 1)
	o.Refused("draining")
	o.Receipt(200)
	o.Reload("ok")
	o.Config(1, "", "")
	o.Ready(true)
	o.Draining()
	o.Drained("completed", 0, 0)
	o.Auth("", "")
	o.Audit(true)
	o.Certificate("", time.Time{})
	o.Panicked("")
	o.Observe(datakey.Event{Kind: datakey.EventCall})
	o.WatchKeys(nil)
	o.WatchEngine(nil)
	o.WatchKafka("", nil)
	h := o.Kafka("")
	h.OnBrokerConnect(kgo.BrokerMetadata{}, 0, nil, nil)
	h.OnBrokerE2E(kgo.BrokerMetadata{}, 0, kgo.BrokerE2E{})
	h.OnBrokerThrottle(kgo.BrokerMetadata{}, 0, false)
	h.OnProduceBatchWritten(kgo.BrokerMetadata{}, "", 0, kgo.ProduceBatchMetrics{})
}

// declared returns the values of the constants of type Code in a file.
func declared(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			lit, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				t.Fatal("a code that is no literal")
			}
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, value)
		}
		return true
	})
	return out
}

func TestTheCodesAreThoseOfThePipelineAndTheEngine(t *testing.T) {
	want := append(declared(t, "../produce/error.go"), declared(t, "../../fieldcrypt/errors.go")...)
	if len(want) < 40 {
		t.Fatalf("only %d codes were found", len(want))
	}
	for _, code := range want {
		if !slices.Contains(codes(), code) {
			t.Errorf("%s counts as other", code)
		}
	}
	if all := codes(); len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Error("a code is there twice")
	}
	for _, out := range []produce.Outcome{produce.Unknown, produce.Delivered, produce.Rejected, produce.Retryable} {
		if outcomes()[out] != out.String() || outcomeIndex(out.String()) != int(out) {
			t.Errorf("outcome %v", out)
		}
	}
}
