package fieldcrypt

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Weakens tells in what the policy next protects less than prev, in the order of
// the lines of next; nothing when it protects at least as much everywhere. A
// process that reads its policy again asks it before it follows.
//
// It compares what the policies say, without any schema, so it assumes that any
// field may have any tags. It errs on the side of finding too much: what it
// cannot compare is weaker unless it is equal, because that is the answer that
// somebody looks at. What is removed is weaker too, even where records are then
// refused: otherwise two harmless steps, away and back in another form, would
// make what one step must not.
//
// Which actions protect at least as much as which others is in docs/sidecar.md.
// All findings are of [SeverityError].
func Weakens(prev, next *Policy) []Finding {
	w := &weakening{old: &prev.doc, new: &next.doc, seen: map[Finding]bool{}}
	w.policy()
	w.tenant()
	w.keys()
	w.topics()
	slices.SortStableFunc(w.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return w.found
}

// weakening compares two policies. One goroutine uses it, once.
type weakening struct {
	old, new *policyDoc
	found    []Finding
	seen     map[Finding]bool
}

// addf notes a finding once: one rule may decide for many topics and tags.
func (w *weakening) addf(code string, line int, path, format string, args ...any) {
	f := Finding{Code: code, Severity: SeverityError, Line: line, Path: path, Text: fmt.Sprintf(format, args...)}
	if !w.seen[f] {
		w.seen[f] = true
		w.found = append(w.found, f)
	}
}

// policy compares what holds for the policy as a whole.
func (w *weakening) policy() {
	if w.old.fips && !w.new.fips {
		w.addf("fips-off", 0, "profile", "the profile fips was left")
	}
	if w.old.onMismatch == mismatchStrict && w.new.onMismatch == mismatchReport {
		w.addf("mismatch-report", 0, "on_mismatch", "values that were moved to another place were refused and are handed out now")
	}
}

func (w *weakening) tenant() {
	from, to := w.old.tenant, w.new.tenant
	wasRequired, isRequired := from.required, to.required
	from.required, to.required = false, false
	switch {
	case from == tenantRule{}: // tenants that are new share nothing they did not share before
	case to == tenantRule{}:
		w.addf("tenant-removed", 0, "tenant", "tenants had keys of their own and share them now")
	case from != to:
		w.addf("tenant-source", 0, "tenant.from", "the tenant comes from another place than before, so others may say whose a record is")
	case wasRequired && !isRequired:
		w.addf("tenant-optional", 0, "tenant.required", "records without a tenant were refused and share a key now")
	}
}

// keys compares the keys that both policies name. A key that is gone matters
// where a rule used it, and is found there.
func (w *weakening) keys() {
	for _, name := range slices.Sorted(maps.Keys(w.old.keys)) {
		if k, ok := w.new.keys[name]; ok {
			w.key("keys."+name, w.old.keys[name], k)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.old.domainKeys)) {
		k, ok := w.new.domainKeys[name]
		if !ok {
			continue
		}
		was := w.old.domainKeys[name]
		w.kek("domain_keys."+name, was.kek, k.kek)
		if isVersion(was.blocks, k.newest()) && !bytes.Equal(was.newest(), k.newest()) {
			w.addf("domain-key-back", 0, "domain_keys."+name+".versions", "an older version of the key seals again")
		}
	}
	if w.old.persons != nil && w.new.persons != nil {
		w.key("persons", w.old.persons.keySpec, w.new.persons.keySpec)
	}
}

func (k domainKeySpec) newest() []byte {
	if len(k.blocks) == 0 {
		return nil
	}
	return k.blocks[len(k.blocks)-1]
}

func isVersion(versions [][]byte, block []byte) bool {
	return slices.ContainsFunc(versions, func(b []byte) bool { return bytes.Equal(b, block) })
}

func (w *weakening) key(path string, from, to keySpec) {
	w.kek(path, from.kek, to.kek)
	for _, age := range []struct {
		name    string
		was, is time.Duration
		missing time.Duration
	}{
		{"refresh", from.refresh, to.refresh, defaultRefresh},
		{"expire", from.expire, to.expire, defaultExpire},
	} {
		was, now := cmp.Or(age.was, age.missing), cmp.Or(age.is, age.missing)
		if now > was {
			w.addf("key-longer-lived", 0, path+"."+age.name, "%s before and %s now: who may no longer use the KEK goes on for longer", was, now)
		}
	}
	for _, limit := range []struct {
		name    string
		was, is uint64
		missing uint64
	}{
		{"max_seals", from.maxSeals, to.maxSeals, 1 << 28},
		{"max_bytes", from.maxBytes, to.maxBytes, 64 << 30},
	} {
		was, now := cmp.Or(limit.was, limit.missing), cmp.Or(limit.is, limit.missing)
		if now > was {
			w.addf("key-more-used", 0, path+"."+limit.name, "%d before and %d now: one data key protects more", was, now)
		}
	}
	if from.suite == suiteXAES && to.suite != suiteXAES {
		w.addf("key-suite", 0, path+".suite", "xaes before, whose nonces do not run out, and %s now", to.suite)
	}
}

// kek compares the KEKs of one key. Another KEK of a KMS is how keys are moved; a
// file is no KMS. URIs are not shown: see [PolicyError].
func (w *weakening) kek(path, from, to string) {
	const local = "local"
	if scheme(to) == local && scheme(from) != local {
		w.addf("kek-local", 0, path+".kek", "a KMS kept the KEK, and a file does now")
	}
	if templated(from) && !templated(to) {
		w.addf("kek-shared", 0, path+".kek", "each tenant had a KEK, and all share one now")
	}
}

// sameKey tells whether two rules use one key. The name counts: who changes what
// stands behind a name is found among the keys. Under another name it is the
// same key only when all that the policies say of both is equal.
func (w *weakening) sameKey(from, to *actionSpec) bool {
	if from.key == to.key {
		return true
	}
	a, ok := w.old.keys[from.key]
	b, also := w.new.keys[to.key]
	if ok && also {
		return a.kek == b.kek && a.suite == b.suite && cmp.Or(a.expire, defaultExpire) == cmp.Or(b.expire, defaultExpire) &&
			cmp.Or(a.refresh, defaultRefresh) == cmp.Or(b.refresh, defaultRefresh)
	}
	c, ok := w.old.domainKeys[from.key]
	d, also := w.new.domainKeys[to.key]
	return ok && also && c.kek == d.kek && bytes.Equal(c.newest(), d.newest())
}

// said spells an action for a finding, without the value of a constant.
func (a *actionSpec) said() string {
	parts := []string{string(a.kind)}
	if a.kind == actEncrypt && a.mode != modeRandom {
		parts = append(parts, a.mode.String())
	}
	if a.key != "" {
		parts = append(parts, "key "+a.key)
	}
	if how := a.how(); how != "" {
		parts = append(parts, how)
	}
	return strings.Join(parts, ", ")
}
