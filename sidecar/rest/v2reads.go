package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// read answers with what get returns.
func (c *call) read(get func(Cluster) (any, *failure)) {
	cl, f := c.reads()
	if f != nil {
		c.fail(f)
		return
	}
	ctx, cancel := c.withTimeout()
	defer cancel()
	c.r = c.r.WithContext(ctx)
	doc, f := get(cl)
	if f != nil {
		c.fail(f)
		return
	}
	body, err := json.Marshal(doc)
	if err != nil {
		c.fail(internalFailure())
		return
	}
	c.info.Topic = c.topic
	c.answer(http.StatusOK, c.media, body)
}

func (c *call) root() { c.answer(http.StatusOK, c.media, []byte(`{}`)) }

type replicaV2 struct {
	Broker int32 `json:"broker"`
	Leader bool  `json:"leader"`
	InSync bool  `json:"in_sync"`
}

type partitionV2Doc struct {
	Partition int32       `json:"partition"`
	Leader    int32       `json:"leader"`
	Replicas  []replicaV2 `json:"replicas"`
}

func partitionDocV2(p PartitionInfo) partitionV2Doc {
	doc := partitionV2Doc{Partition: p.ID, Leader: p.Leader, Replicas: []replicaV2{}}
	for _, r := range p.Replicas {
		doc.Replicas = append(doc.Replicas, replicaV2{Broker: r, Leader: r == p.Leader, InSync: slices.Contains(p.InSync, r)})
	}
	return doc
}

func (c *call) topicsV2() {
	c.read(func(cl Cluster) (any, *failure) {
		all, err := cl.Topics(c.r.Context())
		if err != nil {
			return nil, clusterFailure(err)
		}
		names := make([]string, 0, len(all))
		for _, t := range all {
			names = append(names, t.Name)
		}
		return names, nil
	})
}

func (c *call) topicV2() {
	c.read(func(cl Cluster) (any, *failure) {
		t, err := cl.Topic(c.r.Context(), c.topic)
		if err != nil {
			return nil, clusterFailure(err)
		}
		// A producer often may not read settings; it gets the topic without them.
		settings, err := cl.Configs(c.r.Context(), c.topic)
		if err != nil && !errors.Is(err, ErrNoPermission) {
			return nil, clusterFailure(err)
		}
		configs := make(map[string]string, len(settings))
		for _, s := range settings {
			if s.Value != nil && !s.Secret {
				configs[s.Name] = *s.Value
			}
		}
		return struct {
			Name       string            `json:"name"`
			Configs    map[string]string `json:"configs"`
			Partitions []partitionV2Doc  `json:"partitions"`
		}{t.Name, configs, partitionDocsV2(t)}, nil
	})
}

func partitionDocsV2(t TopicInfo) []partitionV2Doc {
	docs := make([]partitionV2Doc, 0, len(t.Partitions))
	for _, p := range t.Partitions {
		docs = append(docs, partitionDocV2(p))
	}
	return docs
}

func (c *call) partitionsV2() {
	c.read(func(cl Cluster) (any, *failure) {
		t, err := cl.Topic(c.r.Context(), c.topic)
		if err != nil {
			return nil, clusterFailure(err)
		}
		return partitionDocsV2(t), nil
	})
}

// partitionOf finds the partition of the path.
func (c *call) partitionOf(cl Cluster) (PartitionInfo, *failure) {
	t, err := cl.Topic(c.r.Context(), c.topic)
	if err != nil {
		return PartitionInfo{}, clusterFailure(err)
	}
	n, err := strconv.ParseUint(c.params[2], 10, 31)
	if err != nil {
		return PartitionInfo{}, partitionNotFound()
	}
	for _, p := range t.Partitions {
		if p.ID == int32(n) {
			return p, nil
		}
	}
	return PartitionInfo{}, partitionNotFound()
}

func (c *call) partitionV2() {
	c.read(func(cl Cluster) (any, *failure) {
		p, f := c.partitionOf(cl)
		if f != nil {
			return nil, f
		}
		return partitionDocV2(p), nil
	})
}

func (c *call) offsetsV2() {
	c.read(func(cl Cluster) (any, *failure) {
		p, f := c.partitionOf(cl)
		if f != nil {
			return nil, f
		}
		begin, end, err := cl.Offsets(c.r.Context(), c.topic, p.ID)
		if err != nil {
			return nil, clusterFailure(err)
		}
		return struct {
			Begin int64 `json:"beginning_offset"`
			End   int64 `json:"end_offset"`
		}{begin, end}, nil
	})
}

func (c *call) brokersV2() {
	c.read(func(cl Cluster) (any, *failure) {
		info, err := cl.Cluster(c.r.Context())
		if err != nil {
			return nil, clusterFailure(err)
		}
		ids := make([]int32, 0, len(info.Brokers))
		for _, b := range info.Brokers {
			ids = append(ids, b.ID)
		}
		return struct {
			Brokers []int32 `json:"brokers"`
		}{ids}, nil
	})
}
