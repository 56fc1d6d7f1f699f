package kgocrypt_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

const keyTopic = "_keys"

func (b *bench) keyTopic(more ...kgocrypt.KeyTopicOption) *kgocrypt.KeyTopic {
	b.t.Helper()
	k, err := kgocrypt.OpenKeyTopic(b.t.Context(), keyTopic, b.opts(), more...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(k.Close)
	return k
}

func (b *bench) createTopic(name string, partitions int32, configs map[string]string) {
	b.t.Helper()
	c := make(map[string]*string)
	for k, v := range configs {
		c[k] = &v
	}
	if _, err := kadm.NewClient(b.client()).CreateTopic(b.t.Context(), partitions, 1, c, name); err != nil {
		b.t.Fatal(err)
	}
}

// FV-32, FV-33: the key is in the topic before the first record that needs it,
// and nothing is sent while it cannot be.
func TestTheKeyIsDurableBeforeTheFirstRecord(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	broken := true
	var order []string
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		r, _ := req.(*kmsg.ProduceRequest)
		name := r.Topics[0].Topic
		if name == "" {
			name = b.cluster.TopicIDInfo(r.Topics[0].TopicID).Topic
		}
		order = append(order, name)
		if name == keyTopic && broken {
			res, _ := r.ResponseKind().(*kmsg.ProduceResponse)
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = r.Topics[0].Topic, r.Topics[0].TopicID
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.ErrorCode = kerr.TopicAuthorizationFailed.Code
			rt.Partitions = append(rt.Partitions, rp)
			res.Topics = append(res.Topics, rt)
			return res, nil, true
		}
		return nil, nil, false
	})
	p := b.producer(k)
	err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr()
	var e *fieldcrypt.Error
	if !errors.As(err, &e) || e.Code != fieldcrypt.CodeKeyUnavailable {
		t.Fatalf("while the key topic refuses: %v", err)
	}
	for _, name := range order {
		if name != keyTopic {
			t.Fatalf("something was produced to %q before the key was durable", name)
		}
	}
	broken = false
	// A failure stands for a moment, so that callers do not storm the KMS; until
	// then they get it at once.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for err != nil && ctx.Err() == nil {
		err = p.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if err != nil {
		t.Fatalf("after the key topic recovered: %v", err)
	}
	if last := order[len(order)-1]; last != topic || k.Len() != 1 {
		t.Errorf("order %v, %d keys", order, k.Len())
	}
}

// FV-40: records that lost their headers open with a key topic that was opened
// before the key was written.
func TestAnotherProcessFindsKeysWrittenLater(t *testing.T) {
	b := newBench(t, 1)
	reader := b.keyTopic()
	writer := b.keyTopic(kgocrypt.WithoutCreate())
	sealed, err := b.engine(writer).Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	sealed.Headers = nil
	out, err := b.engine(reader).Reveal(t.Context(), sealed)
	if err != nil || !bytes.Equal(out.Value, value(t, 1)) {
		t.Errorf("%q, %v", out.Value, err)
	}
	if _, err := reader.Get(t.Context(), datakey.ID{1}); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestATopicThatCouldLoseKeysIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name       string
		partitions int32
		policy     string
		want       string
	}{
		{"deleting", 1, "delete", "cleanup.policy"},
		{"compacting and deleting", 1, "compact,delete", "cleanup.policy"},
		{"two partitions", 2, "compact", "2 partitions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			b.createTopic(keyTopic, tt.partitions, map[string]string{"cleanup.policy": tt.policy})
			_, err := kgocrypt.OpenKeyTopic(t.Context(), keyTopic, b.opts())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("missing, and not to be created", func(t *testing.T) {
		b := newBench(t, 1)
		if _, err := kgocrypt.OpenKeyTopic(t.Context(), keyTopic, b.opts(), kgocrypt.WithoutCreate()); err == nil {
			t.Error("it opened")
		}
	})
}

func TestABrokerThatIsAwayEndsWithTheContext(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	b.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := k.Put(ctx, datakey.ID{1}, []byte("x")); err == nil {
		t.Error("Put succeeded")
	}
	if _, err := k.Get(ctx, datakey.ID{1}); err == nil || errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("Get says %v: a key that cannot be looked up is not an unknown one", err)
	}
	if _, err := kgocrypt.OpenKeyTopic(ctx, keyTopic, b.opts()); err == nil {
		t.Error("it opened without a broker")
	}
}
