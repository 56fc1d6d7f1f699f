package kgocrypt

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// gaps finds partitions of which nothing is left to read although their end has
// not come by: compaction takes records out, and those before the end may be among
// them. The client never tells, so the brokers are asked for what stands there.
func (c *census) gaps(ctx context.Context) error {
	// By topic names, as brokers have answered since long ago: newer versions ask
	// by ids.
	client, err := kgo.NewClient(append(slices.Clone(c.opts), kgo.MaxVersions(kversion.V2_7_0()))...)
	if err != nil {
		return err
	}
	defer client.Close()
	details, err := kadm.NewClient(client).ListTopics(ctx, c.topics...)
	if err != nil {
		return err
	}
	for _, p := range c.each() {
		if p.Next >= p.End {
			continue
		}
		d, ok := details[p.Topic].Partitions[p.Partition.Partition]
		if !ok || d.Leader < 0 {
			continue // the client goes on asking
		}
		empty, err := p.nothingLeft(ctx, client, d.Leader)
		if err != nil {
			return err
		}
		if empty {
			p.Next = p.End
			c.open--
		}
	}
	return nil
}

func (p *counted) nothingLeft(ctx context.Context, client *kgo.Client, leader int32) (bool, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 100, 0, 1<<20
	req.IsolationLevel = 1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = p.Topic
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Partition.Partition, p.Next, 1<<20
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	raw, err := client.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return false, fmt.Errorf("look behind %s/%d@%d: %w", p.Topic, p.Partition.Partition, p.Next, err)
	}
	res, ok := raw.(*kmsg.FetchResponse)
	if !ok || len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 || res.ErrorCode != 0 {
		return false, nil // no answer to the question; the client goes on asking
	}
	got := &res.Topics[0].Partitions[0]
	return got.ErrorCode == 0 && len(got.RecordBatches) == 0 && got.HighWatermark >= p.End, nil
}
