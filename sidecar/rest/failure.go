package rest

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A failure is the answer to a request, or to a record, that did not succeed.
// Its words are fixed, and its path holds names and indexes.
type failure struct {
	status int    // of HTTP
	code   int    // error_code as version 2 gives it
	reason string // for the Observer, of a closed set
	path   string // "" for none
	text   string
	retry  bool // a later try may help
	last   bool // what follows in a stream cannot be understood
}

// message is what a client reads.
func (f *failure) message() string {
	if f.path == "" {
		return f.text
	}
	return f.path + ": " + f.text
}

// at returns f with a path before its own.
func (f *failure) at(path string) *failure {
	g := *f
	g.path = join(path, f.path)
	return &g
}

// join puts two paths together. A path of a schema begins with a slash.
func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	case b[0] == '/' || b[0] == '[':
		return a + b
	default:
		return a + "." + b
	}
}

func recordPath(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func badRequest(path, text string) *failure {
	return &failure{status: 400, code: 400, reason: "request_invalid", path: path, text: text}
}

func badJSON(f fault) *failure {
	return &failure{status: 400, code: 400, reason: "json_invalid", text: f.text(), last: f.endsStream()}
}

func invalid(path, text string) *failure {
	return &failure{status: 422, code: 422, reason: "request_invalid", path: path, text: text}
}

func unknownKey(name []byte) *failure {
	return invalid("", "unknown key "+shownName(name))
}

// shownName returns a name as an error may show it. A key that does not look
// like a word of the protocol may be data that went astray.
func shownName(name []byte) string {
	const longest = 24
	if len(name) == 0 || len(name) > longest {
		return "(not shown)"
	}
	for _, c := range name {
		if c != '_' && (c < 'a' || c > 'z') {
			return "(not shown)"
		}
	}
	return string(name)
}

func internalFailure() *failure {
	return &failure{status: 500, code: 500, reason: "internal", text: "an internal error"}
}

func notFound(text string) *failure {
	return &failure{status: 404, code: 404, reason: "not_found", text: text}
}

func topicNotFound() *failure {
	return &failure{status: 404, code: 40401, reason: "topic_unknown", text: "the topic does not exist"}
}

func partitionNotFound() *failure {
	return &failure{status: 404, code: 40402, reason: "partition_unknown", text: "the partition does not exist"}
}

// guardFailure turns the word of a [Guard] into an answer.
func guardFailure(err error) *failure {
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return &failure{status: 401, code: 40101, reason: "unauthenticated", text: "the request is not authenticated"}
	case errors.Is(err, ErrDenied):
		return &failure{status: 403, code: 40301, reason: "denied", text: "the request is not allowed"}
	case errors.Is(err, ErrHost):
		return &failure{status: 421, code: 421, reason: "host_refused", text: "the request is for another host"}
	case errors.Is(err, ErrOrigin):
		return &failure{status: 403, code: 40302, reason: "origin_refused", text: "the request comes from a page of another origin"}
	default:
		return &failure{status: 503, code: 503, reason: "guard_unavailable", text: "permissions cannot be checked now", retry: true}
	}
}

// encodeFailure turns an error of an [Encoder] into an answer.
func encodeFailure(err error, isKey bool) *failure {
	var e EncodeError
	if !errors.As(err, &e) {
		return internalFailure()
	}
	f := &failure{status: 422, reason: e.Code(), path: e.Path(), retry: e.Retryable()}
	switch e.Code() {
	case "json_invalid":
		f.status, f.code, f.text = 400, 400, "not the JSON that the format asks for"
	case "base64_invalid":
		f.status, f.code, f.text = 400, 400, "not base64"
	case "schema_invalid":
		f.code, f.text = 42205, "the schema is not valid"
	case "schema_missing":
		return schemaMissing(isKey)
	case "schema_not_found":
		f.code, f.text = 42207, "the registry does not have the schema"
	case "registry_unavailable":
		f.status, f.code, f.text = 408, 40801, "the schema registry does not answer"
	case "value_unfit":
		f.code, f.text = 42203, "the value does not fit the schema"
	case "union_ambiguous":
		f.code, f.text = 42203, "the value fits more than one branch of a union: name the branch"
	default:
		return internalFailure()
	}
	return f
}

func schemaMissing(isKey bool) *failure {
	if isKey {
		return &failure{status: 422, code: 42201, reason: "schema_missing", text: "the key has no schema"}
	}
	return &failure{status: 422, code: 42202, reason: "schema_missing", text: "the value has no schema"}
}

// produceFailure turns an error of the pipeline into an answer to the whole
// request, or to a record that is one.
func produceFailure(e *produce.Error) *failure {
	if e == nil {
		return internalFailure()
	}
	f := &failure{reason: string(e.Code), path: e.Path, retry: e.Outcome == produce.Retryable || e.Outcome == produce.Unknown}
	switch e.Code {
	case produce.CodeInvalid:
		f.status, f.code, f.text = 422, 422, "the record is not valid"
	case produce.CodeTopicUnknown:
		return topicNotFound()
	case produce.CodePartitionUnknown:
		return partitionNotFound()
	case produce.CodeTooLarge:
		f.status, f.code, f.text = 413, 413, "the record is too large once it is protected"
	case produce.CodeRefused:
		f.status, f.code, f.text = 400, 40002, "the broker refuses the record"
	case produce.CodeKafkaDenied:
		f.status, f.code, f.text = 403, 40301, "the cluster does not let the sidecar write to the topic"
	case produce.CodeKafkaLogin:
		f.status, f.code, f.text = 401, 40101, "the cluster does not let the sidecar in"
	case produce.CodeKafkaUnavailable:
		f.status, f.code, f.text = 503, 50302, "the cluster does not take records now"
	case produce.CodeKafkaThrottled:
		f.status, f.code, f.text = 429, 42901, "a quota of the cluster is used up"
	case produce.CodeKafkaFailed:
		f.status, f.code, f.text = 500, 50002, "the cluster refuses the record"
	case produce.CodeOverloaded:
		f.status, f.code, f.text = 429, 429, "the sidecar has too much in flight"
	case produce.CodeDraining:
		f.status, f.code, f.text = 503, 503, "the sidecar is shutting down"
	case produce.CodeCanceled:
		f.status, f.code, f.text = 408, 408, "the request ended before the record was sent"
	case produce.CodeUnknown:
		f.status, f.code, f.text = 504, 50003, unknownText
	case produce.CodeInternal, produce.CodeNotSent:
		f.status, f.code, f.text = 500, 500, "an internal error"
	default:
		return protectFailure(e)
	}
	return f
}

const unknownText = "the outcome is not known: the record may be in the topic, or get there"

// protectFailure is for codes of the Protector: its refusals, and what it cannot
// do now.
func protectFailure(e *produce.Error) *failure {
	f := &failure{reason: string(e.Code), path: e.Path, text: protectText(e)}
	switch e.Outcome {
	case produce.Rejected:
		f.status, f.code = 422, 42206
	case produce.Retryable:
		f.status, f.code, f.retry = 503, 503, true
	case produce.Unknown, produce.Delivered:
		return internalFailure()
	default:
		return internalFailure()
	}
	return f
}

func protectText(e *produce.Error) string {
	text := "the record cannot be protected now: "
	if e.Outcome == produce.Rejected {
		text = "the policy refuses the record: "
	}
	text += string(e.Code)
	if e.Tag != "" {
		text += ", tag " + e.Tag
	}
	if e.Action != "" {
		text += ", action " + e.Action
	}
	return text
}

// afterHandover says whether a code is, or may be, of something that happened to
// one record after its request was handed over.
func afterHandover(c produce.Code) bool {
	switch c {
	case produce.CodeRefused, produce.CodeKafkaDenied, produce.CodeKafkaLogin, produce.CodeKafkaUnavailable,
		produce.CodeKafkaThrottled, produce.CodeKafkaFailed, produce.CodeUnknown, produce.CodeTooLarge,
		produce.CodeTopicUnknown, produce.CodePartitionUnknown:
		return true
	default:
		return false
	}
}

// brokerFailure turns what became of one record of a request that went through
// into its code in the list of version 2.
func brokerFailure(e *produce.Error) *failure {
	f := produceFailure(e)
	g := *f
	switch {
	case f.code == 40101 || f.code == 40301:
	case e != nil && e.Code == produce.CodeUnknown:
	case f.retry:
		g.code = 50003
	default:
		g.code = 50002
	}
	return &g
}

// outcome is that of a record that was not handed over because of f.
func (f *failure) outcome() produce.Outcome {
	if f.retry {
		return produce.Retryable
	}
	return produce.Rejected
}

// receipt turns f into what version 3 has inside a receipt: errors of validation
// become 422 with the five digits in the text, others keep them.
func (f *failure) receipt() (code int, message string) {
	if f.code > 42200 && f.code < 42300 {
		return http.StatusUnprocessableEntity, strconv.Itoa(f.code) + ": " + f.message()
	}
	return f.code, f.message()
}
