//go:build cgo

package main

import (
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/encryption"
	_ "github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rules/encryption/localkms" // registers the local KMS
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/avrov2"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// rival is Confluent's serializer for one topic.
type rival struct {
	ser   *avrov2.Serializer
	deser *avrov2.Deserializer
	topic string
}

// The rule for the tagged fields. Rotation is off, which is the default and the
// faster way.
func rules(kms string) *schemaregistry.RuleSet {
	return &schemaregistry.RuleSet{DomainRules: []schemaregistry.Rule{{
		Name: "encrypt", Kind: "TRANSFORM", Mode: "WRITEREAD", Type: "ENCRYPT", Tags: []string{workload.Tag},
		Params: map[string]string{
			"encrypt.kek.name": "kek-" + kms, "encrypt.kms.type": kms, "encrypt.kms.key.id": "bench",
		},
		OnFailure: "ERROR,ERROR",
	}}}
}

// newRival makes a serializer that encrypts by the rules, or not when there are
// none.
func newRival(topic, schema string, rules *schemaregistry.RuleSet) (*rival, error) {
	encryption.Register()
	client, err := schemaregistry.NewClient(schemaregistry.NewConfig("mock://" + topic))
	if err != nil {
		return nil, err
	}
	if _, err := client.Register(topic+"-value", schemaregistry.SchemaInfo{Schema: schema, SchemaType: "AVRO", RuleSet: rules}, false); err != nil {
		return nil, err
	}
	secret := map[string]string{"secret": "a secret of the local KMS"}
	sc := avrov2.NewSerializerConfig()
	sc.AutoRegisterSchemas, sc.UseLatestVersion, sc.RuleConfig = false, true, secret
	ser, err := avrov2.NewSerializer(client, serde.ValueSerde, sc)
	if err != nil {
		return nil, err
	}
	dc := avrov2.NewDeserializerConfig()
	dc.RuleConfig = secret
	deser, err := avrov2.NewDeserializer(client, serde.ValueSerde, dc)
	if err != nil {
		return nil, err
	}
	return &rival{ser, deser, topic}, nil
}

// serialize writes the order n times. The serializer encrypts the fields of the
// struct that it is given, so they are put back each time.
func (r *rival) serialize(o product.Order) func(n int) {
	o.Phone = new(*o.Phone)
	secrets := o.Secrets()
	return func(n int) {
		for range n {
			secrets.Put(&o)
			if _, err := r.ser.Serialize(r.topic, &o); err != nil {
				panic(err)
			}
		}
	}
}

// deserialize reads one protected record n times.
func (r *rival) deserialize(wire []byte) func(n int) {
	return func(n int) {
		for range n {
			var o product.Order
			if err := r.deser.DeserializeInto(r.topic, wire, &o); err != nil {
				panic(err)
			}
		}
	}
}

// wire serializes a copy of the order once.
func (r *rival) wire(o product.Order) ([]byte, error) {
	o.Phone = new(*o.Phone)
	return r.ser.Serialize(r.topic, &o)
}

// check tells whether the wire form hides the values and opens to the order.
func (r *rival) check(o product.Order, values [][]byte) error {
	wire, err := r.wire(o)
	if err != nil {
		return err
	}
	if err := product.Hidden(wire, values); err != nil {
		return err
	}
	var back product.Order
	if err := r.deser.DeserializeInto(r.topic, wire, &back); err != nil {
		return err
	}
	if !product.Same(back, o) {
		return fmt.Errorf("the order comes back as another")
	}
	return nil
}
