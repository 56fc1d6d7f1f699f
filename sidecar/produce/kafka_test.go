package produce

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// refuse has the brokers answer each request to produce with the errors, one
// after the other, and the last for ever. With nil they do their work again.
func refuse(c *kfake.Cluster, errs ...*kerr.Error) {
	var n atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		e := errs[min(int(n.Add(1)), len(errs))-1]
		if e == nil {
			return nil, nil, false
		}
		r, _ := req.(*kmsg.ProduceRequest)
		resp, _ := r.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range r.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, e.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// The rows are the answers that the client passes on. Those that it retries by
// itself get there by way of its limit of attempts.
func TestWhatABrokerAnswersDecidesAboutTheOutcome(t *testing.T) {
	for _, tc := range []struct {
		err     *kerr.Error
		outcome Outcome
		code    Code
	}{
		{kerr.MessageTooLarge, Rejected, CodeTooLarge},
		{kerr.RecordListTooLarge, Rejected, CodeTooLarge},
		{kerr.UnknownTopicOrPartition, Rejected, CodeTopicUnknown},
		{kerr.UnknownTopicID, Rejected, CodeTopicUnknown},
		{kerr.InvalidTopicException, Rejected, CodeTopicUnknown},
		{kerr.TopicAuthorizationFailed, Rejected, CodeKafkaDenied},
		{kerr.ClusterAuthorizationFailed, Rejected, CodeKafkaDenied},
		{kerr.SaslAuthenticationFailed, Retryable, CodeKafkaLogin},
		{kerr.UnsupportedSaslMechanism, Retryable, CodeKafkaLogin},
		{kerr.IllegalSaslState, Retryable, CodeKafkaLogin},
		{kerr.InvalidRecord, Rejected, CodeRefused},
		{kerr.InvalidTimestamp, Rejected, CodeRefused},
		{kerr.UnsupportedForMessageFormat, Rejected, CodeRefused},
		{kerr.PolicyViolation, Rejected, CodeRefused},
		{kerr.CorruptMessage, Retryable, CodeKafkaFailed},
		{kerr.ThrottlingQuotaExceeded, Retryable, CodeKafkaThrottled},
		{kerr.NotEnoughReplicas, Retryable, CodeKafkaUnavailable},
		{kerr.NotLeaderForPartition, Retryable, CodeKafkaUnavailable},
		{kerr.LeaderNotAvailable, Retryable, CodeKafkaUnavailable},
		{kerr.ProducerFenced, Unknown, CodeUnknown},
		{kerr.UnknownServerError, Unknown, CodeUnknown},
		{kerr.KafkaStorageError, Unknown, CodeUnknown},
		{kerr.InvalidRequest, Rejected, CodeKafkaFailed},
		{kerr.UnsupportedVersion, Rejected, CodeKafkaFailed},
	} {
		t.Run(tc.err.Message, func(t *testing.T) {
			if e := classify(fmt.Errorf("x: %w", tc.err), fate{}); e.Outcome != tc.outcome || e.Code != tc.code || e.Kafka != tc.err.Code {
				t.Errorf("by itself: %+v", e)
			}
			c := cluster1(t)
			p := pipeline(t, sealing{}, clientOf(t, c, kgo.RecordRetries(0)))
			refuse(c, tc.err)
			for i, r := range p.Produce(t.Context(), values("a", "b"), Each) {
				if r.Outcome != tc.outcome || r.Err == nil || r.Err.Code != tc.code || r.Held || r.Offset != -1 {
					t.Errorf("record %d: %+v, %v", i, r, r.Err)
				}
				// Where the client gave up rather than passed it on, there is none.
				if r.Err != nil && r.Err.Kafka != tc.err.Code && r.Err.Kafka != 0 {
					t.Errorf("record %d: Kafka's number is %d", i, r.Err.Kafka)
				}
			}
		})
	}
}

// The client takes a new epoch and sends again, and gives up where it may not.
func TestABrokerThatDisagreesAboutTheSequenceIsAskedAgain(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping} {
		if e := classify(e, fate{}); e.Outcome != Unknown || e.Code != CodeUnknown {
			t.Errorf("by itself: %+v", e)
		}
		c := cluster1(t)
		p := pipeline(t, sealing{}, clientOf(t, c))
		refuse(c, e, nil)
		if r := p.Produce(t.Context(), values("a"), Each)[0]; r.Outcome != Delivered {
			t.Errorf("%v: %+v, %v", e, r, r.Err)
		}
		refuse(c, e)
		p = pipeline(t, sealing{}, clientOf(t, c, kgo.RecordRetries(0)))
		if r := p.Produce(t.Context(), values("a"), Each)[0]; r.Outcome != Retryable || r.Err.Code != CodeKafkaUnavailable {
			t.Errorf("%v: %+v, %v", e, r, r.Err)
		}
	}
}

// The leader has the record: the client tries until it knows, and the sender who
// goes away before is told that nobody does.
func TestARecordThatOnlyTheLeaderHasIsUnknownUntilItIsDelivered(t *testing.T) {
	for _, first := range []*kerr.Error{kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut} {
		if e := classify(first, fate{}); e.Outcome != Unknown || e.Kafka != first.Code {
			t.Errorf("%+v", e)
		}
		c := cluster1(t)
		p := pipeline(t, sealing{}, clientOf(t, c, kgo.RecordRetries(0)))
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			if n.Add(1) == 2 {
				cancel() // the first answer has come
			}
			return nil, nil, false
		})
		refuse(c, first)
		if r := p.Produce(ctx, values("a"), Each)[0]; r.Outcome != Unknown || r.Err.Code != CodeUnknown || !r.Held {
			t.Errorf("%v: %+v", first, r)
		}
		c.Close()
	}
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.RecordRetries(0)))
	refuse(c, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, nil)
	if r := p.Produce(t.Context(), values("a"), Each)[0]; r.Outcome != Delivered {
		t.Errorf("%+v", r)
	}
}

// The first attempt is written and its connection cut; the second is refused.
func TestARefusalAfterALostAnswerIsUnknown(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c))
	var n atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if n.Add(1) == 1 {
			refuse(c, kerr.TopicAuthorizationFailed)
			return nil, errors.New("cut"), true
		}
		return nil, nil, false
	})
	if r := p.Produce(t.Context(), values("a"), Each)[0]; r.Outcome != Unknown || r.Err.Code != CodeUnknown {
		t.Errorf("%+v, %v", r, r.Err)
	}
}

func TestATopicThatIsNotThereIsToldAtOnceAndNotToTheClient(t *testing.T) {
	c := cluster1(t)
	client := clientOf(t, c)
	p := pipeline(t, sealing{}, client)
	for range 2 {
		recs := values("a", "b")
		recs[0].Topic = "nowhere"
		rs := p.Produce(t.Context(), recs, Each)
		if rs[0].Outcome != Rejected || rs[0].Err.Code != CodeTopicUnknown || rs[0].Err.Kafka != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("%+v, %v", rs[0], rs[0].Err)
		}
		if rs[1].Outcome != Delivered {
			t.Errorf("%+v", rs[1])
		}
	}
}

func TestAClusterThatIsNotThereIsRetryable(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.RequestRetries(0)))
	c.Close()
	if r := p.Produce(t.Context(), values("a"), Each)[0]; r.Outcome != Retryable || r.Err.Code != CodeKafkaUnavailable {
		t.Errorf("%+v, %v", r, r.Err)
	}
}

func TestAPartitionThatIsNotThereIsRefused(t *testing.T) {
	c := cluster1(t)
	for name, opts := range map[string][]Option{"before": nil, "by the client": {WithTopics(noTopics{})}} {
		p := pipeline(t, sealing{}, clientOf(t, c), opts...)
		recs := values("a", "b")
		recs[0].Partition, recs[1].Partition = 4, 3
		rs := p.Produce(t.Context(), recs, Each)
		if rs[0].Outcome != Rejected || rs[0].Err.Code != CodePartitionUnknown {
			t.Errorf("%s: %+v, %v", name, rs[0], rs[0].Err)
		}
		if rs[1].Outcome != Delivered || rs[1].Partition != 3 {
			t.Errorf("%s: %+v", name, rs[1])
		}
	}
}

// noTopics knows nothing.
type noTopics struct{}

func (noTopics) Topic(context.Context, string) (TopicInfo, *Error) { return TopicInfo{}, nil }

func TestTheLimitOfATopicIsOnWhatIsProtected(t *testing.T) {
	const limit = 2000
	c := cluster1(t)
	alter(t, c, map[string]string{"max.message.bytes": fmt.Sprint(limit)})
	var requests atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.ProducerBatchCompression(kgo.NoCompression())))
	// Many of them together are over the limit, and none alone: whether one fits
	// is a matter of a byte.
	fits := Record{Topic: topic, Partition: 0, Key: []byte("k"), Headers: []Header{{"h", []byte("v")}}}
	for sealed := fits; ; fits.Value = append(fits.Value, 'x') {
		sealed.Value = append(append([]byte(mark), fits.Value...), 'x')
		if tooLarge(&sealed, limit) {
			break
		}
	}
	over := fits
	over.Value = append(bytes.Clone(fits.Value), 'x')
	for i, r := range p.Produce(t.Context(), []Record{fits, over, fits, fits}, Each) {
		if want := i != 1; (r.Outcome == Delivered) != want {
			t.Errorf("record %d: %+v, %v", i, r, r.Err)
		}
		if i == 1 && (r.Outcome != Rejected || r.Err.Code != CodeTooLarge || r.Err.Kafka != 0) {
			t.Errorf("record %d: %+v, %v", i, r, r.Err)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests for 3 batches of one record", n)
	}
}

// The client's own measure of a record and ours are the same.
func TestTheSizeOfARecordIsThatOfItsBatch(t *testing.T) {
	c := cluster1(t)
	var got atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if r, ok := req.(*kmsg.ProduceRequest); ok {
			got.Store(int64(len(r.Topics[0].Partitions[0].Records)))
		}
		return nil, nil, false
	})
	p := pipeline(t, protectFunc(func(_ context.Context, _ []byte, r *Record) (Record, error) { return *r, nil }),
		clientOf(t, c, kgo.ProducerBatchCompression(kgo.NoCompression())))
	for _, n := range []int{0, 1, 50, 63, 64, 100, 8191, 8192, 1 << 19} {
		for _, rec := range []Record{
			{Value: bytes.Repeat([]byte("v"), n)},
			{Key: bytes.Repeat([]byte("k"), n)},
			{Headers: []Header{{strings.Repeat("h", n), nil}, {"", bytes.Repeat([]byte("v"), n)}}},
		} {
			rec.Topic, rec.Partition = topic, AnyPartition
			if r := p.Produce(t.Context(), []Record{rec}, Each)[0]; r.Outcome != Delivered && !tooLarge(&rec, DefaultTopicBytes) {
				t.Errorf("%d bytes: %+v", n, r)
			} else if r.Outcome == Delivered && int(got.Load()) != wireSize(&rec) {
				t.Errorf("%d bytes: %d on the wire, and %d expected", n, got.Load(), wireSize(&rec))
			}
		}
	}
}

func TestAProtectedKeyStaysInThePartitionOfThePlainOne(t *testing.T) {
	hideKey := protectFunc(func(_ context.Context, dst []byte, r *Record) (Record, error) {
		out := *r
		for _, b := range r.Key {
			dst = append(dst, b^0x5a)
		}
		out.Key = dst
		return out, nil
	})
	for name, inner := range map[string]func() kgo.Partitioner{
		"sticky by key": func() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) },
		"uniform bytes": func() kgo.Partitioner { return kgo.UniformBytesPartitioner(1<<20, true, true, nil) },
		"by a function": func() kgo.Partitioner {
			return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
				return func(r *kgo.Record, n int) int { return int(r.Key[0]) % n }
			})
		},
		"least backup": kgo.LeastBackupPartitioner,
		"round robin":  kgo.RoundRobinPartitioner,
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster1(t)
			plain, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(inner()))
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			hidden, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerLinger(0)}, ClientOptions(inner(), 0)...)...)
			if err != nil {
				t.Fatal(err)
			}
			defer hidden.Close()
			p := pipeline(t, hideKey, hidden)
			byKey := name != "least backup" && name != "round robin"
			for i := range 40 {
				key := []byte(fmt.Sprintf("%c-person-%d", 'a'+i%7, i))
				r := &kgo.Record{Topic: topic, Key: key}
				if err := plain.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
				got := p.Produce(t.Context(), []Record{{Topic: topic, Partition: AnyPartition, Key: key}}, Each)[0]
				if got.Outcome != Delivered || byKey && got.Partition != r.Partition {
					t.Errorf("key %d lies in partition %d, and unprotected in %d: %v", i, got.Partition, r.Partition, got.Err)
				}
			}
			for _, r := range stored(t, c, 80) {
				if r.Key[0] < 'a' && !bytes.Contains(r.Key, []byte{'-' ^ 0x5a}) {
					t.Errorf("key %q", r.Key)
				}
			}
		})
	}
}

// A hook that puts a context of its own around the record's, as those of traces
// do, sees the values of the sender's.
type wrapping struct{ saw atomic.Bool }

type wrapKey struct{}

func (w *wrapping) OnProduceRecordBuffered(r *kgo.Record) {
	if r.Context.Value(wrapKey{}) == "of the sender" {
		w.saw.Store(true)
	}
	r.Context = context.WithValue(r.Context, wrapKey{}, "of the hook")
}

func TestHooksMayWrapTheContextOfARecord(t *testing.T) {
	c := cluster1(t)
	w := new(wrapping)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.WithHooks(w)))
	recs := values("a")
	recs[0].Partition = 2
	r := p.Produce(context.WithValue(t.Context(), wrapKey{}, "of the sender"), recs, Each)[0]
	if r.Outcome != Delivered || r.Partition != 2 || !w.saw.Load() {
		t.Errorf("%+v, seen: %v", r, w.saw.Load())
	}
}

func TestTopicsAreAskedForOnce(t *testing.T) {
	c := cluster1(t)
	var asked atomic.Int64
	c.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	p := pipeline(t, sealing{}, clientOf(t, c))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if info, err := p.topics.Topic(t.Context(), topic); err != nil || info.Partitions != 4 || info.MaxBytes <= 0 {
				t.Errorf("%+v, %v", info, err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestRefusalsOfTopicsAreBounded(t *testing.T) {
	c := newCluster(0)
	for i := range 3 * maxRefusals {
		c.keep(fmt.Sprint(i), &topicState{err: fail(CodeTopicUnknown, Rejected)})
	}
	c.keep(topic, &topicState{info: TopicInfo{MaxBytes: 700}})
	c.keep(topic, &topicState{err: fail(CodeKafkaUnavailable, Retryable)})
	n := 0
	c.known.Range(func(any, any) bool { n++; return true })
	if n > maxRefusals+1 {
		t.Errorf("%d are kept", n)
	}
	if s := c.state(topic); s == nil || s.err != nil || s.info.MaxBytes != 700 || c.batchBytes(topic) != 700 {
		t.Errorf("%+v", s)
	}
}

func TestTheClientGivesUpWhatItCouldNotWrite(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c), WithDelivery(2*time.Second))
	refuse(c, kerr.NotEnoughReplicas)
	recs := values("a")
	if r := p.Produce(t.Context(), recs, Each)[0]; r.Outcome != Retryable || r.Err.Code != CodeKafkaUnavailable || r.Held {
		t.Errorf("%+v, %v", r, r.Err)
	}
}

func TestARecordOfLongAgoHasAsMuchTimeAsAnyOther(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.RecordDeliveryTimeout(time.Minute)))
	refuse(c, kerr.NotEnoughReplicas, nil)
	recs := values("a")
	recs[0].Timestamp = time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC)
	if r := p.Produce(t.Context(), recs, Each)[0]; r.Outcome != Delivered || !r.Timestamp.Equal(recs[0].Timestamp) {
		t.Errorf("%+v, %v", r, r.Err)
	}
}

// alter changes the configuration of the topic.
func alter(t *testing.T, c *kfake.Cluster, config map[string]string) {
	t.Helper()
	admin, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for k, v := range config {
		conf := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		conf.Name, conf.Value = k, &v
		res.Configs = append(res.Configs, conf)
	}
	req.Resources = append(req.Resources, res)
	resp, err := req.RequestWith(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Resources[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// A broker would refuse them with all that shares their batch.
func TestARecordThatItsTopicRefusesDoesNotHarmOthers(t *testing.T) {
	c := cluster1(t)
	alter(t, c, map[string]string{"cleanup.policy": "compact,delete", "message.timestamp.before.max.ms": "3600000", "message.timestamp.after.max.ms": "3600000"})
	p := pipeline(t, sealing{}, clientOf(t, c))
	recs := values("a", "no key", "too old", "of tomorrow", "b")
	for i := range recs {
		if i != 1 {
			recs[i].Key = []byte("k")
		}
	}
	recs[0].Timestamp = time.Now().Add(-30 * time.Minute)
	recs[2].Timestamp = time.Now().Add(-2 * time.Hour)
	recs[3].Timestamp = time.Now().Add(24 * time.Hour)
	for i, r := range p.Produce(t.Context(), recs, Each) {
		if good := i == 0 || i == 4; good && r.Outcome != Delivered || !good && (r.Outcome != Rejected || r.Err.Code != CodeRefused || r.Err.Kafka != 0) {
			t.Errorf("%s: %+v, %v", recs[i].Value, r, r.Err)
		}
	}
}

func TestAConfigurationIsReadAsBrokersMeanIt(t *testing.T) {
	for name, tc := range map[string]struct {
		config map[string]string
		want   TopicInfo
	}{
		"nothing":        {nil, TopicInfo{MaxBytes: DefaultTopicBytes}},
		"no sense":       {map[string]string{keyBytes: "x", keyAhead: "x", keyCleanup: "x"}, TopicInfo{MaxBytes: DefaultTopicBytes}},
		"no limits":      {map[string]string{keyBytes: "5", keyBehind: "9223372036854775807", keyEither: "9223372036854775807"}, TopicInfo{MaxBytes: 5}},
		"an old broker":  {map[string]string{keyEither: "5"}, TopicInfo{MaxBytes: DefaultTopicBytes, Behind: 5 * time.Millisecond, Ahead: 5 * time.Millisecond}},
		"both":           {map[string]string{keyEither: "5", keyAhead: "3", keyBehind: "7"}, TopicInfo{MaxBytes: DefaultTopicBytes, Behind: 5 * time.Millisecond, Ahead: 3 * time.Millisecond}},
		"its own clock":  {map[string]string{keyClock: "LogAppendTime", keyAhead: "3"}, TopicInfo{MaxBytes: DefaultTopicBytes}},
		"compacted only": {map[string]string{keyCleanup: "compact"}, TopicInfo{MaxBytes: DefaultTopicBytes, Compacted: true}},
	} {
		if got := ofConfig(tc.config); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAClusterThatDoesNotLetTheSidecarInIsRetryable(t *testing.T) {
	c := cluster1(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "right"))
	// By itself this broker only hangs up.
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp, ok := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		if ok {
			resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, new("no such user: u")
		}
		return resp, nil, true
	})
	p := pipeline(t, sealing{}, clientOf(t, c, kgo.RequestRetries(0), kgo.SASL(plain.Auth{User: "u", Pass: "wrong"}.AsMechanism())))
	r := p.Produce(t.Context(), values("a"), Each)[0]
	if r.Outcome != Retryable || r.Err.Code != CodeKafkaLogin || r.Err.Kafka != kerr.SaslAuthenticationFailed.Code {
		t.Errorf("%+v, %v", r, r.Err)
	}
	if e := ofRequest(fmt.Errorf("x: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})); e.Code != CodeKafkaLogin || e.Outcome != Retryable {
		t.Errorf("%+v", e)
	}
}

// What the hook counts: a request that was written, and got no answer.
func TestOnlyProduceRequestsThatWereWrittenRaiseDoubts(t *testing.T) {
	var l link
	for _, tc := range []struct {
		key  int16
		e2e  kgo.BrokerE2E
		want uint64
	}{
		{0, kgo.BrokerE2E{BytesWritten: 9}, 0},
		{3, kgo.BrokerE2E{BytesWritten: 9, ReadErr: errSecret}, 0},
		{0, kgo.BrokerE2E{WriteErr: errSecret}, 0},
		{0, kgo.BrokerE2E{BytesWritten: 9, WriteErr: errSecret}, 1},
		{0, kgo.BrokerE2E{BytesWritten: 9, ReadErr: errSecret}, 2},
	} {
		l.OnBrokerE2E(kgo.BrokerMetadata{}, tc.key, tc.e2e)
		if got := l.doubts.Load(); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}
