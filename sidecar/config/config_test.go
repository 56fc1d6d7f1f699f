package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// fakePart stands for a section of another package.
type fakePart struct {
	To         string            `doc:"Where to." yaml:"to"`
	Rate       float64           `yaml:"rate"`
	Wait       time.Duration     `yaml:"wait"`
	Properties map[string]string `yaml:"properties"`
	Password   secret.Secret     `yaml:"password"`
	Rules      []fakeRule        `yaml:"rules"`
	TLS        *fakeTLS          `yaml:"tls"`
	Limit      uint16            `yaml:"limit"`
	Insecure   bool              `yaml:"insecure"`
	Seal       fakeSeal          `yaml:"seal"`
}

type fakeRule struct {
	Who  []string `yaml:"who"`
	Deny bool     `yaml:"deny"`
}

type fakeTLS struct {
	Cert       string `yaml:"cert"`
	MinVersion string `yaml:"min_version"`
	ClientAuth string `yaml:"client_auth"`
}

type fakeSeal struct {
	HMAC secret.Secret `yaml:"hmac"`
}

func (p *fakePart) Validate() error {
	var errs []error
	if p.To == "nowhere" {
		errs = append(errs, errors.New("to: there is no such place"))
	}
	if p.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate: must not be negative"))
	}
	return errors.Join(errs...)
}

func testFormat() *Format {
	return New(
		Part{Key: "audit", Doc: "Who did what.", Default: func() Section { return &fakePart{Rate: 1, Wait: time.Second} }},
		Part{Key: "kafka", Default: func() Section { return &fakePart{} }, Restart: true},
	)
}

func parse(t testing.TB, text string, env ...string) (*Config, error) {
	t.Helper()
	return testFormat().Parse("f.yaml", []byte(text), env)
}

func TestWhatIsPrintedAsDefaultsReadsBackAsTheDefaults(t *testing.T) {
	f := testFormat()
	var out bytes.Buffer
	if err := f.PrintDefaults(&out); err != nil {
		t.Fatal(err)
	}
	c, err := f.Parse("f.yaml", out.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var back, want bytes.Buffer
	if err := errors.Join(f.Print(&back, c), f.Print(&want, f.Defaults())); err != nil {
		t.Fatal(err)
	}
	if back.String() != want.String() || !reflect.DeepEqual(c.Limits, f.Defaults().Limits) || !reflect.DeepEqual(c.Shutdown, f.Defaults().Shutdown) {
		t.Errorf("read back:\n%s\nwant:\n%s", back.String(), want.String())
	}
	golden(t, "defaults.yaml", out.Bytes())
}

func TestTheSchemaOfTheFileIsKept(t *testing.T) {
	var out bytes.Buffer
	if err := New().Schema(&out); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out.Bytes()) {
		t.Fatal("not JSON")
	}
	golden(t, "schema.json", out.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is written now; -update writes it anew:\n%s", path, got)
	}
}

// canary stands wherever a value stands that is refused.
const canary = "s3cr3t-c4n4ry"

func TestWhatIsWrongIsNamedWithItsPlaceAndNotShown(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "f.yaml: empty"},
		{"no version", "admin: {}", "version: missing"},
		{"another version", "version: 2\nnew: 1", "f.yaml:1: version: this release"},
		{"a list", "- 1", "expected a mapping"},
		{"two documents", "version: 1\n---\nversion: 1", "a second document"},
		{"no YAML", "version: 1\nadmin: {addr: " + canary, "not YAML"},
		{"an unknown key at the top", "version: 1\nlisen: {}", `f.yaml:2: unknown key "lisen" (known: version, policy`},
		{"an unknown key below", "version: 1\nadmin:\n  adr: x", `f.yaml:3: admin: unknown key "adr" (known: addr, allowed_hosts, pprof)`},
		{"an unknown key in a list of a part", "version: 1\naudit:\n  rules:\n    - {whom: [a]}", `f.yaml:4: audit.rules[0]: unknown key "whom"`},
		{"a value that lost its key is not shown", "version: 1\nadmin:\n  scanary:\n", "f.yaml:3: admin: unknown key (known"},
		{"a key that looks like a value is not shown", "version: 1\nadmin:\n  " + canary + ": 1\n", "f.yaml:3: admin: unknown key (known"},
		{"a key twice", "version: 1\nadmin: {addr: ':1', addr: ':2'}", "f.yaml:2: admin.addr: given before, on line 2"},
		{"a section twice", "version: 1\nadmin: {}\nadmin: {}", "f.yaml:3: admin: given before, on line 2"},
		{"a section that is text", "version: 1\nadmin: " + canary, "f.yaml:2: admin: expected a section, found one value"},
		{"text that is a list", "version: 1\nadmin: {addr: [" + canary + "]}", "admin.addr: expected text, found a list"},
		{"text that is a number", "version: 1\nadmin: {addr: 9191}", "admin.addr: expected text; put it in quotes"},
		{"a number that is text", "version: 1\nlimits: {streams: " + canary + "}", "limits.streams: expected a whole number in decimal digits"},
		{"a number in quotes", "version: 1\nlimits: {streams: '5'}", "limits.streams: expected a whole number"},
		{"an octal number", "version: 1\nlimits: {streams: 010}", "limits.streams: expected a whole number"},
		{"a number that is too large", "version: 1\nkafka: {limit: 70000}", "kafka.limit: expected a whole number"},
		{"a switch of YAML 1.1", "version: 1\nadmin: {pprof: yes}", "admin.pprof: expected true or false"},
		{"a duration without a unit", "version: 1\nreload: {debounce: 5}", "reload.debounce: expected a duration with a unit"},
		{"a list that is text", "version: 1\nschemas: {registry: {urls: " + canary + "}}", "schemas.registry.urls: expected a list"},
		{"a mapping that is a list", "version: 1\nvaults: [" + canary + "]", "vaults: expected a mapping, found a list"},
		{"a secret that is text", "version: 1\nschemas: {registry: {password: " + canary + "}}", "schemas.registry.password: a secret is written {env: NAME}"},
		{"a secret of another form", "version: 1\nschemas: {registry: {token: {vault: " + canary + "}}}", "schemas.registry.token: a secret is written"},
		{"an anchor", "version: 1\nadmin: &x {addr: ':1'}", "anchors are not allowed"},
		{"an alias", "version: 1\nadmin: *x", "not YAML"},
		{"a merge", "version: 1\nadmin: {<<: {addr: ':1'}}", "merge keys are not allowed"},
		{"a type tag", "version: 1\nadmin: {addr: !!binary aGk=}", "type tags are not allowed"},
		{"no kind that there is", "version: 1\nkeys: {store: {kind: " + canary + "}}", "keys.store.kind: expected one of none, kafka, bolt, postgres"},
		{"a store without its path", "version: 1\nkeys: {store: {kind: bolt}}", "keys.store.path: missing: kind: bolt needs it"},
		{"a store with a path too many", "version: 1\nkeys: {store: {path: " + canary + "}}", "keys.store.path: does not go with kind: none"},
		{"persons without a ledger", "version: 1\npersons: {store: {kind: bolt, path: p}}", "persons: store and ledger go together"},
		{"a vault without a kind", "version: 1\nvaults: {cards: {path: x}}", "vaults.cards.kind: expected one of"},
		{"credentials in a URL", "version: 1\nschemas: {registry: {urls: ['https://u:" + canary + "@h']}}", "schemas.registry.urls[0]: credentials have keys of their own"},
		{"a URL of another scheme", "version: 1\nschemas: {registry: {urls: ['ftp://" + canary + "']}}", "schemas.registry.urls[0]: expected http"},
		{"credentials over http", "version: 1\nschemas: {registry: {urls: ['http://h'], token: {env: T}}}", "schemas.registry.urls[0]: would send credentials"},
		{"a user without a password", "version: 1\nschemas: {registry: {user: u}}", "schemas.registry.password: goes with user"},
		{"an address without a port", "version: 1\nlisten: {rest: localhost}", "listen.rest: expected a host"},
		{"a port that is a name", "version: 1\nadmin: {addr: ':http'}", "admin.addr: expected a host"},
		{"one address for two", "version: 1\nlisten: {rest: '127.0.0.1:1', grpc: '127.0.0.1:1'}", "listen.grpc: the same as listen.rest"},
		{"no listener", "version: 1\nlisten: {rest: '', grpc: ''}", "listen: no listener"},
		{"a limit that is too small", "version: 1\nlimits: {in_flight_bytes: 5}", "limits.in_flight_bytes: must be from"},
		{"a time that is too long", "version: 1\nshutdown:\n  timeout: 48h", "f.yaml:3: shutdown.timeout: must be from 1s to 1h0m0s"},
		{"a fault that a part finds", "version: 1\naudit:\n  to: nowhere\n  rate: -1", "f.yaml:3: audit.to: there is no such place\nf.yaml:4: audit.rate: must not be negative"},
		{"two faults at once", "version: 1\nadmin: {x: 1}\nlisten: {y: 2}", "f.yaml:3: listen: unknown key"},
		{"a schema without a format", "version: 1\nschemas: {topics: {orders: {path: x}}}", "schemas.topics.orders.format: expected one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text)
			invalid, ok := errors.AsType[*InvalidError](err)
			if !ok || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "scanary") {
				t.Errorf("a value is shown: %v", err)
			}
			for _, f := range invalid.Findings {
				if f.Code == "" || f.Text == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestAFileThatSaysSomethingIsRead(t *testing.T) {
	c, err := parse(t, `version: 1
listen: {rest: "[::1]:8080", grpc: ""}
vaults: {cards: {kind: postgres, url: {env: CARDS}, table: cards}}
schemas: {registry: {urls: ["https://r"], user: u, password: {file: /run/p}}, topics: {orders: {format: avro, path: o.avsc, references: [a.avsc]}}}
kafka: {properties: {linger.ms: 5, enable.idempotence: true}, tls: {cert: c}, limit: 7}
audit:
reload: {debounce: 1s}
`)
	if err != nil {
		t.Fatal(err)
	}
	kafka, ok := c.Part("kafka").(*fakePart)
	if !ok || kafka.Properties["linger.ms"] != "5" || kafka.Properties["enable.idempotence"] != "true" || kafka.TLS.Cert != "c" || kafka.Limit != 7 {
		t.Errorf("%+v", kafka)
	}
	if c.Listen.REST != "[::1]:8080" || c.Listen.GRPC != "" || c.Reload.Debounce != time.Second || c.Vaults["cards"].Table != "cards" {
		t.Errorf("%+v", c)
	}
	if got := c.Files(); !slices.Equal(got, []string{"a.avsc", "f.yaml", "o.avsc", "policy.yaml"}) {
		t.Error(got)
	}
	if got := c.Secrets(); len(got) != 2 || got["schemas.registry.password"].Path() != "/run/p" {
		t.Error(got)
	}
}

func TestTheEnvironmentStandsAboveTheFile(t *testing.T) {
	c, err := parse(t, "version: 1\nadmin: {addr: ':1'}\naudit: {password: {env: FIELDVEIL_AUDIT_SECRET}}",
		"FIELDVEIL_ADMIN_ADDR=127.0.0.1:2", "FIELDVEIL_SHUTDOWN_DRAIN_DELAY=9s", "FIELDVEIL_LIMITS_STREAMS=12", "FIELDVEIL_KAFKA_TO=x",
		"FIELDVEIL_AUDIT_SECRET="+canary, "FIELDVEIL_ADMIN_ADRR=y", "PATH=/bin",
		"FIELDVEIL_SERVICE_HOST=10.0.0.1", "FIELDVEIL_PORT=tcp://10.0.0.1:80", "FIELDVEIL_PORT_80_TCP_ADDR=10.0.0.1", "FIELDVEIL_REST_SERVICE_PORT_HTTP=1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Admin.Addr != "127.0.0.1:2" || c.Shutdown.DrainDelay != 9*time.Second || c.Limits.Streams != 12 {
		t.Errorf("%+v", c)
	}
	var warned []string
	for _, w := range c.Warnings() {
		warned = append(warned, w.Path)
	}
	if !slices.Equal(warned, []string{"FIELDVEIL_ADMIN_ADRR"}) {
		t.Error(warned)
	}
	_, err = parse(t, "version: 1", "FIELDVEIL_LIMITS_STREAMS="+canary)
	if err == nil || !strings.Contains(err.Error(), "limits.streams: FIELDVEIL_LIMITS_STREAMS: expected a whole number") || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
}

func TestNoTwoKeysHaveOneVariable(t *testing.T) {
	f, seen := testFormat(), map[string]string{}
	walk(f.top(f.Defaults()), "", func(path string, _ field) {
		if other := seen[EnvName(path)]; other != "" {
			t.Errorf("%s and %s", path, other)
		}
		seen[EnvName(path)] = path
	})
	if len(seen) < 80 {
		t.Errorf("only %d keys", len(seen))
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	c, err := parse(t, "version: 1\nkafka: {password: {value: "+canary+"}}\nvaults: {v: {kind: redis, url: {value: "+canary+"}}}\nschemas: {registry: {token: {value: "+canary+"}}}")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := testFormat().Print(&out, c); err != nil {
		t.Fatal(err)
	}
	if text := out.String() + fmt.Sprintf("%+v", c); strings.Contains(text, canary) || !strings.Contains(out.String(), "redacted") {
		t.Error(text)
	}
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const somePolicy = "version: 1\nrules: [{tag: PII, action: drop}]\n"

func TestAFileIsReadTogetherWithItsPolicy(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "f.yaml", "version: 1\npolicy:\n  path: p.yaml\n")
	if _, err := testFormat().LoadWith(path, nil); err == nil || !strings.Contains(err.Error(), ":3: policy.path: open ") {
		t.Errorf("without a policy: %v", err)
	}
	write(t, dir, "p.yaml", "version: 1\nrules: [{tag: PII, action: constant, valu: "+canary+"}]\n")
	if _, err := testFormat().LoadWith(path, nil); err == nil || !strings.Contains(err.Error(), "p.yaml:2:") || strings.Contains(err.Error(), canary) {
		t.Errorf("with a bad policy: %v", err)
	}
	write(t, dir, "p.yaml", somePolicy)
	c, err := testFormat().LoadWith(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.LoadedPolicy() == nil || c.File() != path {
		t.Error(c.LoadedPolicy(), c.File())
	}
	if warned, err := testFormat().LoadWith(path, Environment{"FIELDVEIL_ADMIN_PPROF=true"}); err != nil || len(warned.Warnings()) != 1 || warned.LoadedPolicy() == nil {
		t.Errorf("a warning keeps the policy from being read: %v", err)
	}
	write(t, dir, "p.yaml", somePolicy+"# reviewed\n")
	again, err := testFormat().LoadWith(path, nil)
	if err != nil || again.Digest() == c.Digest() {
		t.Errorf("the digest does not tell policies apart: %v", err)
	}
	write(t, dir, "p.yaml", "version: 1\nvaults: {cards: {key: k}}\nrules: [{tag: PII, action: drop}]\n")
	if _, err := testFormat().LoadWith(path, nil); err == nil {
		t.Error("a vault without a key passed")
	}
	if _, err := testFormat().Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestWhatOnlyARestartChanges(t *testing.T) {
	a, err := parse(t, "version: 1\nkafka: {to: a}")
	if err != nil {
		t.Fatal(err)
	}
	b, err := parse(t, "version: 1\nkafka: {to: b}\naudit: {to: b}\nadmin: {addr: ':1'}\nlimits: {streams: 3, connections: 3}")
	if err != nil {
		t.Fatal(err)
	}
	if got := testFormat().NeedsRestart(a, b); !slices.Equal(got, []string{"limits.streams", "admin", "limits.connections", "kafka"}) {
		t.Error(got)
	}
	if got := testFormat().NeedsRestart(a, a); len(got) > 0 {
		t.Error(got)
	}
	if ChangeDigest(a, b) == ChangeDigest(b, a) || len(ChangeDigest(a, b)) != 32 {
		t.Error("the digest of a change does not tell its direction")
	}
}

func codes(found []fieldcrypt.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Code+" "+f.Path)
	}
	return strings.Join(out, ", ")
}

func TestAConfigurationThatProtectsLessIsFound(t *testing.T) {
	for _, tt := range []struct{ name, was, is, want string }{
		{"FIPS", "policy: {fips: true}", "", "fips-off policy.fips"},
		{"the switch for all of this", "", "policy: {allow_weakening: true}", "weakening-allowed policy.allow_weakening"},
		{"another ledger", "persons: {store: {kind: bolt, path: a}, ledger: {kind: file, path: l}}", "persons: {store: {kind: bolt, path: a}, ledger: {kind: file, path: m}}", "ledger-off persons.ledger"},
		{"no memory of tags", "schemas: {memory: m, memory_keks: [k]}", "", "memory-off schemas.memory"},
		{"a registry in clear", "schemas: {registry: {urls: ['https://r']}}", "schemas: {registry: {urls: ['http://r']}}", "tls-off schemas.registry.urls"},
		{"credentials in clear", "", "schemas: {registry: {insecure: true}}", "insecure schemas.registry.insecure"},
		{"any authority", "schemas: {registry: {ca: ca.pem}}", "", "tls-trust schemas.registry.ca"},
		{"a listener for others", "", "listen: {rest: ':8082'}", "listen-wider listen.rest"},
		{"profiles", "", "admin: {pprof: true}", "pprof-on admin.pprof"},
		{"no audit", "audit: {to: file}", "", "audit-off audit.to"},
		{"an audit that nobody keeps", "audit: {to: file}", "audit: {to: stdout}", "audit-off audit.to"},
		{"an audit without a seal", "audit: {seal: {hmac: {env: K}}}", "", "audit-unsealed audit.seal.hmac.env"},
		{"no certificate", "kafka: {tls: {cert: c}}", "kafka: {tls: {cert: ''}}", "tls-off kafka.tls.cert"},
		{"an older TLS", "kafka: {tls: {min_version: '1.3'}}", "kafka: {tls: {min_version: '1.2'}}", "tls-version kafka.tls.min_version"},
		{"callers without certificates", "kafka: {tls: {client_auth: require}}", "kafka: {tls: {client_auth: optional}}", "client-auth kafka.tls.client_auth"},
		{"something insecure", "", "kafka: {insecure: true}", "insecure kafka.insecure"},
		{"brokers in clear", "kafka: {properties: {security.protocol: sasl_ssl}}", "kafka: {properties: {security.protocol: sasl_plaintext}}", "tls-off kafka.properties.security.protocol"},
		{"brokers of any name", "", "kafka: {properties: {ssl.endpoint.identification.algorithm: none}}", "insecure kafka.properties.ssl.endpoint.identification.algorithm"},
		{"brokers that nobody checks", "", "kafka: {properties: {enable.ssl.certificate.verification: false}}", "insecure kafka.properties.enable.ssl.certificate.verification"},
		{"a name more for the admin listener", "", "admin: {allowed_hosts: [a.example]}", "auth-wider admin.allowed_hosts"},
		{"somebody new", "audit: {rules: [{who: [a]}]}", "audit: {rules: [{who: [a]}, {who: [b]}]}", "auth-wider audit.rules[1]"},
		{"somebody more", "audit: {rules: [{who: [a]}]}", "audit: {rules: [{who: [a, b]}]}", "auth-wider audit.rules[0]"},
		{"nobody denied", "audit: {rules: [{who: [a], deny: true}]}", "", "auth-wider audit.rules[0]"},
		{"denied too late", "audit: {rules: [{who: [a], deny: true}, {who: [b]}]}", "audit: {rules: [{who: [b]}, {who: [a], deny: true}]}", "auth-wider audit.rules"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was, err := parse(t, "version: 1\n"+tt.was)
			if err != nil {
				t.Fatal(err)
			}
			is, err := parse(t, "version: 1\n"+tt.is)
			if err != nil {
				t.Fatal(err)
			}
			if got := codes(testFormat().Weakens(was, is)); got != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
			if got := codes(testFormat().Weakens(is, is)); got != "" {
				t.Errorf("weaker than itself: %s", got)
			}
		})
	}
}

func TestAConfigurationThatProtectsNoLessIsNotFound(t *testing.T) {
	for _, tt := range []struct{ name, was, is string }{
		{"nothing", "", ""},
		{"limits", "", "limits: {streams: 2}"},
		{"a registry over TLS", "schemas: {registry: {urls: ['http://r']}}", "schemas: {registry: {urls: ['https://r']}}"},
		{"another registry", "schemas: {registry: {urls: ['https://r']}}", "schemas: {registry: {urls: ['https://r', 'https://s']}}"},
		{"a ledger at last", "", "persons: {store: {kind: bolt, path: a}, ledger: {kind: file, path: l}}"},
		{"a key store", "", "keys: {store: {kind: bolt, path: p}}"},
		{"only for this host", "listen: {rest: ':8082'}", "listen: {rest: '127.0.0.1:8082'}"},
		{"an audit", "", "audit: {to: file}"},
		{"a seal", "", "audit: {seal: {hmac: {env: K}}}"},
		{"a newer TLS", "kafka: {tls: {min_version: '1.2'}}", "kafka: {tls: {min_version: '1.3'}}"},
		{"certificates of callers", "kafka: {tls: {client_auth: none}}", "kafka: {tls: {client_auth: require}}"},
		{"nothing insecure", "kafka: {insecure: true}", ""},
		{"brokers over TLS", "kafka: {properties: {security.protocol: plaintext}}", "kafka: {properties: {security.protocol: ssl}}"},
		{"somebody gone", "audit: {rules: [{who: [a]}, {who: [b]}]}", "audit: {rules: [{who: [a]}]}"},
		{"somebody denied", "", "audit: {rules: [{who: [a], deny: true}]}"},
		{"another certificate", "kafka: {tls: {cert: a}}", "kafka: {tls: {cert: b}}"},
		{"profiles off", "admin: {pprof: true}", ""},
		{"a slower end", "", "shutdown: {timeout: 50s}"},
		{"FIPS", "", "policy: {fips: true}"},
		{"another topic schema", "", "schemas: {topics: {o: {format: avro, path: a}}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was, err := parse(t, "version: 1\n"+tt.was)
			if err != nil {
				t.Fatal(err)
			}
			is, err := parse(t, "version: 1\n"+tt.is)
			if err != nil {
				t.Fatal(err)
			}
			if got := codes(testFormat().Weakens(was, is)); got != "" {
				t.Errorf("found %s", got)
			}
		})
	}
}

func TestWhoMayComeInIsComparedByTheWordsOfItsKeys(t *testing.T) {
	type tree = map[string]any
	for _, tt := range []struct {
		name    string
		was, is tree
		want    string
	}{
		{"TLS below what goes without saying", tree{}, tree{"tls": tree{"min_version": "1.2"}}, "tls-version auth.tls.min_version"},
		{"TLS as it goes without saying", tree{"tls": tree{"min_version": "1.2"}}, tree{"tls": tree{"min_version": "1.3"}}, ""},
		{"a user more", tree{"unix": tree{"uids": []any{1}}}, tree{"unix": tree{"uids": []any{1, 2}}}, "auth-wider auth.unix.uids"},
		{"a user less", tree{"unix": tree{"uids": []any{1, 2}}}, tree{"unix": tree{"uids": []any{1}}}, ""},
		{"no user named", tree{"unix": tree{"uids": []any{1, 2}}}, tree{"unix": tree{}}, "auth-wider auth.unix.uids"},
		{"a token more", tree{"tokens": []any{tree{"file": "a"}}}, tree{"tokens": []any{tree{"file": "a"}, tree{"file": "b"}}}, "auth-wider auth.tokens"},
		{"a name more", tree{"allowed_hosts": []any{"a"}}, tree{"allowed_hosts": []any{"a", "b"}}, "auth-wider auth.allowed_hosts"},
		{"a name less", tree{"allowed_hosts": []any{"a", "b"}}, tree{"allowed_hosts": []any{"b"}}, ""},
		{"another issuer", tree{"jwt": tree{"issuer": "a"}}, tree{"jwt": tree{"issuer": "b"}}, "auth-wider auth.jwt.issuer"},
		{"no issuer", tree{"jwt": tree{"issuer": "a"}}, tree{"jwt": tree{}}, ""},
		{"anonymous as it goes without saying", tree{"anonymous_loopback": false}, tree{}, "insecure auth.anonymous_loopback"},
		{"nobody anonymous", tree{"anonymous_loopback": true}, tree{"anonymous_loopback": false}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &weakening{}
			w.tree("auth", tt.was, tt.is)
			if got := codes(w.found); got != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAPartMayCompareItself(t *testing.T) {
	f := New(Part{Key: "x", Default: func() Section { return &fakePart{} }, Weakens: func(prev, next Section) []fieldcrypt.Finding {
		return []fieldcrypt.Finding{{Code: "own", Path: "to"}}
	}})
	if got := codes(f.Weakens(f.Defaults(), f.Defaults())); got != "own x.to" {
		t.Error(got)
	}
}

func TestAWeakerPolicyIsFoundWithTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "f.yaml", "version: 1\n")
	write(t, dir, "policy.yaml", somePolicy)
	was, err := testFormat().LoadWith(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "policy.yaml", "version: 1\nrules:\n  - {tag: PII, action: mask, keep_last: 4}\n")
	is, err := testFormat().LoadWith(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := testFormat().Weakens(was, is)
	if got := codes(found); got != "rule-weaker policy: rules" || !strings.Contains(found[0].Text, "line 3 of the policy") {
		t.Error(found)
	}
}

func TestOnlyThisHostReachesLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.8.0.1": true, "::1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "": false, "localhost.example.com:1": false,
	} {
		if IsLoopback(addr) != want {
			t.Errorf("%s: %t", addr, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	format := testFormat()
	var defaults bytes.Buffer
	if err := format.PrintDefaults(&defaults); err != nil {
		f.Fatal(err)
	}
	f.Add(defaults.Bytes())
	f.Add([]byte("version: 1\nkafka: {properties: {a: b}, tls: {cert: x}, rules: [{who: [a]}]}"))
	f.Add([]byte("version: 1\nadmin: {addr: [s3cr3t]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := format.Parse("f.yaml", text, nil)
		if err != nil {
			return
		}
		// What was read prints as something that reads as the same.
		var once, twice bytes.Buffer
		if err := format.Print(&once, c); err != nil {
			t.Fatal(err)
		}
		again, err := format.Parse("f.yaml", once.Bytes(), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, once.String())
		}
		if err := format.Print(&twice, again); err != nil {
			t.Fatal(err)
		}
		if once.String() != twice.String() {
			t.Errorf("%s\n%s", once.String(), twice.String())
		}
	})
}
