package registrytest

import (
	"net/http"
	"slices"
)

func (s *Server) listSubjects(_ http.ResponseWriter, r *http.Request, _ args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	out := []string{}
	for _, sub := range s.store.under(r) {
		switch {
		case flag(r, "deletedOnly") && sub.exists(false):
		case !flag(r, "deletedOnly") && !sub.exists(flag(r, "deleted")):
		default:
			out = append(out, sub.name.String())
		}
	}
	return page(r, out)
}

// full is the name of the subject in a path, in the form that answers have.
func full(in args) string { return parseSubject(in["subject"]).String() }

func (s *Server) postLookup(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	given, fail := readRegistration(w, r)
	if fail != nil {
		return nil, fail
	}
	subject, deleted := full(in), flag(r, "deleted")
	s.store.mu.RLock()
	known := s.store.subject(parseSubject(subject)).exists(deleted)
	s.store.mu.RUnlock()
	if !known {
		return nil, subjectNotFound(subject)
	}
	given.RuleSet = given.RuleSet.clone()
	given.RuleSet.complete()
	v, fail := s.lookup(subject, given.Schema, flag(r, "normalize"), deleted)
	if fail != nil {
		return nil, fail
	}
	if v == nil {
		return nil, errorf(CodeSchemaNotFound, "Schema not found")
	}
	return s.sent(v), nil
}

// sent reads a version for an answer: it may be deleted meanwhile.
func (s *Server) sent(v *version) answer {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return v.answer()
}

func (s *Server) postVersion(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	given, fail := readRegistration(w, r)
	if fail != nil {
		return nil, fail
	}
	v, fail := s.register(full(in), given, flag(r, "normalize"))
	if fail != nil {
		return nil, fail
	}
	a := s.sent(v)
	a.Subject = ""
	return a, nil
}

func (s *Server) listVersions(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	sub, only := s.store.subject(parseSubject(in["subject"])), flag(r, "deletedOnly")
	deleted := flag(r, "deleted") || only
	if !sub.exists(deleted) {
		return nil, subjectNotFound(full(in))
	}
	out := []int{}
	for _, v := range sub.versions {
		if !v.deleted && only || v.deleted && !deleted {
			continue
		}
		out = append(out, v.number)
	}
	return page(r, out)
}

// version finds the version in a path.
func (s *Server) version(in args, deleted bool) (*version, *Error) {
	number, fail := versionNumber(in["version"])
	if fail != nil {
		return nil, fail
	}
	return s.store.find(full(in), number, deleted)
}

func (s *Server) getVersion(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	v, fail := s.version(in, flag(r, "deleted"))
	if fail != nil {
		return nil, fail
	}
	return v.answer(), nil
}

func (s *Server) getVersionText(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	v, fail := s.version(in, flag(r, "deleted"))
	if fail != nil {
		return nil, fail
	}
	return raw(v.entry.schema.Text), nil
}

func (s *Server) getReferrers(_ http.ResponseWriter, _ *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	v, fail := s.version(in, true)
	if fail != nil {
		return nil, fail
	}
	return append([]int{}, s.store.referrers(v)...), nil
}

// getByMetadata returns the latest version whose metadata has all the
// properties that the parameters key and value name in turn.
func (s *Server) getByMetadata(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	keys, values, deleted := r.URL.Query()["key"], r.URL.Query()["value"], flag(r, "deleted")
	sub := s.store.subject(parseSubject(in["subject"]))
	if !sub.exists(deleted) {
		return nil, subjectNotFound(full(in))
	}
	if len(keys) != len(values) {
		return nil, errorf(http.StatusBadRequest, "as many keys as values are needed")
	}
	for _, v := range slices.Backward(sub.versions) {
		if (!v.deleted || deleted) && v.entry.schema.has(keys, values) {
			return v.answer(), nil
		}
	}
	return nil, errorf(CodeSchemaNotFound, "Schema not found")
}

func (s Schema) has(keys, values []string) bool {
	for i, key := range keys {
		if s.Metadata == nil {
			return false
		}
		if got, ok := s.Metadata.Properties[key]; !ok || got != values[i] {
			return false
		}
	}
	return true
}
