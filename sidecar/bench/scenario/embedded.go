package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// embeddedPartitions are those of a topic that is made here.
const embeddedPartitions = 6

// EmbeddedBroker starts a broker in this process that acknowledges records and
// throws them away, with a topic. It costs little more than reading from a socket,
// so what is measured against it is the client and the protection, and nothing of
// a real cluster. It returns where to reach it, and what ends it.
func EmbeddedBroker(topic string) (client []kgo.Opt, end func(), err error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(embeddedPartitions, topic), kfake.BlackholeProduce())
	if err != nil {
		return nil, nil, fmt.Errorf("scenario: %w", err)
	}
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, c.Close, nil
}

// EnsureTopic makes a topic where there is none, and tells whether it did.
func EnsureTopic(ctx context.Context, client []kgo.Opt, topic string) (made bool, err error) {
	c, err := kgo.NewClient(client...)
	if err != nil {
		return false, fmt.Errorf("scenario: %w", err)
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	there, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("scenario: look for topic %s: %w", topic, err)
	}
	if there.Has(topic) {
		return false, nil
	}
	// -1 is what the cluster has as its default.
	_, err = admin.CreateTopic(ctx, embeddedPartitions, -1, nil, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("scenario: make topic %s: %w", topic, err)
	}
	return true, nil
}
