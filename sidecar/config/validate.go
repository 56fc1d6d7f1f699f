package config

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// The kinds of stores.
const (
	KindNone     = "none"
	KindKafka    = "kafka"
	KindBolt     = "bolt"
	KindFile     = "file"
	KindPostgres = "postgres"
	KindRedis    = "redis"
	KindDynamo   = "dynamo"
)

// check notes what is wrong with c, as far as it can be told without any other
// file.
func (c *Config) check(r *reader) {
	k := &checker{reader: r}
	k.must(c.Policy.Path != "", "policy.path", "missing")
	k.store("keys.store", c.Keys.Store, KindNone, KindKafka, KindBolt, KindPostgres)
	k.between("keys.warm_timeout", c.Keys.WarmTimeout, 0, 10*time.Minute)
	k.between("keys.call_timeout", c.Keys.CallTimeout, 100*time.Millisecond, time.Minute)
	k.number("keys.max_scopes", c.Keys.MaxScopes, 1, 10_000_000)
	k.number("keys.max_openers", c.Keys.MaxOpeners, 1, 10_000_000)
	k.number("policy.recheck", c.Policy.Recheck, 0, 1<<31-1)
	k.number("detokenize.bulk_above", c.Detokenize.BulkAbove, 1, 1<<31-1)
	k.number("detokenize.values", c.Detokenize.Values, 1, 1<<31-1)
	k.between("detokenize.per", c.Detokenize.Per, time.Second, 30*24*time.Hour)
	k.must(!slices.Contains(c.Keys.WarmTenants, ""), "keys.warm_tenants", "a tenant has a name")
	if c.Keys.CleartextKeysets {
		k.warn("cleartext-keysets", "keys.cleartext_keysets", "a KEK stands in clear in a file")
	}
	k.store("persons.store", c.Persons.Store, KindNone, KindBolt, KindPostgres)
	k.ledger(c.Persons.Ledger)
	if (c.Persons.Store.Kind == KindNone) != (c.Persons.Ledger.Kind == KindNone) {
		k.addf(codeValue, r.lines["persons"], "persons", "store and ledger go together: without the ledger, a restored backup would bring the forgotten back")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Vaults)) {
		k.vault(name, c.Vaults[name])
	}
	k.schemas(&c.Schemas)
	k.addresses(c)
	k.limits(&c.Limits)
	k.between("reload.debounce", c.Reload.Debounce, 0, time.Minute)
	k.between("reload.grace", c.Reload.Grace, time.Second, 24*time.Hour)
	k.between("shutdown.drain_delay", c.Shutdown.DrainDelay, 0, 10*time.Minute)
	k.between("shutdown.timeout", c.Shutdown.Timeout, time.Second, time.Hour)
	for _, key := range slices.Sorted(maps.Keys(c.parts)) {
		k.part(key, c.parts[key])
	}
	if c.Policy.AllowWeakening {
		k.warn("weakening-allowed", "policy.allow_weakening", "a reload may protect less than before")
	}
	if err := auth.CheckAllowedHosts(c.Admin.AllowedHosts); err != nil {
		k.must(false, "admin.allowed_hosts", err.Error())
	}
	if c.Admin.PProf {
		k.warn("pprof-on", "admin.pprof", "profiles hold parts of memory, and so of records")
	}
	if c.Admin.Addr != "" && !IsLoopback(c.Admin.Addr) {
		k.warn("admin-open", "admin.addr", "whoever reaches this address sees metrics and the configuration without its secrets")
	}
}

type checker struct{ *reader }

func (k *checker) must(ok bool, path, text string) {
	if !ok {
		k.addf(codeValue, k.line(path), path, "%s", text)
	}
}

// line finds the line of a key, or of the section that would hold it.
func (k *checker) line(path string) int {
	for path != "" {
		if n := k.lines[path]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(path, ".[")
		path = path[:max(i, 0)]
	}
	return 0
}

func (k *checker) warn(code, path, text string) {
	k.found = append(k.found, fieldcrypt.Finding{Code: code, Severity: fieldcrypt.SeverityWarning, Line: k.line(path), Path: path, Text: text})
}

func (k *checker) between(path string, d, least, most time.Duration) {
	if d < least || d > most {
		k.addf(codeValue, k.line(path), path, "must be from %s to %s", least, most)
	}
}

func (k *checker) number(path string, n, least, most int) {
	if n < least || n > most {
		k.addf(codeValue, k.line(path), path, "must be from %d to %d", least, most)
	}
}

func (k *checker) word(path, word string, known ...string) bool {
	if !slices.Contains(known, word) {
		k.addf(codeValue, k.line(path), path, "expected one of %s", strings.Join(known, ", "))
		return false
	}
	return true
}

// needs checks that a key is there where another asks for it, and only there.
func (k *checker) needs(path string, set, wanted bool, because string) {
	switch {
	case wanted && !set:
		k.addf(codeValue, k.line(path), path, "missing: %s needs it", because)
	case !wanted && set:
		k.addf(codeValue, k.line(path), path, "does not go with %s", because)
	}
}

func (k *checker) store(path string, s KeyStore, kinds ...string) {
	if !k.word(path+".kind", s.Kind, kinds...) {
		return
	}
	because := "kind: " + s.Kind
	k.needs(path+".topic", s.Topic != "", s.Kind == KindKafka, because)
	k.needs(path+".path", s.Path != "", s.Kind == KindBolt, because)
	k.needs(path+".url", s.URL.IsSet(), s.Kind == KindPostgres, because)
}

func (k *checker) ledger(l Ledger) {
	const path = "persons.ledger"
	if !k.word(path+".kind", l.Kind, KindNone, KindFile, KindPostgres) {
		return
	}
	because := "kind: " + l.Kind
	k.needs(path+".path", l.Path != "", l.Kind == KindFile, because)
	k.needs(path+".url", l.URL.IsSet(), l.Kind == KindPostgres, because)
}

func (k *checker) vault(name string, v Vault) {
	path := "vaults." + name
	if !k.word(path+".kind", v.Kind, KindBolt, KindPostgres, KindRedis, KindDynamo) {
		return
	}
	because := "kind: " + v.Kind
	k.needs(path+".path", v.Path != "", v.Kind == KindBolt, because)
	k.needs(path+".url", v.URL.IsSet(), v.Kind == KindPostgres || v.Kind == KindRedis, because)
	if v.Kind == KindDynamo || v.Kind != KindPostgres {
		k.needs(path+".table", v.Table != "", v.Kind == KindDynamo, because)
	}
}

// vaults checks that each vault of the policy has a store.
func (c *Config) vaults(r *reader) {
	k := &checker{reader: r}
	for _, name := range c.policy.Vaults() {
		if _, ok := c.Vaults[name]; !ok {
			k.addf(codeValue, k.line("vaults"), "vaults."+name, "missing: the policy uses this vault")
		}
	}
}

func (k *checker) schemas(s *Schemas) {
	reg := &s.Registry
	const path = "schemas.registry"
	for i, text := range reg.URLs {
		at := path + ".urls[" + strconv.Itoa(i) + "]"
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			k.addf(codeValue, k.line(at), at, "expected http:// or https:// and a host")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			k.addf(codeValue, k.line(at), at, "credentials have keys of their own, and a query has no place here")
		case u.Scheme == "http" && !IsLoopback(u.Host) && !reg.Insecure && (reg.Password.IsSet() || reg.Token.IsSet()):
			k.addf(codeValue, k.line(at), at, "would send credentials over plain http: use https, or say insecure: true")
		}
	}
	k.must((reg.User != "") == reg.Password.IsSet(), path+".password", "goes with user, and user with it")
	k.must(!reg.Token.IsSet() || reg.User == "", path+".token", "does not go with user and password")
	k.must((reg.Cert != "") == (reg.Key != ""), path+".key", "goes with cert, and cert with it")
	k.between(path+".timeout", reg.Timeout, 100*time.Millisecond, 5*time.Minute)
	k.must(!s.RegisterDerived || len(reg.URLs) > 0, "schemas.register_derived", "needs a registry")
	k.must(s.Tags == "" || len(reg.URLs) > 0, "schemas.tags", "needs a registry")
	k.must((s.Memory != "") == (len(s.MemoryKEKs) > 0), "schemas.memory_keks", "goes with memory, and memory with it")
	k.must(s.Snapshot == "" || len(reg.URLs) > 0, "schemas.snapshot", "needs a registry")
	for _, topic := range slices.Sorted(maps.Keys(s.Topics)) {
		t := s.Topics[topic]
		at := "schemas.topics." + topic
		k.word(at+".format", t.Format, "avro", "json", "protobuf")
		k.must(t.Path != "", at+".path", "missing")
	}
}

func (k *checker) addresses(c *Config) {
	seen := map[string]string{}
	for _, a := range []struct{ path, addr string }{
		{"listen.rest", c.Listen.REST}, {"listen.grpc", c.Listen.GRPC}, {"admin.addr", c.Admin.Addr},
	} {
		if a.addr == "" {
			continue
		}
		_, port, err := net.SplitHostPort(a.addr)
		n, numeric := strconv.ParseUint(port, 10, 16)
		if err != nil || numeric != nil {
			k.addf(codeValue, k.line(a.path), a.path, "expected a host or nothing, a colon and a port, such as 127.0.0.1:8082")
			continue
		}
		if other := seen[a.addr]; other != "" && n != 0 {
			k.addf(codeValue, k.line(a.path), a.path, "the same as %s", other)
		}
		seen[a.addr] = a.path
	}
	k.must(c.Listen.REST != "" || c.Listen.GRPC != "" || c.Listen.Unix != "", "listen", "no listener: give rest, grpc or unix an address")
	k.must(len(c.Listen.Unix) <= 100, "listen.unix", "longer than a socket may be called: 100 bytes")
}

func (k *checker) limits(l *Limits) {
	for _, n := range []struct {
		key         string
		value       int
		least, most int
	}{
		{"in_flight_bytes", l.InFlightBytes, 1 << 20, 64 << 30},
		{"in_flight_records", l.InFlightRecords, 1, 100_000_000},
		{"streams", l.Streams, 1, 1_000_000},
		{"connections", l.Connections, 1, 1_000_000},
		{"connections_per_peer", l.ConnectionsPerPeer, 1, 1_000_000},
		{"header_bytes", l.HeaderBytes, 4 << 10, 16 << 20},
		{"http2_streams", l.HTTP2Streams, 1, 10_000},
		{"memory_percent", l.Memory, 0, 100},
	} {
		k.number("limits."+n.key, n.value, n.least, n.most)
	}
	k.between("limits.header_timeout", l.HeaderTimeout, 100*time.Millisecond, time.Minute)
	k.between("limits.idle_timeout", l.IdleTimeout, time.Second, time.Hour)
}

// part takes the findings of a section that another package owns.
func (k *checker) part(key string, s Section) {
	for _, text := range lines(s.Validate()) {
		path, rest, ok := strings.Cut(text, ": ")
		if !ok || strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]") != "" {
			path, rest = "", text
		}
		at := key
		if path != "" {
			at = joined(key, strings.TrimPrefix(path, key+"."))
		}
		k.addf(codeValue, k.line(at), at, "%s", rest)
	}
}

// lines returns the errors that were joined into err, each as its text.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range many.Unwrap() {
		out = append(out, lines(e)...)
	}
	return out
}

// IsLoopback tells whether an address, with or without a port, is one that only
// this host reaches. A host name is loopback only when it is localhost.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// Secrets returns the secrets of the sections of this package that are set, by
// their paths.
func (c *Config) Secrets() map[string]secret.Secret {
	out := map[string]secret.Secret{}
	add := func(path string, s secret.Secret) {
		if s.IsSet() {
			out[path] = s
		}
	}
	add("keys.store.url", c.Keys.Store.URL)
	add("persons.store.url", c.Persons.Store.URL)
	add("persons.ledger.url", c.Persons.Ledger.URL)
	add("schemas.registry.password", c.Schemas.Registry.Password)
	add("schemas.registry.token", c.Schemas.Registry.Token)
	for name, v := range c.Vaults {
		add("vaults."+name+".url", v.URL)
	}
	return out
}
