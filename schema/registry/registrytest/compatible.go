package registrytest

import (
	"net/http"
)

type compatibility struct {
	Compatible bool     `json:"is_compatible"`
	Messages   []string `json:"messages,omitempty"`
}

// postCompatible compares a schema with one version.
func (s *Server) postCompatible(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	given, fail := readRegistration(w, r)
	if fail != nil {
		return nil, fail
	}
	number, fail := versionNumber(in["version"])
	if fail != nil {
		return nil, fail
	}
	s.store.mu.RLock()
	v := s.store.subject(parseSubject(in["subject"])).version(number, false)
	s.store.mu.RUnlock()
	switch {
	case v != nil:
		return s.compatible(r, full(in), given, []*version{v})
	case number == 0:
		return s.compatible(r, full(in), given, nil)
	default:
		return nil, versionNotFound(number)
	}
}

// postCompatibleAll compares a schema with the versions that a registration
// would compare it with.
func (s *Server) postCompatibleAll(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	given, fail := readRegistration(w, r)
	if fail != nil {
		return nil, fail
	}
	s.store.mu.RLock()
	live := s.store.subject(parseSubject(in["subject"])).live()
	s.store.mu.RUnlock()
	return s.compatible(r, full(in), given, live)
}

func (s *Server) compatible(r *http.Request, name string, given registration, versions []*version) (any, *Error) {
	s.store.mu.RLock()
	conf := s.store.configInScope(name)
	s.store.mu.RUnlock()
	schema, doc, fail := s.canonical(parseSubject(name).context, given.clone(), flag(r, "normalize"))
	if fail != nil {
		return nil, fail
	}
	problems, fail := s.problems(conf, schema, doc, versions)
	if fail != nil {
		return nil, fail
	}
	out := compatibility{Compatible: len(problems) == 0}
	if flag(r, "verbose") {
		out.Messages = problems
	}
	return out, nil
}
