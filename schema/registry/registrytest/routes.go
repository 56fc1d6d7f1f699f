package registrytest

import (
	"net/http"
)

// routes builds the part of the interface that deals with schemas. A part with
// other rules for paths is another router, chosen by the head of the path.
func (s *Server) routes() http.Handler {
	rt := newRouter()
	rt.handle("GET /", func(http.ResponseWriter, *http.Request, args) (any, *Error) { return struct{}{}, nil })
	rt.handle("GET /v1/metadata/id", s.metadataID)
	rt.handle("GET /contexts", s.listContexts)

	rt.handle("GET /schemas", s.listSchemas)
	rt.handle("GET /schemas/types", s.listTypes)
	rt.handle("GET /schemas/ids/{id}", s.getByID)
	rt.handle("GET /schemas/ids/{id}/schema", s.getTextByID)
	rt.handle("GET /schemas/ids/{id}/subjects", s.getSubjectsOfID)
	rt.handle("GET /schemas/ids/{id}/versions", s.getVersionsOfID)
	rt.handle("GET /schemas/guids/{guid}", s.getByGUID)
	rt.handle("GET /schemas/guids/{guid}/ids", s.getIDsOfGUID)

	rt.handle("GET /subjects", s.listSubjects)
	rt.handle("POST /subjects/{subject}", s.postLookup)
	rt.handle("DELETE /subjects/{subject}", s.deleteSubject)
	rt.handle("GET /subjects/{subject}/metadata", s.getByMetadata)
	rt.handle("GET /subjects/{subject}/versions", s.listVersions)
	rt.handle("POST /subjects/{subject}/versions", s.postVersion)
	rt.handle("GET /subjects/{subject}/versions/{version}", s.getVersion)
	rt.handle("DELETE /subjects/{subject}/versions/{version}", s.deleteVersion)
	rt.handle("GET /subjects/{subject}/versions/{version}/schema", s.getVersionText)
	rt.handle("GET /subjects/{subject}/versions/{version}/referencedby", s.getReferrers)

	rt.handle("POST /compatibility/subjects/{subject}/versions", s.postCompatibleAll)
	rt.handle("POST /compatibility/subjects/{subject}/versions/{version}", s.postCompatible)

	for _, path := range []string{"/config", "/config/{subject}"} {
		rt.handle("GET "+path, s.getConfig)
		rt.handle("PUT "+path, s.putConfig)
		rt.handle("DELETE "+path, s.deleteConfig)
	}
	for _, path := range []string{"/mode", "/mode/{subject}"} {
		rt.handle("GET "+path, s.getMode)
		rt.handle("PUT "+path, s.putMode)
		rt.handle("DELETE "+path, s.deleteMode)
	}
	return rt
}

func (s *Server) metadataID(http.ResponseWriter, *http.Request, args) (any, *Error) {
	return map[string]any{
		"id": "",
		"scope": map[string]any{
			"path":     []string{},
			"clusters": map[string]string{"kafka-cluster": "registrytest", "schema-registry-cluster": "schema-registry"},
		},
	}, nil
}

func (s *Server) listContexts(_ http.ResponseWriter, r *http.Request, _ args) (any, *Error) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return page(r, s.store.contextNames())
}
