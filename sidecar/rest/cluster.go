package rest

import (
	"context"
	"errors"
)

// A Cluster answers reads. Its errors are [ErrNoTopic], [ErrNoPermission], or
// others, which are answered as a cluster that does not answer. Lists are in the
// order of names or numbers.
type Cluster interface {
	// Cluster describes the cluster itself.
	Cluster(ctx context.Context) (ClusterInfo, error)
	// Topics lists the topics, without those of Kafka itself.
	Topics(ctx context.Context) ([]TopicInfo, error)
	// Topic describes one topic.
	Topic(ctx context.Context, name string) (TopicInfo, error)
	// Configs returns the settings of a topic. Secret ones have no value.
	Configs(ctx context.Context, name string) ([]ConfigInfo, error)
	// Offsets returns the first offset of a partition and the one after its last.
	Offsets(ctx context.Context, name string, partition int32) (begin, end int64, err error)
}

// What a [Cluster] says.
var (
	ErrNoTopic      = errors.New("rest: no such topic")
	ErrNoPermission = errors.New("rest: the cluster does not allow it")
)

// A ClusterInfo describes a cluster.
type ClusterInfo struct {
	ID         string
	Controller int32 // -1 for unknown
	Brokers    []BrokerInfo
}

// A BrokerInfo describes a broker.
type BrokerInfo struct {
	ID   int32
	Host string
	Port int32
	Rack string // "" for none
}

// A TopicInfo describes a topic.
type TopicInfo struct {
	Name       string
	Internal   bool
	Partitions []PartitionInfo
}

// A PartitionInfo describes a partition. Leader is -1 for none.
type PartitionInfo struct {
	ID       int32
	Leader   int32
	Replicas []int32
	InSync   []int32
}

// A ConfigInfo is one setting of a topic.
type ConfigInfo struct {
	Name    string
	Value   *string // nil for none, or for a secret one
	Secret  bool
	Default bool
	Source  string
}

// clusterFailure turns an error of a [Cluster] into an answer.
func clusterFailure(err error) *failure {
	switch {
	case errors.Is(err, ErrNoTopic):
		return topicNotFound()
	case errors.Is(err, ErrNoPermission):
		return &failure{status: 403, code: 40301, reason: "kafka_denied", text: "the cluster does not allow the sidecar to read this"}
	default:
		return &failure{status: 503, code: 50302, reason: "kafka_unavailable", text: "the cluster does not answer", retry: true}
	}
}

// reads returns what answers reads, or the answer when nothing does.
func (c *call) reads() (Cluster, *failure) {
	if c.s.deps.Cluster == nil {
		return nil, notFound("this sidecar answers no reads of the cluster")
	}
	return c.s.deps.Cluster, nil
}
