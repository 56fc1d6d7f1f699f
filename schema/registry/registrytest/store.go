package registrytest

import (
	"encoding/hex"
	"slices"
	"strings"
	"sync"
)

// store holds all that is registered. Its fields are guarded by mu. Whoever
// changes something holds write as well, for the whole operation: so checkers
// run without mu, and reading never waits for them.
type store struct {
	write sync.Mutex
	mu    sync.RWMutex

	contexts map[string]*space
	configs  map[string]config // by full name of a subject, "" for all, ":.ctx:" for a context
	modes    map[string]string
	level    string // what New was told
}

// space is one context: a numbering of its own.
type space struct {
	lastID   int
	byID     map[int]*entry
	byKey    map[[32]byte]*entry
	subjects map[string]*subject
}

// entry is a schema with its id. It lives as long as a version uses it, deleted
// softly or not. It is immutable.
type entry struct {
	id     int
	key    [32]byte
	schema Schema
}

// guid spells the head of the identity as a UUID.
func (e *entry) guid() string {
	h := hex.EncodeToString(e.key[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

type subject struct {
	name     subjectName
	versions []*version // ascending
}

type version struct {
	subject *subject
	number  int
	entry   *entry
	deleted bool
}

func newStore(level string) *store {
	return &store{
		contexts: make(map[string]*space),
		configs:  make(map[string]config),
		modes:    make(map[string]string),
		level:    level,
	}
}

func (st *store) space(context string) *space {
	sp := st.contexts[context]
	if sp == nil {
		sp = &space{byID: make(map[int]*entry), byKey: make(map[[32]byte]*entry), subjects: make(map[string]*subject)}
		st.contexts[context] = sp
	}
	return sp
}

// subject returns nil where nothing was ever registered.
func (st *store) subject(name subjectName) *subject {
	sp := st.contexts[name.context]
	if sp == nil {
		return nil
	}
	return sp.subjects[name.name]
}

// all lists the subjects of all contexts in the order of their full names.
func (st *store) all() []*subject {
	var out []*subject
	for _, sp := range st.contexts {
		for _, s := range sp.subjects {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *subject) int { return strings.Compare(a.name.String(), b.name.String()) })
	return out
}

// live lists the versions that are not deleted.
func (s *subject) live() []*version {
	if s == nil {
		return nil
	}
	var out []*version
	for _, v := range s.versions {
		if !v.deleted {
			out = append(out, v)
		}
	}
	return out
}

// latest returns the last version that is not deleted, or nil.
func (s *subject) latest() *version {
	live := s.live()
	if len(live) == 0 {
		return nil
	}
	return live[len(live)-1]
}

// exists tells whether the subject has versions, deleted ones counting if asked.
func (s *subject) exists(deleted bool) bool {
	return s != nil && (deleted && len(s.versions) > 0 || s.latest() != nil)
}

// version returns the numbered one, or nil. Zero stands for the latest.
func (s *subject) version(number int, deleted bool) *version {
	if s == nil {
		return nil
	}
	if number == 0 {
		return s.latest()
	}
	for _, v := range s.versions {
		if v.number == number && (deleted || !v.deleted) {
			return v
		}
	}
	return nil
}

// find is version with the answer for a version that is not there.
func (st *store) find(full string, number int, deleted bool) (*version, *Error) {
	s := st.subject(parseSubject(full))
	if v := s.version(number, deleted); v != nil {
		return v, nil
	}
	if !s.exists(deleted) {
		return nil, subjectNotFound(full)
	}
	if number == 0 {
		number = -1
	}
	return nil, versionNotFound(number)
}

// put adds a version. A softly deleted version of the same schema gives way to
// it, as in a real registry, unless somebody refers to it.
func (st *store) put(name subjectName, number, id int, key [32]byte, schema Schema) *version {
	sp := st.space(name.context)
	e := sp.byKey[key]
	if e == nil {
		if id == 0 {
			sp.lastID++
			id = sp.lastID
		}
		sp.lastID = max(sp.lastID, id)
		e = &entry{id: id, key: key, schema: schema}
		sp.byKey[key], sp.byID[id] = e, e
	}
	s := sp.subjects[name.name]
	if s == nil {
		s = &subject{name: name}
		sp.subjects[name.name] = s
	}
	s.versions = slices.DeleteFunc(s.versions, func(v *version) bool {
		return v.deleted && v.entry == e && len(st.referrers(v)) == 0
	})
	v := &version{subject: s, number: number, entry: e}
	s.versions = append(s.versions, v)
	// Imports come in any order.
	slices.SortFunc(s.versions, func(a, b *version) int { return a.number - b.number })
	return v
}

// remove takes a version away for good, with its schema if nobody else has it.
func (st *store) remove(v *version) {
	s, sp := v.subject, st.contexts[v.subject.name.context]
	s.versions = slices.DeleteFunc(s.versions, func(x *version) bool { return x == v })
	if len(s.versions) == 0 {
		delete(sp.subjects, s.name.name)
	}
	if len(st.users(v.entry, true)) == 0 {
		delete(sp.byID, v.entry.id)
		delete(sp.byKey, v.entry.key)
	}
}

// users lists the versions that have a schema, by subject and number.
func (st *store) users(e *entry, deleted bool) []*version {
	var out []*version
	for _, s := range st.all() {
		for _, v := range s.versions {
			if v.entry == e && (deleted || !v.deleted) {
				out = append(out, v)
			}
		}
	}
	return out
}

// referrers lists the ids of schemas with versions, not deleted, that refer to
// a version.
func (st *store) referrers(to *version) []int {
	var ids []int
	for _, s := range st.all() {
		for _, v := range s.live() {
			for _, r := range v.entry.schema.References {
				if r.Version == to.number && within(s.name.context, r.Subject) == to.subject.name {
					ids = append(ids, v.entry.id)
				}
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// within reads the subject of a reference: one that names no context is of the
// context of who refers to it.
func within(context, full string) subjectName {
	name := parseSubject(full)
	if name.context == defaultContext && !strings.HasPrefix(full, ":.:") {
		name.context = context
	}
	return name
}

// byID finds a schema. The hint is a subject, or a context, or empty. Without a
// context, the default one is searched first and then those that have the
// subject.
func (st *store) byID(id int, hint string) (*entry, string) {
	name := parseSubject(hint)
	if sp := st.contexts[name.context]; sp != nil {
		if e := sp.byID[id]; e != nil {
			return e, name.context
		}
	}
	if name.context != defaultContext || name.name == "" {
		return nil, ""
	}
	for context, sp := range st.contexts {
		e, s := sp.byID[id], sp.subjects[name.name]
		if e == nil || s == nil {
			continue
		}
		if slices.ContainsFunc(s.versions, func(v *version) bool { return v.entry == e }) {
			return e, context
		}
	}
	return nil, ""
}
