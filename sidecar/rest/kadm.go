package rest

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaCluster is a [Cluster] that asks Kafka each time. It is safe for
// concurrent use.
type KafkaCluster struct{ admin *kadm.Client }

// NewKafkaCluster returns a Cluster that asks by admin.
func NewKafkaCluster(admin *kadm.Client) *KafkaCluster { return &KafkaCluster{admin} }

// readError sorts an error of Kafka.
func readError(err error) error {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException), errors.Is(err, kerr.UnknownTopicID):
		return ErrNoTopic
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return ErrNoPermission
	default:
		return err
	}
}

// Cluster implements [Cluster].
func (k *KafkaCluster) Cluster(ctx context.Context) (ClusterInfo, error) {
	m, err := k.admin.BrokerMetadata(ctx)
	if err != nil {
		return ClusterInfo{}, readError(err)
	}
	info := ClusterInfo{ID: m.Cluster, Controller: m.Controller}
	for _, b := range m.Brokers {
		one := BrokerInfo{ID: b.NodeID, Host: b.Host, Port: b.Port}
		if b.Rack != nil {
			one.Rack = *b.Rack
		}
		info.Brokers = append(info.Brokers, one)
	}
	return info, nil
}

func topicInfo(d kadm.TopicDetail) TopicInfo {
	info := TopicInfo{Name: d.Topic, Internal: d.IsInternal}
	for _, p := range d.Partitions.Sorted() {
		info.Partitions = append(info.Partitions, PartitionInfo{
			ID: p.Partition, Leader: p.Leader, Replicas: slices.Clone(p.Replicas), InSync: slices.Clone(p.ISR),
		})
	}
	return info
}

// Topics implements [Cluster].
func (k *KafkaCluster) Topics(ctx context.Context) ([]TopicInfo, error) {
	all, err := k.admin.ListTopics(ctx)
	if err != nil {
		return nil, readError(err)
	}
	out := make([]TopicInfo, 0, len(all))
	for _, d := range all.Sorted() {
		if d.Err == nil {
			out = append(out, topicInfo(d))
		}
	}
	return out, nil
}

// Topic implements [Cluster].
func (k *KafkaCluster) Topic(ctx context.Context, name string) (TopicInfo, error) {
	all, err := k.admin.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return TopicInfo{}, readError(err)
	}
	d, ok := all[name]
	if !ok {
		return TopicInfo{}, ErrNoTopic
	}
	if d.Err != nil {
		return TopicInfo{}, readError(d.Err)
	}
	return topicInfo(d), nil
}

// Configs implements [Cluster].
func (k *KafkaCluster) Configs(ctx context.Context, name string) ([]ConfigInfo, error) {
	all, err := k.admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return nil, readError(err)
	}
	rc, err := all.On(name, nil)
	if err != nil {
		return nil, readError(err)
	}
	if rc.Err != nil {
		return nil, readError(rc.Err)
	}
	out := make([]ConfigInfo, 0, len(rc.Configs))
	for _, c := range rc.Configs {
		one := ConfigInfo{
			Name: c.Key, Value: c.Value, Secret: c.Sensitive, Source: c.Source.String(),
			Default: c.Source != kmsg.ConfigSourceDynamicTopicConfig,
		}
		if c.Sensitive {
			one.Value = nil
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b ConfigInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}

// Offsets implements [Cluster].
func (k *KafkaCluster) Offsets(ctx context.Context, name string, partition int32) (begin, end int64, err error) {
	starts, err := k.admin.ListStartOffsets(ctx, name)
	if err != nil {
		return 0, 0, readError(err)
	}
	ends, err := k.admin.ListEndOffsets(ctx, name)
	if err != nil {
		return 0, 0, readError(err)
	}
	first, ok1 := starts.Lookup(name, partition)
	last, ok2 := ends.Lookup(name, partition)
	if !ok1 || !ok2 {
		return 0, 0, ErrNoTopic
	}
	if err := errors.Join(first.Err, last.Err); err != nil {
		return 0, 0, readError(err)
	}
	return first.Offset, last.Offset, nil
}
