package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/sidecar/engine"
)

const clicksPolicy = `
version: 1
dataset: web
keys: {pii: {kek: "local:%s", also: ["local:%s"]}}
domain_keys: {ids: {kek: "local:b.kek", also: ["local:a.kek"], versions: ["%s"]}}
topics:
  - match: clicks
    format: json
    fields: [{path: /user, action: encrypt, key: pii}, {path: /id, action: hash, key: ids}]
`

// system is a cluster with protected records under the KEK a.kek, and a policy
// that has moved on to b.kek.
type system struct {
	addr string
	ids  string // the version of the domain key, as a policy spells it
}

func newSystem(t *testing.T) *system {
	t.Helper()
	t.Chdir(t.TempDir())
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "clicks"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &system{addr: cluster.ListenAddrs()[0]}
	fieldveil(t, "kek", "create", "a.kek")
	fieldveil(t, "kek", "create", "b.kek")
	_, s.ids, _ = fieldveil(t, "kek", "domain", "local:a.kek")
	s.ids = strings.TrimSpace(s.ids)
	s.write(t, "old.yaml", "a.kek", "b.kek")
	s.write(t, "new.yaml", "b.kek", "a.kek")
	s.produce(t, "old.yaml", 5)
	return s
}

func (s *system) write(t *testing.T, name, kek, also string) {
	t.Helper()
	if err := os.WriteFile(name, fmt.Appendf(nil, clicksPolicy, kek, also, s.ids), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *system) produce(t *testing.T, policy string, n int) {
	t.Helper()
	opts := []kgo.Opt{kgo.SeedBrokers(s.addr)}
	topic, err := kgocrypt.OpenKeyTopic(t.Context(), "", opts, kgocrypt.WithReplication(1))
	if err != nil {
		t.Fatal(err)
	}
	defer topic.Close()
	keys, err := datakey.New(testProviders(t), datakey.WithStore(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	p, err := fieldcrypt.LoadPolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := fieldcrypt.New(p, keys)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	producer, err := kgocrypt.NewProducer(client, engine)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "clicks", Value: []byte(`{"user":"ada","id":"7"}`)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeysAreCountedMovedAndRetired(t *testing.T) {
	s := newSystem(t)
	call := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := fieldveil(t, append([]string{"keys", args[0], "--brokers", s.addr}, args[1:]...)...)
		if code != want {
			t.Fatalf("keys %s: exit code %d, want %d\n%s\n%s", args, code, want, stdout, stderr)
		}
		return stdout, stderr
	}
	out, stderr := call(0, "census", "--policy", "old.yaml", "--topic", "clicks")
	if !strings.Contains(out, "local:a.kek") || !strings.Contains(out, "5 records, 0 need no key, 0 could not be read") || stderr != "" {
		t.Errorf("%s\n%s", out, stderr)
	}
	var census keyops.Census
	out, _ = call(0, "census", "--policy", "old.yaml", "--topic", "clicks", "--json", "--state", "census.json")
	if err := json.Unmarshal([]byte(out), &census); err != nil || len(census.Keys) != 2 {
		t.Errorf("%v, %s", err, out)
	}
	if out, stderr = call(0, "list"); !strings.Contains(out, "local:a.kek") || !strings.Contains(stderr, "1 keys.") {
		t.Errorf("%s\n%s", out, stderr)
	}
	if out, _ = call(0, "list", "--kek", "local:b.kek", "--json"); out != "" {
		t.Errorf("%s", out)
	}

	_, stderr = call(3, "retire", "local:a.kek", "--policy", "old.yaml", "--topic", "clicks")
	for _, says := range []string{"10 records need it for 2 data keys", "1 blocks of the catalog", "the policy uses it for pii, ids", "clicks/"} {
		if !strings.Contains(stderr, says) {
			t.Errorf("it does not say %q: %s", says, stderr)
		}
	}
	out, _ = call(0, "rewrap", "--from", "local:a.kek", "--to", "local:b.kek", "--prove", "--policy", "new.yaml")
	first, rest, _ := strings.Cut(out, "\n")
	version, ok := strings.CutPrefix(first, "domain_keys.ids.versions[0]: ")
	if _, err := base64.StdEncoding.DecodeString(version); !ok || err != nil || !strings.Contains(rest, `"moved": 1`) {
		t.Fatalf("%s", out)
	}
	s.ids = version
	s.write(t, "new.yaml", "b.kek", "a.kek")

	// Without the key topic, the headers decide.
	call(3, "retire", "local:a.kek", "--policy", "new.yaml", "--topic", "clicks", "--no-catalog")
	out, _ = call(0, "retire", "local:a.kek", "--policy", "new.yaml", "--topic", "clicks", "--state", "after.json")
	var evidence keyops.Evidence
	if err := json.Unmarshal([]byte(out), &evidence); err != nil || evidence.Check() != nil || evidence.KEK != "local:a.kek" || evidence.Rewrapped != 1 || !evidence.Proven {
		t.Errorf("%v, %s", err, out)
	}
	s.produce(t, "old.yaml", 1)
	call(3, "retire", "local:a.kek", "--policy", "new.yaml", "--topic", "clicks", "--state", "after.json")
}

func TestKeysCommandsRefuseWhatMakesNoSense(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"a census without a policy", 2, "--policy", []string{"census", "--brokers", "x:1", "--topic", "t"}},
		{"a census without topics", 2, "--topic", []string{"census", "--brokers", "x:1", "--policy", "p"}},
		{"a policy that is not there", 1, "no such file", []string{"census", "--brokers", "x:1", "--policy", "p", "--topic", "t"}},
		{"to rewrap nothing", 1, "--brokers", []string{"rewrap", "--from", "local:a", "--to", "local:b"}},
		{"to remove keys without a state", 1, "--state", []string{"retire", "local:a", "--brokers", "x:1", "--policy", "p", "--topic", "t", "--remove-keys"}},
	} {
		code, stdout, stderr := fieldveil(t, append([]string{"keys"}, tt.args...)...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: exit code %d, %q, %q", tt.name, code, stdout, stderr)
		}
	}
	code, stdout, _ := fieldveil(t, "keys", "retire", "--help")
	if code != 0 || !strings.Contains(unwrapped(stdout), "exit code is 0 when the KEK can be disabled, 3 when it is needed") {
		t.Errorf("%d, %s", code, stdout)
	}
}

func testProviders(t *testing.T) kms.Mux {
	t.Helper()
	services, err := engine.Services(false)
	if err != nil {
		t.Fatal(err)
	}
	return services
}
