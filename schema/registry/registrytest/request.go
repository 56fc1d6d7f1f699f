package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// ContentType is the media type of all answers.
const ContentType = "application/vnd.schemaregistry.v1+json"

// maxBody bounds the body of a request.
const maxBody = 4 << 20

// readBody takes the body of a request that must have one.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Error) {
	if given := r.Header.Get("Content-Type"); given != "" {
		kind, _, err := mime.ParseMediaType(given)
		if err != nil {
			return nil, plain(http.StatusUnsupportedMediaType)
		}
		switch kind {
		case ContentType, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream":
		default:
			return nil, plain(http.StatusUnsupportedMediaType)
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, plain(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return nil, errorf(http.StatusBadRequest, "the body could not be read")
	}
	// A client that repeats a request without its body must not go unnoticed.
	if body = bytes.TrimSpace(body); len(body) == 0 || bytes.Equal(body, []byte("null")) {
		return nil, errorf(http.StatusUnprocessableEntity, "the request has no body")
	}
	return body, nil
}

// decode reads a whole body into v.
func decode(body []byte, v any) *Error {
	if err := json.Unmarshal(body, v); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable says where a body is wrong. It does not repeat what stands there.
func unreadable(err error) *Error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errorf(http.StatusBadRequest, "the body has a value of the wrong type in the field '%s'", e.Field)
	}
	return errorf(http.StatusBadRequest, "the body is not the JSON that is expected here")
}

func unrecognized(field string) *Error {
	return errorf(http.StatusUnprocessableEntity, "Unrecognized field: %s", field)
}

// registration is the body of all requests that carry a schema.
type registration struct {
	Schema
	Version int
	ID      int
}

// readRegistration reads one strictly on the first level, where a misspelt name
// would lose references or rules without a word. Inside of metadata and rules,
// a registry skips what it does not know.
func readRegistration(w http.ResponseWriter, r *http.Request) (registration, *Error) {
	var in registration
	body, fail := readBody(w, r)
	if fail != nil {
		return in, fail
	}
	var named map[string]json.RawMessage
	if fail := decode(body, &named); fail != nil {
		return in, fail
	}
	for name := range named {
		switch name {
		case "schema", "schemaType", "references", "metadata", "ruleSet", "version", "id":
		case "subject", "guid", "ts", "deleted", "propagateSchemaTags":
			// Clients send back what they were given, and these say nothing new.
		default:
			return in, unrecognized(name)
		}
	}
	if fail := decode(body, &in.Schema); fail != nil {
		return in, fail
	}
	var numbers struct {
		Version *int32 `json:"version"`
		ID      *int32 `json:"id"`
	}
	if fail := decode(body, &numbers); fail != nil {
		return in, fail
	}
	if numbers.Version != nil {
		in.Version = int(*numbers.Version)
	}
	if numbers.ID != nil {
		in.ID = int(*numbers.ID)
	}
	if in.ID < 0 {
		in.ID = 0
	}
	return in, nil
}

// flag reads a boolean parameter: true in any case, else false.
func flag(r *http.Request, name string) bool {
	return strings.EqualFold(r.URL.Query().Get(name), "true")
}

// page cuts a list by the parameters offset and limit.
func page[T any](r *http.Request, list []T) ([]T, *Error) {
	offset, fail := count(r, "offset", 0)
	if fail != nil {
		return nil, fail
	}
	limit, fail := count(r, "limit", -1)
	if fail != nil {
		return nil, fail
	}
	list = list[min(max(offset, 0), len(list)):]
	if limit >= 0 {
		list = list[:min(limit, len(list))]
	}
	return list, nil
}

func count(r *http.Request, name string, none int) (int, *Error) {
	given := r.URL.Query().Get(name)
	if given == "" {
		return none, nil
	}
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil {
		return 0, plain(http.StatusNotFound)
	}
	return int(n), nil
}

// versionNumber reads the version in a path. Zero stands for the latest.
func versionNumber(given string) (int, *Error) {
	if strings.EqualFold(given, "latest") || given == "-1" {
		return 0, nil
	}
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil || n < 1 {
		return 0, errorf(CodeInvalidVersion, "The specified version '%s' is not a valid version id. "+
			"Allowed values are between [1, 2^31-1] and the string \"latest\"", given)
	}
	return int(n), nil
}

// idNumber reads the id in a path. One that is no number is no path.
func idNumber(given string) (int, *Error) {
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil {
		return 0, plain(http.StatusNotFound)
	}
	return int(n), nil
}
