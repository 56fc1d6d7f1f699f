package telemetry

import (
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// other is the label of what is not in its set.
const other = "other"

// codeOK is the label that a delivered record has for its code.
const codeOK = "ok"

// A set is a closed set of label values. It is immutable.
type set map[string]string

func newSet(values ...string) set {
	s := make(set, len(values))
	for _, v := range values {
		s[v] = v
	}
	return s
}

// of returns v if it is in the set, and other if not.
func (s set) of(v string) string {
	if known, ok := s[v]; ok {
		return known
	}
	return other
}

// outcomes are those of records, in the order of produce.Outcome.
func outcomes() []string { return []string{"unknown", "delivered", "rejected", "retryable"} }

// codes are the reasons that a record can have: those of the pipeline, and those
// of the engine behind it, which a test looks for, and those of the decoders and
// of access control in front.
func codes() []string {
	return []string{
		codeOK,
		"request_invalid", "topic_unknown", "partition_unknown", "record_too_large", "record_refused", "kafka_denied",
		"kafka_login_failed", "kafka_unavailable", "kafka_throttled", "kafka_failed", "batch_refused", "overloaded",
		"draining", "canceled", "outcome_unknown", "internal",
		"topic_ungoverned", "schema_untagged", "protection_lost", "memory_unavailable", "record_protected",
		"record_invalid", "schema_unavailable", "policy_mismatch", "tenant_missing", "record_malformed",
		"value_not_text", "value_unfit", "value_rejected", "person_missing", "person_forgotten", "vault_unavailable",
		"vault_unusable", "token_unknown", "detokenize_denied", "detokenize_limited", "value_too_large",
		"key_unavailable", "key_unusable", "key_unknown", "key_foreign", "value_moved", "value_unsealed",
		"value_tampered", "format_unknown", "tenant_denied",
		"json_invalid", "base64_invalid", "schema_invalid", "schema_missing", "schema_not_found", "registry_unavailable",
		"union_ambiguous", "unauthenticated", "denied", "host_refused", "origin_refused",
	}
}

// A pair is an outcome with a code.
type pair struct{ outcome, code string }

// watched are the pairs that an alert looks at. They are there from the start,
// because the increase of a counter that appears with its first event is not
// seen.
func watched() []pair {
	return []pair{
		{"delivered", codeOK},
		{"unknown", "outcome_unknown"},
		{"retryable", "key_unavailable"},
		{"retryable", "kafka_unavailable"},
		{"retryable", "vault_unavailable"},
		{"retryable", "memory_unavailable"},
		{"retryable", "overloaded"},
		{"rejected", "key_unusable"},
		{"rejected", "protection_lost"},
		{"rejected", "internal"},
	}
}

// receiptCodes are the error codes of the Confluent protocols, and the statuses
// that stand in their place.
func receiptCodes() []int {
	return []int{
		200, 400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503,
		40002, 40101, 40301, 40401, 40402, 40403, 40801,
		42201, 42202, 42203, 42205, 42206, 42207, 42208, 42901, 50002, 50003, 50302,
	}
}

func statusClasses() []string { return []string{"1xx", "2xx", "3xx", "4xx", "5xx"} }

// statusClass returns the class of an HTTP status.
func statusClass(status int) string {
	if status < 100 || status > 599 {
		return other
	}
	return statusClasses()[status/100-1]
}

func kmsOps() []string { return []string{string(datakey.OpGenerate), string(datakey.OpUnwrap)} }

func kmsOutcomes() []string {
	return []string{
		string(datakey.OutcomeOK), string(datakey.OutcomeDenied), string(datakey.OutcomeNotFound),
		string(datakey.OutcomeDisabled), string(datakey.OutcomeCorrupt), string(datakey.OutcomeInvalid),
		string(datakey.OutcomeThrottled), string(datakey.OutcomeUnavailable), string(datakey.OutcomeTimeout),
		string(datakey.OutcomeFailed), string(datakey.OutcomeCanceled),
	}
}

func dropReasons() []string {
	return []string{
		string(datakey.DropReplaced), string(datakey.DropExpired), string(datakey.DropExhausted),
		string(datakey.DropRevoked), string(datakey.DropEvicted), string(datakey.DropClosed),
	}
}

func circuitStates() []string {
	return []string{string(datakey.CircuitClosed), string(datakey.CircuitHalfOpen), string(datakey.CircuitOpen)}
}

// The sets of the parts around the pipeline.
func reloadOutcomes() []string { return []string{"ok", "unchanged", "refused", "failed"} }
func authMethods() []string {
	return []string{"none", "anonymous", "token", "basic", "jwt", "mtls", "spiffe", "unix"}
}
func authDecisions() []string { return []string{"allowed", "denied", "unauthenticated", "failed"} }
func auditOutcomes() []string { return []string{"written", "failed"} }
func drainCauses() []string   { return []string{"completed", "timeout", "forced"} }
func refusalCodes() []string  { return []string{"overloaded", "draining"} }
func logLevels() []string     { return []string{"debug", "info", "warn", "error"} }

// bounded is a set that grows up to a limit, for names that the configuration
// gives and that are not known here when the metrics are made: keys of a policy,
// endpoints of a KMS. The caller holds the lock that it needs.
type bounded struct {
	names []string
	limit int
}

// of returns name, or other once there are too many or when it is no name at all.
func (b *bounded) of(name string) string {
	if !isName(name, maxLabelLen) {
		return other
	}
	if slices.Contains(b.names, name) {
		return name
	}
	if len(b.names) >= b.limit {
		return other
	}
	b.names = append(b.names, name)
	return name
}

// maxLabelLen bounds labels that are not of a set.
const maxLabelLen = 128

// isName tells whether s is a name of something and not a text: letters, digits
// and ._:/-, the first of them a letter or a digit.
func isName(s string, limit int) bool {
	if s == "" || len(s) > limit || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' && s[i] != '/' && s[i] != ':' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isWord tells whether s is lower_snake, as codes are.
func isWord(s string, limit int) bool {
	if s == "" || len(s) > limit || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
