package config

import (
	"slices"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// Version is the version of the file that this release reads.
const Version = 1

// A Config is one configuration, as [Format.Load] returns it: checked, with the
// policy that it names. It is not changed after that, and is safe for concurrent
// use.
type Config struct {
	Version    int              `doc:"The version of this file."                                                             yaml:"version"`
	Policy     Policy           `doc:"What protects which field."                                                            yaml:"policy"`
	Keys       Keys             `doc:"Where data keys come from, and where they are kept."                                   yaml:"keys"`
	Persons    Persons          `doc:"Keys of persons, for policies with mode: person."                                      yaml:"persons"`
	Vaults     map[string]Vault `doc:"The stores of the token vaults, by the names that the policy gives them."              yaml:"vaults"`
	Schemas    Schemas          `doc:"Where schemas come from."                                                              yaml:"schemas"`
	Detokenize Detokenize       `doc:"Who reveals gets the values of vaulted tokens, so many." yaml:"detokenize"`
	Listen     Listen           `doc:"Where records come in. A change needs a restart."                                      yaml:"listen"`
	Admin      Admin            `doc:"Where probes, metrics and commands come in. A change needs a restart."                 yaml:"admin"`
	Limits     Limits           `doc:"How much there may be at a time. What a connection may do needs a restart to change."  yaml:"limits"`
	Reload     Reload           `doc:"When this file, the policy and files of schemas are read again."                       yaml:"reload"`
	Shutdown   Shutdown         `doc:"How the sidecar ends."                                                                 yaml:"shutdown"`

	parts  map[string]Section
	file   string
	policy *fieldcrypt.Policy
	digest [32]byte
	warned []fieldcrypt.Finding
}

// Policy names the policy.
type Policy struct {
	Path           string `doc:"The policy, relative to this file."                                                                         yaml:"path"`
	Recheck        int    `doc:"Reveal every n-th record again before it is sent, and refuse it when something is not sealed. 0 is never." yaml:"recheck"`
	FIPS           bool   `doc:"Run with approved algorithms only, whatever the policy says."                                               yaml:"fips"`
	AllowWeakening bool   `doc:"Let a reload protect less than before. What counts is what the running process was started with." yaml:"allow_weakening"`
}

// Keys are the settings of data keys beside those of the policy.
type Keys struct {
	Store            KeyStore      `doc:"Where wrapped data keys are durable before their first use."                          yaml:"store"`
	Persist          string        `doc:"A directory of this process alone for the keys of the policy with persist: true."     yaml:"persist"`
	WarmTimeout      time.Duration `doc:"How long a start, and a reload, waits for the first data keys."                       yaml:"warm_timeout"`
	WarmTenants      []string      `doc:"Tenants whose keys are fetched before the sidecar is ready, and kept." yaml:"warm_tenants"`
	MaxScopes        int           `doc:"Keys that are held to seal with: names of keys times tenants." yaml:"max_scopes"`
	MaxOpeners       int           `doc:"Keys that are held to open with." yaml:"max_openers"`
	CleartextKeysets bool          `doc:"Let KEKs stand in Tink keysets that are not wrapped. For development." yaml:"cleartext_keysets"`
	CallTimeout      time.Duration `doc:"How long one call to a KMS may take."                                                 yaml:"call_timeout"`
}

// A KeyStore is where wrapped keys are kept.
type KeyStore struct {
	Kind        string        `doc:"none, kafka (a compacted topic), bolt (one file) or postgres." yaml:"kind"`
	Topic       string        `doc:"The topic, for kafka."                                         yaml:"topic"`
	Create      bool          `doc:"Make the topic where it is missing, for kafka." yaml:"create"`
	Replication int           `doc:"Copies of a topic that is made; 0 is what the cluster does by itself." yaml:"replication"`
	Path        string        `doc:"The file, for bolt."                                           yaml:"path"`
	URL         secret.Secret `doc:"The URL of PostgreSQL, for postgres."                          yaml:"url"`
}

// Persons says where keys of persons and the ledger of the forgotten are.
type Persons struct {
	Store  KeyStore `doc:"Where the keys of persons are: bolt or postgres."       yaml:"store"`
	Ledger Ledger   `doc:"Where it is written who was forgotten. It never shrinks." yaml:"ledger"`
}

// A Ledger is where it is written who was forgotten.
type Ledger struct {
	Kind string        `doc:"none, file or postgres."                  yaml:"kind"`
	Path string        `doc:"The file, for file."                      yaml:"path"`
	URL  secret.Secret `doc:"The URL of PostgreSQL, for postgres."     yaml:"url"`
}

// A Vault is the store of one token vault.
type Vault struct {
	Kind  string        `doc:"bolt, postgres, redis or dynamo."               yaml:"kind"`
	Path  string        `doc:"The file, for bolt."                            yaml:"path"`
	URL   secret.Secret `doc:"The URL, for postgres and redis."               yaml:"url"`
	Table string        `doc:"The table, for postgres and dynamo."            yaml:"table"`
}

// Schemas says where schemas come from, and what is done about those of protected
// records.
type Schemas struct {
	Registry        Registry               `doc:"A Confluent-compatible registry."                                                  yaml:"registry"`
	Topics          map[string]TopicSchema `doc:"Schemas of topics whose records name none."                                        yaml:"topics"`
	RegisterDerived bool                   `doc:"Register the schemas of protected records where they differ from their sources."  yaml:"register_derived"`
	Snapshot        string                 `doc:"A directory that keeps schemas for a start while the registry is away."            yaml:"snapshot"`
	Tags            string                 `doc:"A file with tags for schemas that cannot be changed." yaml:"tags"`
	MemoryKEKs      []string               `doc:"The KEKs under which the key of the memory may stand." yaml:"memory_keks"`
	Memory          string                 `doc:"A signed file that remembers what was tagged, so that no tag gets lost unseen."    yaml:"memory"`
}

// A Registry is a schema registry.
type Registry struct {
	URLs     []string      `doc:"Tried in this order. None: there is no registry."        yaml:"urls"`
	User     string        `doc:"The user of basic authentication."                       yaml:"user"`
	Password secret.Secret `doc:"The password of basic authentication."                   yaml:"password"`
	Token    secret.Secret `doc:"A bearer token, in place of user and password."          yaml:"token"`
	CA       string        `doc:"Certificates of authorities, in PEM. Empty: those of the system." yaml:"ca"`
	Cert     string        `doc:"The certificate that this client shows, in PEM."         yaml:"cert"`
	Key      string        `doc:"Its key, in PEM."                                        yaml:"key"`
	Timeout  time.Duration `doc:"How long one call may take."                             yaml:"timeout"`
	Insecure bool          `doc:"Send credentials over plain http."                       yaml:"insecure"`
}

// Detokenize bounds who gets the values of vaulted tokens.
type Detokenize struct {
	BulkAbove int           `doc:"Tokens of one record above which nobody gets their values." yaml:"bulk_above"`
	Values    int           `doc:"Values that one caller gets in the time per."               yaml:"values"`
	Per       time.Duration `doc:"That time."                                                 yaml:"per"`
}

// A TopicSchema is a schema in a file.
type TopicSchema struct {
	Format     string   `doc:"avro, json or protobuf."                     yaml:"format"`
	Path       string   `doc:"The file, relative to this one."             yaml:"path"`
	References []string `doc:"Files that it refers to, in their order."    yaml:"references"`
}

// Listen lists the listeners for records. An empty address opens none.
type Listen struct {
	REST string `doc:"HTTP, as Kafka REST proxies speak it." yaml:"rest"`
	GRPC string `doc:"gRPC, gRPC-Web and Connect."           yaml:"grpc"`
	Unix string `doc:"HTTP on a Unix socket: a path."        yaml:"unix"`
}

// Admin is the listener for operators.
type Admin struct {
	Addr         string   `doc:"Probes come from outside of a pod: :9191 there. POST is answered on loopback only." yaml:"addr"`
	AllowedHosts []string `doc:"Names under which it may be asked, beside loopback and its own address. * stands for any text." yaml:"allowed_hosts"`
	PProf        bool     `doc:"Serve /debug/pprof, which shows parts of memory."                                yaml:"pprof"`
}

// Limits bounds what is in flight, and what a connection may do. Sizes are in
// bytes.
type Limits struct {
	InFlightBytes      int           `doc:"Bytes of records that wait for their acknowledgement."                      yaml:"in_flight_bytes"`
	InFlightRecords    int           `doc:"The same in records."                                                     yaml:"in_flight_records"`
	Streams            int           `doc:"Streams that are open."                                                   yaml:"streams"`
	Connections        int           `doc:"Open connections of one listener; more wait to be accepted."              yaml:"connections"`
	ConnectionsPerPeer int           `doc:"Open connections of one address that is not loopback; more are closed."   yaml:"connections_per_peer"`
	HeaderBytes        int           `doc:"The header of a request."                                                 yaml:"header_bytes"`
	HeaderTimeout      time.Duration `doc:"How long the header of a request may take."                               yaml:"header_timeout"`
	IdleTimeout        time.Duration `doc:"How long a connection may do nothing."                                    yaml:"idle_timeout"`
	HTTP2Streams       int           `doc:"Requests at a time on one connection of HTTP/2."                          yaml:"http2_streams"`
	Memory             int           `doc:"Percent of the memory of the cgroup for GOMEMLIMIT; 0 leaves it alone."   yaml:"memory_percent"`
}

// Reload says when files are read again. SIGHUP and POST /reload do so always.
type Reload struct {
	Watch    bool          `doc:"Watch their directories."                                          yaml:"watch"`
	Debounce time.Duration `doc:"How long it must be quiet after a change."                         yaml:"debounce"`
	Grace    time.Duration `doc:"How long requests under the old configuration keep it, at most."   yaml:"grace"`
}

// Shutdown says how the sidecar ends.
type Shutdown struct {
	DrainDelay time.Duration `doc:"How long to go on serving after saying that it ends, for callers to notice." yaml:"drain_delay"`
	Timeout    time.Duration `doc:"How long all the rest may take."                                             yaml:"timeout"`
}

// A Section is what a [Part] is read into: a pointer to a struct with yaml tags.
// Validate returns all that is wrong with it, joined, each as "key.of.it: text",
// and never a value of it.
type Section interface{ Validate() error }

// A Part is a section of the file that another package owns.
type Part struct {
	// Key is where it stands at the top of the file, such as "kafka".
	Key string
	// Doc is one line for who reads the defaults.
	Doc string
	// Default returns a new section with its defaults.
	Default func() Section
	// Weakens tells in what the section next protects less than prev; paths begin
	// below the key. Nil leaves it to what this package knows of names of keys.
	Weakens func(prev, next Section) []fieldcrypt.Finding
	// Restart tells that a change needs a restart.
	Restart bool
}

// A Format is the file with all of its parts. It is immutable.
type Format struct{ parts []Part }

// New returns the format with parts, in the order in which they are printed.
func New(parts ...Part) *Format { return &Format{parts: slices.Clone(parts)} }

// Defaults returns the configuration of a file that says nothing.
func (f *Format) Defaults() *Config {
	c := &Config{
		Version:    Version,
		Policy:     Policy{Path: "policy.yaml"},
		Keys:       Keys{Store: KeyStore{Kind: KindNone}, WarmTimeout: 30 * time.Second, CallTimeout: 10 * time.Second, MaxScopes: 10_000, MaxOpeners: 10_000},
		Detokenize: Detokenize{BulkAbove: 100, Values: 10_000, Per: time.Hour},
		Persons:    Persons{Store: KeyStore{Kind: KindNone}, Ledger: Ledger{Kind: KindNone}},
		Schemas:    Schemas{Registry: Registry{Timeout: 10 * time.Second}},
		Listen:     Listen{REST: "127.0.0.1:8082", GRPC: "127.0.0.1:9095"},
		Admin:      Admin{Addr: "127.0.0.1:9191"},
		Limits: Limits{
			InFlightBytes: 64 << 20, InFlightRecords: 50_000, Streams: 1_000,
			Connections: 4096, ConnectionsPerPeer: 512, HeaderBytes: 64 << 10,
			HeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, HTTP2Streams: 250, Memory: 90,
		},
		Reload:   Reload{Watch: true, Debounce: 500 * time.Millisecond, Grace: time.Minute},
		Shutdown: Shutdown{DrainDelay: 3 * time.Second, Timeout: 25 * time.Second},
		parts:    map[string]Section{},
	}
	for _, p := range f.parts {
		c.parts[p.Key] = p.Default()
	}
	return c
}

// Part returns the section of the part with the key, as its Default made it, or
// nil.
func (c *Config) Part(key string) Section { return c.parts[key] }

// LoadedPolicy returns the policy that was read and checked together with the
// file, nil after [Format.Parse].
func (c *Config) LoadedPolicy() *fieldcrypt.Policy { return c.policy }

// File returns the path that the configuration was read from.
func (c *Config) File() string { return c.file }

// Digest tells this configuration, with its policy and what the environment said,
// from others.
func (c *Config) Digest() [32]byte { return c.digest }

// Warnings returns what is right only for a reason that somebody should know.
func (c *Config) Warnings() []fieldcrypt.Finding { return slices.Clone(c.warned) }
