package registrytest

import (
	"encoding/json"
	"net/http"
	"slices"
)

// scope is the key under which something is configured for the subject in a
// path, which may be a context, or for all where there is none.
func scope(in args) string {
	if in["subject"] == "" {
		return ""
	}
	return full(in)
}

func (s *Server) getConfig(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	at := scope(in)
	if at == "" || flag(r, "defaultToGlobal") {
		return s.store.configInScope(at), nil
	}
	c, ok := s.store.configs[at]
	if !ok {
		return nil, errorf(CodeNoSubjectConfig, "Subject '%s' does not have subject-level compatibility configured", at)
	}
	return c, nil
}

func (s *Server) putConfig(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	body, fail := readBody(w, r)
	if fail != nil {
		return nil, fail
	}
	if fail := checkScope(in); fail != nil {
		return nil, fail
	}
	return s.configure(scope(in), body)
}

// checkScope refuses subjects that a registry refuses. A context alone is none.
func checkScope(in args) *Error {
	if at := scope(in); at != "" && parseSubject(at).name != "" {
		return checkSubject(at)
	}
	return nil
}

// configure applies the body of a request and returns what it says, spelt as a
// registry spells it.
func (s *Server) configure(at string, body []byte) (any, *Error) {
	st := s.store
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	c, fail := st.configs[at].update(body)
	if fail != nil {
		return nil, fail
	}
	if fail := st.writable(at); fail != nil {
		return nil, fail
	}
	st.configs[at] = c
	var echo map[string]any
	if fail := decode(body, &echo); fail != nil {
		return nil, fail
	}
	if _, ok := echo["compatibilityLevel"]; ok {
		delete(echo, "compatibilityLevel")
		echo["compatibility"] = nil
	}
	if _, ok := echo["compatibility"]; ok {
		echo["compatibility"] = c.CompatibilityLevel
	}
	return echo, nil
}

func (s *Server) deleteConfig(_ http.ResponseWriter, _ *http.Request, in args) (any, *Error) {
	st, at := s.store, scope(in)
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if fail := st.writable(at); fail != nil {
		return nil, fail
	}
	c, ok := st.configs[at]
	switch {
	case at == "":
		c = st.configInScope("")
	case !ok:
		return nil, subjectNotFound(at)
	}
	delete(st.configs, at)
	return c, nil
}

type modeBody struct {
	Mode string `json:"mode"`
}

func (s *Server) getMode(_ http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	at := scope(in)
	if at == "" || flag(r, "defaultToGlobal") {
		return modeBody{s.store.modeInScope(at)}, nil
	}
	mode, ok := s.store.modes[at]
	if !ok {
		return nil, errorf(CodeNoSubjectMode, "Subject '%s' does not have subject-level mode configured", at)
	}
	return modeBody{mode}, nil
}

func (s *Server) putMode(w http.ResponseWriter, r *http.Request, in args) (any, *Error) {
	body, fail := readBody(w, r)
	if fail != nil {
		return nil, fail
	}
	if fail := checkScope(in); fail != nil {
		return nil, fail
	}
	var given struct {
		Mode json.RawMessage `json:"mode"`
	}
	if fail := decode(body, &given); fail != nil {
		return nil, fail
	}
	var mode string
	if json.Unmarshal(given.Mode, &mode) != nil || !slices.Contains([]string{modeReadWrite, modeReadOnly, modeReadOnlyOverride, modeImport}, mode) {
		return nil, errorf(CodeInvalidMode, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT")
	}
	st, at := s.store, scope(in)
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if mode == modeImport && !flag(r, "force") && st.populated(at) {
		return nil, errorf(CodeNotPermitted, "Cannot import since found existing subjects")
	}
	st.modes[at] = mode
	return modeBody{mode}, nil
}

// populated tells whether the subject, the context, or the whole registry has a
// version.
func (st *store) populated(at string) bool {
	name := parseSubject(at)
	return slices.ContainsFunc(st.all(), func(s *subject) bool {
		return s.exists(false) && (at == "" || s.name == name || name.name == "" && s.name.context == name.context)
	})
}

func (s *Server) deleteMode(_ http.ResponseWriter, _ *http.Request, in args) (any, *Error) {
	st, at := s.store, scope(in)
	st.write.Lock()
	defer st.write.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	mode, ok := st.modes[at]
	switch {
	case at == "":
		mode = st.modeInScope("")
	case !ok:
		return nil, subjectNotFound(at)
	}
	delete(st.modes, at)
	return modeBody{mode}, nil
}
