package scenario

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

const builtinPolicy = `
version: 1
keys:
  pii: {kek: "local:bench"}
rules:
  - {tag: PII, action: encrypt, key: pii}
topics:
  - {match: %q}
`

// builtinEngine returns an engine that encrypts the tagged fields of a built-in
// workload in a topic, under a KEK in memory, with its keys warm; and what ends it.
// Nothing that it sealed can be opened later.
func builtinEngine(ctx context.Context, c workload.Case, topic string) (*fieldcrypt.Engine, func(), error) {
	policy, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, builtinPolicy, topic))
	if err != nil {
		return nil, nil, err
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()})
	if err != nil {
		return nil, nil, err
	}
	e, err := fieldcrypt.New(policy, keys,
		fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser),
		fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
		fieldcrypt.WithTopicSchema(topic, schema.Text{Format: schema.Format(c.Format), Schema: c.Schema}))
	if err == nil {
		err = e.Warm(ctx)
	}
	if err != nil {
		keys.Close()
		return nil, nil, err
	}
	return e, keys.Close, nil
}

// embeddedBroker starts a broker in this process that acknowledges records and
// throws them away, with a topic. It costs little more than reading from a socket,
// so what is measured against it is the client and the protection, and nothing of
// a real cluster. It returns where to reach it, and what ends it.
func embeddedBroker(topic string) (client []kgo.Opt, end func(), err error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic), kfake.BlackholeProduce())
	if err != nil {
		return nil, nil, fmt.Errorf("scenario: %w", err)
	}
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, c.Close, nil
}
