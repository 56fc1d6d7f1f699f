package rest

import (
	"strconv"
)

type metadataV3 struct {
	Self     string  `json:"self"`
	Next     *string `json:"next,omitempty"`
	Resource string  `json:"resource_name,omitempty"`
}

type listMetadataV3 struct {
	Self string  `json:"self"`
	Next *string `json:"next"`
}

type listV3 struct {
	Kind     string         `json:"kind"`
	Metadata listMetadataV3 `json:"metadata"`
	Data     []any          `json:"data"`
}

type relatedV3 struct {
	Related string `json:"related"`
}

// link returns the address of a path below the cluster.
func (c *call) link(id, path string) string {
	return c.s.cfg.PublicURL + "/v3/clusters/" + id + path
}

func (c *call) listOf(kind, self string, data []any) listV3 {
	if data == nil {
		data = []any{}
	}
	return listV3{Kind: kind, Metadata: listMetadataV3{Self: self}, Data: data}
}

func (c *call) metadata(id, path, resource string) metadataV3 {
	return metadataV3{Self: c.link(id, path), Resource: "crn:///kafka=" + id + resource}
}

type clusterV3Doc struct {
	Kind       string     `json:"kind"`
	Metadata   metadataV3 `json:"metadata"`
	ClusterID  string     `json:"cluster_id"`
	Controller *relatedV3 `json:"controller"`
	Brokers    relatedV3  `json:"brokers"`
	Topics     relatedV3  `json:"topics"`
}

func (c *call) clusterDoc(info ClusterInfo) clusterV3Doc {
	doc := clusterV3Doc{
		Kind: "KafkaCluster", Metadata: c.metadata(info.ID, "", ""), ClusterID: info.ID,
		Brokers: relatedV3{c.link(info.ID, "/brokers")}, Topics: relatedV3{c.link(info.ID, "/topics")},
	}
	if info.Controller >= 0 {
		doc.Controller = &relatedV3{c.link(info.ID, "/brokers/"+itoa(info.Controller))}
	}
	return doc
}

func itoa(n int32) string { return strconv.FormatInt(int64(n), 10) }

func (c *call) clustersV3() {
	c.read(func(cl Cluster) (any, *failure) {
		info, err := cl.Cluster(c.r.Context())
		if err != nil {
			return nil, clusterFailure(err)
		}
		return c.listOf("KafkaClusterList", c.s.cfg.PublicURL+"/v3/clusters", []any{c.clusterDoc(info)}), nil
	})
}

// ofCluster answers with what get makes of the cluster, whose id is the path's:
// what else the path may say has been checked.
func (c *call) ofCluster(get func(Cluster, ClusterInfo) (any, *failure)) {
	c.read(func(cl Cluster) (any, *failure) {
		info, err := cl.Cluster(c.r.Context())
		if err != nil {
			return nil, clusterFailure(err)
		}
		info.ID = c.cluster
		return get(cl, info)
	})
}

func (c *call) clusterV3() {
	c.ofCluster(func(_ Cluster, info ClusterInfo) (any, *failure) { return c.clusterDoc(info), nil })
}

type brokerV3Doc struct {
	Kind      string     `json:"kind"`
	Metadata  metadataV3 `json:"metadata"`
	ClusterID string     `json:"cluster_id"`
	BrokerID  int32      `json:"broker_id"`
	Host      string     `json:"host"`
	Port      int32      `json:"port"`
	Rack      *string    `json:"rack"`
}

func (c *call) brokerDoc(id string, b BrokerInfo) brokerV3Doc {
	doc := brokerV3Doc{
		Kind: "KafkaBroker", Metadata: c.metadata(id, "/brokers/"+itoa(b.ID), "/broker="+itoa(b.ID)),
		ClusterID: id, BrokerID: b.ID, Host: b.Host, Port: b.Port,
	}
	if b.Rack != "" {
		doc.Rack = &b.Rack
	}
	return doc
}

func (c *call) brokersV3() {
	c.ofCluster(func(_ Cluster, info ClusterInfo) (any, *failure) {
		var data []any
		for _, b := range info.Brokers {
			data = append(data, c.brokerDoc(info.ID, b))
		}
		return c.listOf("KafkaBrokerList", c.link(info.ID, "/brokers"), data), nil
	})
}

func (c *call) brokerV3() {
	c.ofCluster(func(_ Cluster, info ClusterInfo) (any, *failure) {
		n, err := strconv.ParseUint(c.params[2], 10, 31)
		if err == nil {
			for _, b := range info.Brokers {
				if b.ID == int32(n) {
					return c.brokerDoc(info.ID, b), nil
				}
			}
		}
		return nil, notFound("the broker does not exist")
	})
}

type topicV3Doc struct {
	Kind        string     `json:"kind"`
	Metadata    metadataV3 `json:"metadata"`
	ClusterID   string     `json:"cluster_id"`
	TopicName   string     `json:"topic_name"`
	Internal    bool       `json:"is_internal"`
	Replication int        `json:"replication_factor"`
	Count       int        `json:"partitions_count"`
	Partitions  relatedV3  `json:"partitions"`
	Configs     relatedV3  `json:"configs"`
}

func (c *call) topicDoc(t TopicInfo) topicV3Doc {
	path := "/topics/" + t.Name
	doc := topicV3Doc{
		Kind: "KafkaTopic", Metadata: c.metadata(c.cluster, path, "/topic="+t.Name),
		ClusterID: c.cluster, TopicName: t.Name, Internal: t.Internal, Count: len(t.Partitions),
		Partitions: relatedV3{c.link(c.cluster, path+"/partitions")}, Configs: relatedV3{c.link(c.cluster, path+"/configs")},
	}
	if len(t.Partitions) > 0 {
		doc.Replication = len(t.Partitions[0].Replicas)
	}
	return doc
}

func (c *call) topicsV3() {
	c.read(func(cl Cluster) (any, *failure) {
		all, err := cl.Topics(c.r.Context())
		if err != nil {
			return nil, clusterFailure(err)
		}
		var data []any
		for _, t := range all {
			data = append(data, c.topicDoc(t))
		}
		return c.listOf("KafkaTopicList", c.link(c.cluster, "/topics"), data), nil
	})
}

func (c *call) topicV3() {
	c.read(func(cl Cluster) (any, *failure) {
		t, err := cl.Topic(c.r.Context(), c.topic)
		if err != nil {
			return nil, clusterFailure(err)
		}
		return c.topicDoc(t), nil
	})
}

type configV3Doc struct {
	Kind      string     `json:"kind"`
	Metadata  metadataV3 `json:"metadata"`
	ClusterID string     `json:"cluster_id"`
	TopicName string     `json:"topic_name"`
	Name      string     `json:"name"`
	Value     *string    `json:"value"`
	Default   bool       `json:"is_default"`
	ReadOnly  bool       `json:"is_read_only"`
	Sensitive bool       `json:"is_sensitive"`
	Source    string     `json:"source"`
}

func (c *call) configsV3() {
	c.read(func(cl Cluster) (any, *failure) {
		all, err := cl.Configs(c.r.Context(), c.topic)
		if err != nil {
			return nil, clusterFailure(err)
		}
		path := "/topics/" + c.topic + "/configs"
		var data []any
		for _, s := range all {
			doc := configV3Doc{
				Kind: "KafkaTopicConfig", Metadata: c.metadata(c.cluster, path+"/"+s.Name, "/topic="+c.topic+"/config="+s.Name),
				ClusterID: c.cluster, TopicName: c.topic, Name: s.Name, Value: s.Value, Default: s.Default,
				ReadOnly: true, Sensitive: s.Secret, Source: s.Source,
			}
			if s.Secret {
				doc.Value = nil
			}
			data = append(data, doc)
		}
		return c.listOf("KafkaTopicConfigList", c.link(c.cluster, path), data), nil
	})
}

type partitionV3Doc struct {
	Kind      string     `json:"kind"`
	Metadata  metadataV3 `json:"metadata"`
	ClusterID string     `json:"cluster_id"`
	TopicName string     `json:"topic_name"`
	ID        int32      `json:"partition_id"`
	Leader    *int32     `json:"leader_id"`
	Replicas  []int32    `json:"replica_ids"`
	InSync    []int32    `json:"in_sync_replica_ids"`
}

func (c *call) partitionDoc(p PartitionInfo) partitionV3Doc {
	path := "/topics/" + c.topic + "/partitions/" + itoa(p.ID)
	doc := partitionV3Doc{
		Kind: "KafkaPartition", Metadata: c.metadata(c.cluster, path, "/topic="+c.topic+"/partition="+itoa(p.ID)),
		ClusterID: c.cluster, TopicName: c.topic, ID: p.ID, Replicas: append([]int32{}, p.Replicas...), InSync: append([]int32{}, p.InSync...),
	}
	if p.Leader >= 0 {
		doc.Leader = &p.Leader
	}
	return doc
}

func (c *call) partitionsV3() {
	c.read(func(cl Cluster) (any, *failure) {
		t, err := cl.Topic(c.r.Context(), c.topic)
		if err != nil {
			return nil, clusterFailure(err)
		}
		var data []any
		for _, p := range t.Partitions {
			data = append(data, c.partitionDoc(p))
		}
		return c.listOf("KafkaPartitionList", c.link(c.cluster, "/topics/"+c.topic+"/partitions"), data), nil
	})
}

func (c *call) partitionV3() {
	c.read(func(cl Cluster) (any, *failure) {
		p, f := c.partitionOf(cl)
		if f != nil {
			return nil, f
		}
		return c.partitionDoc(p), nil
	})
}
