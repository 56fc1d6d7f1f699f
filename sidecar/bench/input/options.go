package input

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// Options say what to measure. They are flags of fieldveil bench and fieldveil
// tune; the zero Options are the first built-in workload.
type Options struct {
	Workload string `placeholder:"NAME" help:"A built-in workload: order-avro, order-avro-one, order-json, order-protobuf, order-avro-10k, customer-avro, customer-json, customer-protobuf, customer-avro-10k, customer-json-10k, customer-protobuf-10k, payments, clickstream or patient. Without it and without --policy it is the first."`

	Policy   string   `type:"path" placeholder:"FILE" help:"Your policy. It takes --topic, and a schema or JSON by paths."`
	Topic    string   `placeholder:"NAME" help:"The topic that the policy sees."`
	Schema   string   `type:"path" placeholder:"FILE" help:"Your schema: .avsc is Avro, .proto is Protobuf, .json is JSON Schema."`
	Format   string   `enum:"auto,avro,json,protobuf" default:"auto" help:"Format of --schema where the name of the file does not tell: avro, json (JSON Schema) or protobuf."`
	Ref      []string `placeholder:"NAME=FILE" sep:"none" help:"A schema that --schema refers to. Repeat it in the order of dependence."`
	Registry []string `placeholder:"URL" help:"Schema registry to take the schema from, instead of --schema."`
	Subject  string   `placeholder:"NAME" help:"Subject whose latest version to take from --registry. Default is that of the values of the topic."`

	RegistryUser     string `placeholder:"NAME" help:"User for --registry."`
	RegistryPassword string `type:"path" placeholder:"FILE" help:"File with the password for --registry."`

	Records string            `placeholder:"FILE|topic" help:"Your records: JSON lines, an Avro object container (.avro), or the word topic, for the newest records of --topic; topic:NAME for those of another one. Without it, records are made up from the schema."`
	Header  map[string]string `placeholder:"NAME=TEXT" help:"A header that every record gets, such as the one that names the tenant."`
	Seed    uint64            `placeholder:"N" help:"Seed of what is made up. The same seed gives the same records."`
	Count   int               `placeholder:"N" help:"How many records to make up or to read, at most. Default is 256 of a built-in workload, else 1000."`
	Items   int               `placeholder:"N" help:"Most items of arrays and maps that are made up from your schema. Default is 4."`

	Brokers       []string          `placeholder:"HOST:PORT" help:"Brokers of --records topic, and of what is measured against a cluster."`
	KafkaProperty map[string]string `placeholder:"NAME=VALUE" mapsep:"none" help:"A property of the Kafka client, by the name that librdkafka and the Java clients know."`
	KafkaSecret   map[string]string `placeholder:"NAME=FILE" mapsep:"none" help:"A property whose value is secret, such as sasl.password, in a file."`
	Insecure      bool              `help:"Allow brokers and registries that are not verified, or a password over a connection that is not encrypted."`
}

// Validate returns all that makes no sense together, each with its flag.
func (o *Options) Validate() error {
	var all []error
	failf := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	own := o.Policy != ""
	if o.Workload != "" && own {
		failf("--workload: has a policy of its own; leave out --policy")
	}
	if o.Workload != "" && !slices.Contains(Names(), o.Workload) {
		failf("--workload: there is none of that name; there are %s", strings.Join(Names(), ", "))
	}
	if !own {
		for _, f := range []struct {
			flag string
			set  bool
		}{
			{"topic", o.Topic != ""},
			{"schema", o.Schema != ""},
			{"registry", len(o.Registry) > 0},
			{"records", o.Records != ""},
			{"header", len(o.Header) > 0},
		} {
			if f.set {
				failf("--%s: is for your own records, which need --policy", f.flag)
			}
		}
	}
	if own && o.Topic == "" {
		failf("--topic: is needed, as rules may differ from topic to topic")
	}
	if o.Schema != "" && len(o.Registry) > 0 {
		failf("--schema: give either that or --registry")
	}
	if len(o.Registry) == 0 && (o.Subject != "" || o.RegistryUser != "" || o.RegistryPassword != "") {
		failf("--subject, --registry-user and --registry-password: need --registry")
	}
	if (o.RegistryUser == "") != (o.RegistryPassword == "") {
		failf("--registry-user: goes with --registry-password")
	}
	if o.Schema == "" && len(o.Ref) > 0 {
		failf("--ref: needs --schema")
	}
	if _, topic := o.topic(); topic && len(o.Brokers) == 0 {
		failf("--records: a topic needs --brokers")
	}
	if o.Count < 0 || o.Count > MaxRecords {
		failf("--count: between 1 and %d", MaxRecords)
	}
	if o.Items < 0 || o.Items > 1000 {
		failf("--items: between 1 and 1000")
	}
	return errors.Join(all...)
}

// topic returns the topic that records are to be read from, and false where they
// are not.
func (o *Options) topic() (string, bool) {
	if o.Records == "topic" {
		return o.Topic, true
	}
	return strings.CutPrefix(o.Records, "topic:")
}

// Kafka returns the configuration of clients of the cluster. Without brokers it is
// not valid.
func (o *Options) Kafka() kafka.Config {
	c := kafka.Config{Properties: maps.Clone(o.KafkaProperty), Secrets: make(map[string]secret.Secret), Insecure: o.Insecure}
	if c.Properties == nil {
		c.Properties = make(map[string]string)
	}
	if len(o.Brokers) > 0 {
		c.Properties["bootstrap.servers"] = strings.Join(o.Brokers, ",")
	}
	for name, file := range o.KafkaSecret {
		c.Secrets[name] = secret.File(file)
	}
	return c
}

// client returns a client of the registry.
func (o *Options) client() (*registry.Client, error) {
	var opts []registry.Option
	if o.RegistryUser != "" {
		password, err := secret.File(o.RegistryPassword).Read()
		if err != nil {
			return nil, fmt.Errorf("--registry-password: %w", err)
		}
		opts = append(opts, registry.WithBasicAuth(o.RegistryUser, string(password)))
	}
	if o.Insecure {
		opts = append(opts, registry.WithInsecureCredentials())
	}
	c, err := registry.New(o.Registry, opts...)
	if err != nil {
		return nil, fmt.Errorf("--registry: %w", err)
	}
	return c, nil
}

// headers returns the headers that every record gets, in the order of their names.
func (o *Options) headers() []fieldcrypt.Header {
	var out []fieldcrypt.Header
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		out = append(out, fieldcrypt.Header{Key: name, Value: []byte(o.Header[name])})
	}
	return out
}

// count returns how many records are wanted.
func (o *Options) count() int {
	if o.Count == 0 {
		return DefaultRecords
	}
	return o.Count
}

func (o *Options) seed() uint64 {
	if o.Seed == 0 {
		return DefaultSeed
	}
	return o.Seed
}
