package scenario

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/fieldveil/fieldveil/schema/registry/registrytest"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
)

// partitions is how many a topic has that is made for a measurement.
const partitions = 6

// The kinds of brokers.
const (
	// brokerForgets checks what it gets, gives out offsets, and forgets the records:
	// it costs about what a broker costs.
	brokerForgets = "forgets"
	// brokerDiscards acknowledges without a look, so that a service in front of it is
	// seen and not the broker.
	brokerDiscards = "discards"
)

// playBroker runs a broker and a registry that knows the schema.
func playBroker(o order) (role, error) {
	registry, err := registrytest.Start(registrytest.WithCompatibility(registrytest.LevelNone))
	if err != nil {
		return role{}, err
	}
	id := 0
	if o.Schema != "" {
		s := registrytest.Schema{Format: o.Format, Text: o.Schema}
		for i, text := range o.References {
			ref := o.Topic + "-reference-" + o.Names[i]
			if _, err := registry.Register(ref, registrytest.Schema{Format: s.Format, Text: text}); err != nil {
				registry.Close()
				return role{}, err
			}
			s.References = append(s.References, registrytest.Reference{Name: o.Names[i], Subject: ref, Version: 1})
		}
		if id, err = registry.Register(o.Topic+"-value", s); err != nil {
			registry.Close()
			return role{}, err
		}
	}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(int32(max(o.Partitions, 1)), o.Topic)} //nolint:gosec // a handful
	switch o.Broker {
	case brokerForgets:
		opts = append(opts, kfake.BlackholeProduce())
	case brokerDiscards:
		opts = append(opts, kfake.ListenFn(listenDiscarding))
	}
	brokers, err := kfake.NewCluster(opts...)
	if err != nil {
		registry.Close()
		return role{}, err
	}
	end := func() {
		brokers.Close()
		registry.Close()
	}
	return role{addrs: addresses{"brokers": strings.Join(brokers.ListenAddrs(), ","), "registry": registry.URL(), "schema": strconv.Itoa(id)}, end: end}, nil
}

// A Broker is a broker in a process of its own, for a measurement. The program that
// starts one calls [Play] when it is a part: see [IsPart].
type Broker struct{ p *part }

// StartBroker starts a broker with one topic. It checks what it gets, and forgets
// it.
func StartBroker(topic string) (*Broker, error) {
	p, err := start(roleBroker, order{Topic: topic, Partitions: partitions, Broker: brokerForgets})
	if err != nil {
		return nil, err
	}
	return &Broker{p}, nil
}

// Addrs returns the addresses to bootstrap from.
func (b *Broker) Addrs() []string { return strings.Split(b.p.addrs["brokers"], ",") }

// Close ends it.
func (b *Broker) Close() error { return b.p.close() }

// StartBrokerWith starts a broker that acknowledges without a look, with the topic of a Set, and beside
// it a registry that has the Set's schema.
func StartBrokerWith(s *input.Set) (*Broker, error) {
	p, err := start(roleBroker, orderOf(s))
	if err != nil {
		return nil, err
	}
	return &Broker{p}, nil
}

func orderOf(s *input.Set) order {
	return order{
		Broker: brokerDiscards, Topic: s.Topic, Partitions: partitions, Format: string(s.Text.Format), Schema: s.Text.Schema,
		References: s.Text.References, Names: s.Text.Names,
	}
}

// Registry returns the URL of the registry.
func (b *Broker) Registry() string { return b.p.addrs["registry"] }

// SchemaID returns the id of the schema in that registry.
func (b *Broker) SchemaID() string { return b.p.addrs["schema"] }
