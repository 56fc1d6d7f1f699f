package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// Weakens tells in what next, with its policy, protects less than prev; nothing
// when it protects at least as much. It errs on the side of finding too much.
func (f *Format) Weakens(prev, next *Config) []fieldcrypt.Finding {
	w := &weakening{}
	if prev.policy != nil && next.policy != nil {
		for _, found := range fieldcrypt.Weakens(prev.policy, next.policy) {
			// A line in the policy is none in this file.
			if found.Line > 0 {
				found.Text = fmt.Sprintf("%s (line %d of the policy)", found.Text, found.Line)
			}
			found.Line, found.Path = 0, "policy: "+found.Path
			w.found = append(w.found, found)
		}
	}
	w.is("fips-off", "policy.fips", prev.Policy.FIPS && !next.Policy.FIPS, "approved algorithms only before, any now")
	w.is("weakening-allowed", "policy.allow_weakening", !prev.Policy.AllowWeakening && next.Policy.AllowWeakening, "the next reload could protect less unasked")
	w.is("ledger-off", "persons.ledger", prev.Persons.Ledger.Kind != KindNone && next.Persons.Ledger != prev.Persons.Ledger, "who was forgotten is written in another ledger, or in none")
	w.is("memory-off", "schemas.memory", prev.Schemas.Memory != "" && next.Schemas.Memory != prev.Schemas.Memory, "what was tagged before is not remembered any more")
	w.registry(&prev.Schemas.Registry, &next.Schemas.Registry)
	for _, a := range []struct{ path, was, is string }{
		{"listen.rest", prev.Listen.REST, next.Listen.REST},
		{"listen.grpc", prev.Listen.GRPC, next.Listen.GRPC},
		{"admin.addr", prev.Admin.Addr, next.Admin.Addr},
	} {
		w.is("listen-wider", a.path, a.is != "" && !IsLoopback(a.is) && (a.was == "" || IsLoopback(a.was)), "other hosts can reach it now")
	}
	w.hosts("admin.allowed_hosts", prev.Admin.AllowedHosts, next.Admin.AllowedHosts)
	w.is("pprof-on", "admin.pprof", !prev.Admin.PProf && next.Admin.PProf, "profiles hold parts of memory")
	for _, p := range f.parts {
		was, is := prev.parts[p.Key], next.parts[p.Key]
		if p.Weakens == nil {
			w.tree(p.Key, treeOf(was), treeOf(is))
			continue
		}
		for _, found := range p.Weakens(was, is) {
			found.Path = joined(p.Key, found.Path)
			w.found = append(w.found, found)
		}
	}
	return w.found
}

// NeedsRestart returns the keys in which next differs from prev and that a running
// process cannot change.
func (f *Format) NeedsRestart(prev, next *Config) []string {
	var out []string
	for _, s := range []struct {
		key     string
		was, is any
	}{
		{"keys", prev.Keys, next.Keys},
		{"persons", prev.Persons, next.Persons},
		{"vaults", prev.Vaults, next.Vaults},
		{"schemas.registry", prev.Schemas.Registry, next.Schemas.Registry},
		{"schemas.register_derived", prev.Schemas.RegisterDerived, next.Schemas.RegisterDerived},
		{"schemas.snapshot", prev.Schemas.Snapshot, next.Schemas.Snapshot},
		{"schemas.memory", prev.Schemas.Memory, next.Schemas.Memory},
		{"schemas.memory_keks", prev.Schemas.MemoryKEKs, next.Schemas.MemoryKEKs},
		{"policy.recheck", prev.Policy.Recheck, next.Policy.Recheck},
		{"detokenize", prev.Detokenize, next.Detokenize},
		{"limits.in_flight_bytes", prev.Limits.InFlightBytes, next.Limits.InFlightBytes},
		{"limits.in_flight_records", prev.Limits.InFlightRecords, next.Limits.InFlightRecords},
		{"limits.streams", prev.Limits.Streams, next.Limits.Streams},
		{"listen", prev.Listen, next.Listen},
		{"admin", prev.Admin, next.Admin},
		{"limits.connections", prev.Limits.Connections, next.Limits.Connections},
		{"limits.connections_per_peer", prev.Limits.ConnectionsPerPeer, next.Limits.ConnectionsPerPeer},
		{"limits.header_bytes", prev.Limits.HeaderBytes, next.Limits.HeaderBytes},
		{"limits.header_timeout", prev.Limits.HeaderTimeout, next.Limits.HeaderTimeout},
		{"limits.idle_timeout", prev.Limits.IdleTimeout, next.Limits.IdleTimeout},
		{"limits.http2_streams", prev.Limits.HTTP2Streams, next.Limits.HTTP2Streams},
		{"limits.memory_percent", prev.Limits.Memory, next.Limits.Memory},
	} {
		if !reflect.DeepEqual(s.was, s.is) {
			out = append(out, s.key)
		}
	}
	for _, p := range f.parts {
		if p.Restart && !reflect.DeepEqual(prev.parts[p.Key], next.parts[p.Key]) {
			out = append(out, p.Key)
		}
	}
	return out
}

// ChangeDigest names one change from prev to next. Who acknowledges it lets this
// change pass, and no other.
func ChangeDigest(prev, next *Config) string {
	sum := sha256.Sum256(append(append([]byte("fieldveil change\x00"), prev.digest[:]...), next.digest[:]...))
	return hex.EncodeToString(sum[:16])
}

type weakening struct{ found []fieldcrypt.Finding }

func (w *weakening) is(code, path string, weaker bool, text string) {
	if weaker {
		w.found = append(w.found, fieldcrypt.Finding{Code: code, Severity: fieldcrypt.SeverityError, Path: path, Text: text})
	}
}

func (w *weakening) registry(prev, next *Registry) {
	const path = "schemas.registry"
	w.is("insecure", path+".insecure", !prev.Insecure && next.Insecure, "credentials may go over plain http")
	plain := func(urls []string) bool {
		return slices.ContainsFunc(urls, func(text string) bool {
			u, err := url.Parse(text)
			return err == nil && u.Scheme == "http" && !IsLoopback(u.Host)
		})
	}
	w.is("tls-off", path+".urls", !plain(prev.URLs) && plain(next.URLs), "schemas, which say what is protected, come over plain http")
	w.is("tls-trust", path+".ca", prev.CA != "" && next.CA == "", "any authority of the system may vouch for the registry")
}

// treeOf returns a section as plain values, with its secrets by where they are.
func treeOf(s Section) any {
	text, err := yaml.Marshal(s)
	if err != nil {
		return nil
	}
	var out any
	if yaml.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}

// tree compares two sections of which this package knows no more than their words.
// That goes for switches that say in their name that they open something, for
// transport security, and for who may do what.
func (w *weakening) tree(path string, was, is any) {
	a, isMap := was.(map[string]any)
	b, also := is.(map[string]any)
	if !isMap && !also {
		w.leaf(path, was, is)
		return
	}
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	for _, key := range sortedKeys(keys) {
		if key == "rules" {
			w.rules(joined(path, key), list(a[key]), list(b[key]))
			continue
		}
		w.tree(joined(path, key), a[key], b[key])
	}
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func list(v any) []any {
	out, _ := v.([]any)
	return out
}

// leaf compares one value by the last word of its path.
func (w *weakening) leaf(path string, was, is any) {
	if reflect.DeepEqual(was, is) {
		return
	}
	key := path[strings.LastIndexByte(path, '.')+1:]
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return strings.ToLower(fmt.Sprint(v))
	}
	from, to := text(was), text(is)
	order := func(words ...string) bool {
		a, b := slices.Index(words, from), slices.Index(words, to)
		return b < 0 || a > b
	}
	switch {
	case strings.Contains(key, "insecure") || strings.Contains(key, "anonymous") || strings.Contains(key, "skip_verify"):
		// Without a value it is what its package takes for granted, which may be on.
		w.is("insecure", path, to == "true" || from == "false" && to == "" && strings.Contains(key, "anonymous"), "was off and is on")
	case key == "min_version" || key == "min_tls_version":
		w.is("tls-version", path, to != "1.3" && (from == "" || to == "" || from > to), "an older version of TLS is spoken")
	case key == "client_auth":
		w.is("client-auth", path, order("", "none", "optional", "require"), "callers need not show a certificate any more")
	case strings.Contains(path, "tls") && (key == "cert" || key == "key" || key == "client_ca"):
		w.is("tls-off", path, from != "" && to == "", "was set and is not")
	case key == "enabled":
		w.is("turned-off", path, from == "true" && to != "true", "was on and is off")
	case path == "audit.to":
		w.is("audit-off", path, from != "" && (to == "" || to == "stdout"), "what is audited is kept less safely, or nowhere")
	case strings.HasPrefix(path, "audit.seal"):
		w.is("audit-unsealed", path, from != "" && to == "", "lines of the audit trail are not sealed any more")
	case key == "security.protocol" || strings.HasSuffix(path, "security.protocol"):
		w.is("tls-off", path, strings.Contains(from, "ssl") && !strings.Contains(to, "ssl"), "the brokers are spoken to in clear")
	case strings.HasSuffix(path, "ssl.endpoint.identification.algorithm"):
		w.is("insecure", path, to == "none", "any certificate will do for a broker")
	case strings.HasSuffix(path, "enable.ssl.certificate.verification"):
		w.is("insecure", path, to == "false", "any certificate will do for a broker")
	case key == "allowed_hosts":
		w.hosts(path, texts(was), texts(is))
	case slices.Contains([]string{"uids", "gids", "tokens", "audience", "algorithms"}, key):
		for _, v := range list(is) {
			same := func(x any) bool { return reflect.DeepEqual(x, v) }
			if !slices.ContainsFunc(list(was), same) {
				w.is("auth-wider", path, true, "more may come in")
				break
			}
		}
		// An empty list may stand for everybody.
		w.is("auth-wider", path, len(list(is)) == 0, "the list of who may come in is empty")
	case strings.HasPrefix(path, "auth.") && slices.Contains(strings.Fields("issuer jwks_url ca client_ca trust_domain mode principal_claim tenant_claim"), key):
		w.is("auth-wider", path, to != "", "others vouch for who somebody is, or say it elsewhere")
	}
}

// hosts compares lists of names under which the sidecar may be asked.
func (w *weakening) hosts(path string, was, is []string) {
	more := func(name string) bool { return !slices.Contains(was, name) }
	w.is("auth-wider", path, slices.ContainsFunc(is, more), "it may be asked under more names")
}

func texts(v any) []string {
	var out []string
	for _, x := range list(v) {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// rules compares who may do what. A rule that allows something and was not there
// before widens, and so does a rule that is gone and denied something; the order
// counts as soon as there is one that denies.
func (w *weakening) rules(path string, was, is []any) {
	has := func(rules []any, r any) bool {
		return slices.ContainsFunc(rules, func(x any) bool { return reflect.DeepEqual(x, r) })
	}
	denies := func(r any) bool {
		m, ok := r.(map[string]any)
		return ok && (m["deny"] == true || m["effect"] == "deny" || m["allow"] == false)
	}
	for i, r := range is {
		w.is("auth-wider", fmt.Sprintf("%s[%d]", path, i), !denies(r) && !has(was, r), "allows what was not allowed in these words")
	}
	for i, r := range was {
		w.is("auth-wider", fmt.Sprintf("%s[%d]", path, i), denies(r) && !has(is, r), "what denied something is gone")
	}
	if len(was) == len(is) && slices.ContainsFunc(is, denies) && !reflect.DeepEqual(was, is) {
		same := true
		for _, r := range is {
			same = same && has(was, r)
		}
		w.is("auth-wider", path, same, "the same rules in another order, some of which deny")
	}
}
