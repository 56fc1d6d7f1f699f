package registrytest

import (
	"net/http"
)

// referenced refuses to delete what others refer to.
func (st *store) referenced(v *version) *Error {
	if len(st.referrers(v)) == 0 {
		return nil
	}
	return errorf(CodeReferenceExists, "One or more references exist to the schema {subject=%s,version=%d}.", v.subject.name, v.number)
}

// deleteVersion deletes softly, or for good what was deleted softly before.
func (s *Server) deleteVersion(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	st := s.store
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	v, fail := s.version(in, true)
	if fail != nil {
		return nil, fail
	}
	if fail := st.writable(full(in)); fail != nil {
		return nil, fail
	}
	permanent := flag(r, "permanent")
	switch {
	case v.deleted && !permanent:
		return nil, errorf(CodeVersionSoftDeleted, "Subject '%s' Version %d was soft deleted. Set permanent=true to delete permanently", full(in), v.number)
	case !v.deleted && permanent:
		return nil, errorf(CodeVersionNotSoftDeleted, "Subject '%s' Version %d was not deleted first before being permanently deleted", full(in), v.number)
	}
	if fail := st.referenced(v); fail != nil {
		return nil, fail
	}
	if permanent {
		st.remove(v)
	} else {
		v.deleted = true
	}
	return v.number, nil
}

// deleteSubject deletes all versions, and answers with their numbers.
func (s *Server) deleteSubject(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	st, name, permanent := s.store, full(in), flag(r, "permanent")
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	sub := st.subject(parseSubject(name))
	switch {
	case !sub.exists(true):
		return nil, subjectNotFound(name)
	case !permanent && !sub.exists(false):
		return nil, errorf(CodeSubjectSoftDeleted, "Subject '%s' was soft deleted. Set permanent=true to delete permanently", name)
	case permanent && sub.exists(false):
		return nil, errorf(CodeSubjectNotSoftDeleted, "Subject '%s' was not deleted first before being permanently deleted", name)
	}
	if fail := st.writable(name); fail != nil {
		return nil, fail
	}
	doomed := sub.live()
	if permanent {
		doomed = append(doomed, sub.versions...)
	}
	for _, v := range doomed {
		if fail := st.referenced(v); fail != nil {
			return nil, fail
		}
	}
	out := []int{}
	for _, v := range doomed {
		out = append(out, v.number)
		if permanent {
			st.remove(v)
		} else {
			v.deleted = true
		}
	}
	// What was configured for the subject goes with it.
	delete(st.configs, name)
	delete(st.modes, name)
	return out, nil
}
