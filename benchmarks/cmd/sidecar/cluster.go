package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// The topics. Records of topicAvro are framed with the id of a schema.
const (
	topicAvro  = "orders"
	topicJSON  = "orders-json"
	partitions = 6
)

// cluster serves brokers that acknowledge records and throw them away, and the
// registry with the schema of the records, which has the id 1.
func cluster() (addresses, func(), error) {
	registry, err := registrytest.Start()
	if err != nil {
		return nil, nil, err
	}
	if _, err := registry.Register(topicAvro+"-value", registrytest.Schema{Text: workload.Avro20().Schema}); err != nil {
		registry.Close()
		return nil, nil, err
	}
	brokers, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(listenDiscarding), kfake.SeedTopics(partitions, topicAvro, topicJSON))
	if err != nil {
		registry.Close()
		return nil, nil, err
	}
	end := func() {
		brokers.Close()
		registry.Close()
	}
	return addresses{"brokers": strings.Join(brokers.ListenAddrs(), ","), "registry": registry.URL()}, end, nil
}

// accept answers as if all records were written.
func accept(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	res := req.ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert,errcheck // kmsg says so
	for i := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = req.Topics[i].Topic, req.Topics[i].TopicID
		for j := range req.Topics[i].Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition = req.Topics[i].Partitions[j].Partition
			topic.Partitions = append(topic.Partitions, p)
		}
		res.Topics = append(res.Topics, topic)
	}
	return res
}
