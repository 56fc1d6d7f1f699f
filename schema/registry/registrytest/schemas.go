package registrytest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// answer is a schema as it is sent: all fields in the order in which a registry
// writes them. What is not asked for stays empty.
type answer struct {
	Subject    string      `json:"subject,omitempty"`
	Version    int         `json:"version,omitempty"`
	ID         int         `json:"id,omitempty"`
	GUID       string      `json:"guid,omitempty"`
	Format     string      `json:"schemaType,omitempty"`
	References []Reference `json:"references,omitempty"`
	Metadata   *Metadata   `json:"metadata,omitempty"`
	RuleSet    *RuleSet    `json:"ruleSet,omitempty"`
	Text       string      `json:"schema"`
	MaxID      int         `json:"maxId,omitempty"`
	Deleted    bool        `json:"deleted,omitempty"`
}

func (e *entry) answer() answer {
	s := e.schema
	return answer{GUID: e.guid(), Format: s.Format, References: s.References, Metadata: s.Metadata, RuleSet: s.RuleSet, Text: s.Text}
}

func (v *version) answer() answer {
	a := v.entry.answer()
	a.Subject, a.Version, a.ID, a.Deleted = v.subject.name.String(), v.number, v.entry.id, v.deleted
	return a
}

func schemaNotFound(id any) *Error {
	return errorf(CodeSchemaNotFound, "Schema %v not found", id)
}

// entry finds the schema of the id in a path, and its context.
func (s *Server) entry(r *http.Request, in args) (*entry, string, *Error) {
	id, fail := idNumber(in["id"])
	if fail != nil {
		return nil, "", fail
	}
	e, context := s.store.byID(id, r.URL.Query().Get("subject"))
	if e == nil {
		return nil, "", schemaNotFound(id)
	}
	return e, context, nil
}

func (s *Server) getByID(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	e, context, fail := s.entry(r, in)
	if fail != nil {
		return nil, fail
	}
	a := e.answer()
	if flag(r, "fetchMaxId") {
		a.MaxID = s.store.contexts[context].lastID
	}
	return a, nil
}

func (s *Server) getTextByID(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	e, _, fail := s.entry(r, in)
	if fail != nil {
		return nil, fail
	}
	return raw(e.schema.Text), nil
}

func (s *Server) getSubjectsOfID(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	e, _, fail := s.entry(r, in)
	if fail != nil {
		return nil, fail
	}
	out := []string{}
	for _, v := range s.store.users(e, flag(r, "deleted")) {
		out = append(out, v.subject.name.String())
	}
	return page(r, slices.Compact(out))
}

type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func (s *Server) getVersionsOfID(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	e, _, fail := s.entry(r, in)
	if fail != nil {
		return nil, fail
	}
	out := []subjectVersion{}
	for _, v := range s.store.users(e, flag(r, "deleted")) {
		out = append(out, subjectVersion{v.subject.name.String(), v.number})
	}
	return page(r, out)
}

type contextID struct {
	Context string `json:"context"`
	ID      int    `json:"id"`
	entry   *entry
}

// byGUID lists where a schema is, the default context first.
func (st *store) byGUID(guid string) []contextID {
	var out []contextID
	for context, sp := range st.contexts {
		for _, e := range sp.byID {
			if e.guid() == strings.ToLower(guid) {
				out = append(out, contextID{context, e.id, e})
			}
		}
	}
	slices.SortFunc(out, func(a, b contextID) int { return cmp.Compare(a.Context, b.Context) })
	return out
}

func (s *Server) getByGUID(_ http.ResponseWriter, _ *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	found := s.store.byGUID(in["guid"])
	if len(found) == 0 {
		return nil, schemaNotFound(in["guid"])
	}
	return found[0].entry.answer(), nil
}

func (s *Server) getIDsOfGUID(_ http.ResponseWriter, _ *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	found := s.store.byGUID(in["guid"])
	if len(found) == 0 {
		return nil, schemaNotFound(in["guid"])
	}
	return found, nil
}

func (s *Server) listTypes(http.ResponseWriter, *http.Request, args) (any, *Error) {
	types := []string{JSON, Protobuf, Avro}
	for format := range s.checkers {
		if !slices.Contains(types, format) {
			types = append(types, format)
		}
	}
	slices.Sort(types[3:])
	return types, nil
}

// contextNames lists the contexts that have something.
func (st *store) contextNames() []string {
	out := []string{defaultContext}
	for name, sp := range st.contexts {
		if name != defaultContext && len(sp.subjects) > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// under lists the subjects whose full names begin with the parameter
// subjectPrefix. Without it, or after ":*:", all contexts are searched.
func (st *store) under(r *http.Request) []*subject {
	prefix, all := ":*:", true
	if q := r.URL.Query(); q.Has("subjectPrefix") {
		prefix = q.Get("subjectPrefix")
	}
	if prefix, all = strings.CutPrefix(prefix, ":*:"); !all {
		prefix = strings.TrimPrefix(prefix, ":.:")
	}
	return slices.DeleteFunc(st.all(), func(s *subject) bool {
		if all {
			return !strings.HasPrefix(s.name.name, prefix)
		}
		// No prefix of a name in the default context is one of a context.
		return s.name.context != defaultContext && !strings.HasPrefix(prefix, ":.") || !strings.HasPrefix(s.name.String(), prefix)
	})
}

func (s *Server) listSchemas(_ http.ResponseWriter, r *http.Request, _ args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	out := []answer{}
	for _, sub := range s.store.under(r) {
		versions := sub.live()
		if flag(r, "deleted") {
			versions = sub.versions
		}
		if flag(r, "latestOnly") && len(versions) > 1 {
			versions = versions[len(versions)-1:]
		}
		for _, v := range versions {
			out = append(out, v.answer())
		}
	}
	return page(r, out)
}
