package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

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
	_, err = admin.CreateTopic(ctx, partitions, -1, nil, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("scenario: make topic %s: %w", topic, err)
	}
	return true, nil
}
