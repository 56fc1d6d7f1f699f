package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/sidecar/engine"
	"github.com/fieldveil/fieldveil/tokenize"
)

// keysCmd groups the commands for the keys of a running system.
type keysCmd struct {
	Census keysCensusCmd `cmd:"" help:"Count which data keys and KEKs the records of topics need."`
	List   keysListCmd   `cmd:"" help:"List the wrapped data keys of a key topic."`
	Rewrap keysRewrapCmd `cmd:"" help:"Move wrapped data keys to another KEK."`
	Retire keysRetireCmd `cmd:"" help:"Tell whether a KEK can be disabled, with evidence."`
}

// brokerFlags say how to reach Kafka.
type brokerFlags struct {
	Brokers []string `required:"true" placeholder:"HOST:PORT" help:"Bootstrap servers of the cluster."`
	TLS     bool     `name:"tls" help:"Connect by TLS, with the roots of this machine."`
}

func (f *brokerFlags) opts() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(f.Brokers...), kgo.ClientID("fieldveil")}
	if f.TLS {
		opts = append(opts, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	return opts
}

// keyTopicFlags name a key topic.
type keyTopicFlags struct {
	brokerFlags `embed:""`

	KeyTopic string `placeholder:"NAME" default:"_fieldveil_keys" help:"The key topic. Default ${default}."`
}

func (f *keyTopicFlags) open(ctx context.Context) (*kgocrypt.KeyTopic, error) {
	return kgocrypt.OpenKeyTopic(ctx, f.KeyTopic, f.opts(), kgocrypt.WithoutCreate())
}

// censusFlags say what to count.
type censusFlags struct {
	Policy   string        `required:"true" type:"path" placeholder:"FILE" help:"The policy of the producers. It tells where protected values are."`
	Topic    []string      `required:"true" placeholder:"NAME" help:"A topic to read. Repeat it for every topic with data under the KEK."`
	Registry []string      `placeholder:"URL" help:"Schema registry, for records that are framed with schema ids."`
	State    string        `type:"path" placeholder:"FILE" help:"Where the census stands. One that was interrupted goes on from there."`
	Every    time.Duration `default:"5s" help:"How often the state is written."`
	MaxSpans int           `default:"500000" help:"Data keys, times the partitions in which each is used, that may be remembered. Each takes some 200 bytes of memory."`
}

// engine returns an engine that finds keys and opens nothing.
func (f *censusFlags) engine() (*fieldcrypt.Engine, func(), error) {
	policy, err := fieldcrypt.LoadPolicy(f.Policy)
	if err != nil {
		return nil, nil, err
	}
	opts := []fieldcrypt.Option{
		fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser), fieldcrypt.WithFormat(schema.Protobuf, protobuf.Parser),
	}
	if len(f.Registry) > 0 {
		source, err := registry.New(f.Registry)
		if err != nil {
			return nil, nil, err
		}
		opts = append(opts, fieldcrypt.WithSchemas(source))
	}
	for _, name := range policy.Vaults() {
		opts = append(opts, fieldcrypt.WithVault(name, tokenize.NewVault(nil)))
	}
	keys, err := datakey.New(noKMS{})
	if err != nil {
		return nil, nil, err
	}
	e, err := fieldcrypt.New(policy, keys, opts...)
	if err != nil {
		keys.Close()
		return nil, nil, err
	}
	return e, keys.Close, nil
}

func (f *censusFlags) options(t *terminal) kgocrypt.CensusOptions {
	return kgocrypt.CensusOptions{StateFile: f.State, Every: f.Every, MaxSpans: f.MaxSpans, Progress: t.census()}
}

// interrupted returns a context that ends when the user or the system wants the
// program to, so that what was done so far is kept.
func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

type keysCensusCmd struct {
	brokerFlags `embed:""`
	censusFlags `embed:""`

	JSON bool `help:"Print the census as JSON, with every data key and where it is used."`
	Keys int  `default:"20" help:"How many data keys the report names, those with most records first."`
}

// Help is the second paragraph of the help text.
func (keysCensusCmd) Help() string {
	return "It reads every record of the topics from the start of their logs to the ends that they have now, and opens none: " +
		"it needs the right to read the topics, and to no KEK. Records of transactions that were taken back do not count. " +
		"With --state it can be interrupted at any time, also by force, and goes on where it stood."
}

// Run takes the census.
func (c keysCensusCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	reader, closeKeys, err := c.engine()
	if err != nil {
		return err
	}
	defer closeKeys()
	found, err := kgocrypt.TakeCensus(ctx, c.opts(), reader, c.Topic, c.options(t))
	if err != nil {
		return err
	}
	if c.JSON {
		return indented(t.out, found)
	}
	return found.WriteText(t.out, c.Keys)
}

type keysListCmd struct {
	keyTopicFlags `embed:""`

	Kek  string `name:"kek" placeholder:"URI" help:"List those under this KEK only."`
	JSON bool   `help:"Print one JSON object a line."`
}

// Help is the second paragraph of the help text.
func (keysListCmd) Help() string {
	return "It prints the id, the KEK and the tenant of every key. Nothing of that is secret, and nothing is unwrapped."
}

// Run lists the keys.
func (c keysListCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	catalog, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	line := json.NewEncoder(t.out)
	n := 0
	err = catalog.Each(ctx, func(id datakey.ID, block []byte) error {
		info, err := datakey.DescribeBlock(block)
		if err != nil || c.Kek != "" && info.KEK != c.Kek {
			return err
		}
		n++
		if c.JSON {
			return line.Encode(struct {
				ID     string `json:"id"`
				KEK    string `json:"kek"`
				Tenant string `json:"tenant,omitempty"`
			}{id.String(), info.KEK, info.Tenant})
		}
		_, err = fmt.Fprintf(t.out, "%s  %s  %s\n", id, info.KEK, orDash(info.Tenant))
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "%d keys.\n", n)
	return err
}

type keysRewrapCmd struct {
	Brokers  []string `placeholder:"HOST:PORT" help:"Bootstrap servers of the cluster with the key topic. Without them, only the policy is looked at."`
	TLS      bool     `name:"tls" help:"Connect by TLS, with the roots of this machine."`
	KeyTopic string   `placeholder:"NAME" default:"_fieldveil_keys" help:"The key topic. Default ${default}."`
	Policy   string   `type:"path" placeholder:"FILE" help:"Print the versions of the domain keys of this policy under the new KEK. The file is not changed."`
	From     string   `required:"true" placeholder:"URI" help:"The KEK that the keys are under."`
	To       string   `required:"true" placeholder:"URI" help:"The KEK that they are moved to."`
	Rate     float64  `default:"100" help:"Keys that are begun in a second, to leave the quota of the KMS to producers."`
	Parallel int      `default:"4" help:"Keys at a time."`
	Prove    bool     `help:"Have each new block unwrapped and compared before it takes the place of the old one. The key is in clear in this process meanwhile."`
	DryRun   bool     `help:"Count, and change nothing."`
}

// Help is the second paragraph of the help text.
func (keysRewrapCmd) Help() string {
	return "The key management service wraps each key anew; the keys stay the same and so do the records, whose headers still " +
		"hold the old block. It can be interrupted and run again at any time: keys that were moved are left alone. " +
		"The exit code is 1 as long as a key under the old KEK is left that failed."
}

var errNothingToDo = errors.New("give --brokers for the key topic, --policy for domain keys, or both")

// Run moves the keys.
func (c keysRewrapCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	service, err := engine.Services(false, c.From, c.To)
	if err != nil {
		return err
	}
	var prove kms.Wrapper
	if c.Prove {
		prove = service
	}
	if len(c.Brokers) == 0 && c.Policy == "" {
		return errNothingToDo
	}
	if c.Policy != "" {
		if err := c.policy(ctx, t, service, prove); err != nil {
			return err
		}
	}
	if len(c.Brokers) == 0 {
		return nil
	}
	flags := keyTopicFlags{brokerFlags: brokerFlags{c.Brokers, c.TLS}, KeyTopic: c.KeyTopic}
	catalog, err := flags.open(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	result, err := keyops.Rewrap(ctx, catalog, service, c.From, c.To, keyops.RewrapOptions{
		Rate: c.Rate, Parallel: c.Parallel, Prove: prove, DryRun: c.DryRun, Progress: t.rewrap(),
	})
	return errors.Join(indented(t.out, result), err)
}

// policy prints the versions of domain keys under the new KEK.
func (c keysRewrapCmd) policy(ctx context.Context, t *terminal, service kms.ReEncrypter, prove kms.Wrapper) error {
	policy, err := fieldcrypt.LoadPolicy(c.Policy)
	if err != nil {
		return err
	}
	for _, k := range policy.Keys() {
		for i, block := range k.Versions {
			info, err := datakey.DescribeBlock(block)
			if err != nil {
				return err
			}
			if info.KEK != c.From || c.DryRun {
				continue
			}
			next, err := keyops.RewrapBlock(ctx, block, service, c.From, c.To, prove)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(t.out, "domain_keys.%s.versions[%d]: %s\n", k.Name, i, base64.StdEncoding.EncodeToString(next)); err != nil {
				return err
			}
		}
	}
	return nil
}

type keysRetireCmd struct {
	keyTopicFlags `embed:""`
	censusFlags   `embed:""`

	URI        string        `arg:"" name:"kek" help:"The URI of the KEK, as policies spelled it."`
	NoCatalog  bool          `help:"There is no key topic: records open by their headers alone."`
	Prove      bool          `default:"true" negatable:"" help:"Have every block unwrapped that takes the place of one under the KEK."`
	RemoveKeys bool          `help:"Take keys under the KEK out of the key topic that no record names, once their grace time is over. Needs --state, and every topic there is."`
	Grace      time.Duration `default:"48h" help:"How long keys without records are kept, from the first run that saw them. At least 24h."`
}

// Help is the second paragraph of the help text.
func (keysRetireCmd) Help() string {
	return "It brings the census of the topics up to date and refuses while a record, a key of the key topic or the policy needs " +
		"the KEK, or while a record could not be read. Otherwise it prints a dated evidence with a hash, as JSON, to be kept. " +
		"It does not touch the KEK. The exit code is 0 when the KEK can be disabled, 3 when it is needed, and 1 when that " +
		"could not be found out."
}

var errNoState = errors.New("--remove-keys needs --state, which remembers since when keys have had no record")

// Run asks.
func (c keysRetireCmd) Run(t *terminal) error {
	if c.RemoveKeys && c.State == "" {
		return errNoState
	}
	ctx, stop := interrupted()
	defer stop()
	reader, closeKeys, err := c.engine()
	if err != nil {
		return err
	}
	defer closeKeys()
	in := keyops.Retirement{KEK: c.URI, RemoveKeys: c.RemoveKeys, Grace: c.Grace}
	if c.Prove {
		service, err := engine.Services(false, append(engine.PolicyKEKs(reader.Policy()), c.URI)...)
		if err != nil {
			return err
		}
		in.Prove = service
	}
	if !c.NoCatalog {
		catalog, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer catalog.Close()
		in.Catalog = catalog
	}
	evidence, err := kgocrypt.Retire(ctx, c.opts(), reader, c.Topic, c.options(t), in)
	if err != nil {
		return err
	}
	return indented(t.out, evidence)
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
