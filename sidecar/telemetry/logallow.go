package telemetry

import (
	"log/slog"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// A kind is the grammar of an attribute's value.
type kind uint8

const (
	_ kind = iota
	kindWord
	kindName
	kindTopic
	kindRoute
	kindPath
	kindNumber
	kindDuration
	kindTime
	kindFlag
	kindError
	kindStack
	kindID
	kindPrincipal
	kindFinding
)

// allowed are the attributes that a line of the log may show. What is not here is
// not shown; adding a key is a decision about data, so it stands in one place.
func allowed() map[string]kind {
	return map[string]kind{
		// What happened, in words of the program.
		"component": kindWord, "event": kindWord, "outcome": kindWord, "decision": kindWord, "code": kindWord,
		"reason": kindWord, "cause": kindWord, "method": kindWord, "state": kindWord, "protocol": kindWord,
		"operation": kindWord, "action": kindWord, "trigger": kindWord, "where": kindWord, "kind": kindWord, "format": kindWord,
		// Names that the configuration or the operator gives.
		"key": kindName, "endpoint": kindPath, "listener": kindPath, "address": kindPath, "broker": kindPath,
		"client": kindName, "principal": kindPrincipal, "version": kindPath, "policy": kindName, "commit": kindName,
		"hash": kindName, "file": kindPath, "certificate": kindName, "tag": kindName, "subject": kindName,
		"cluster": kindName, "group": kindName, "go": kindName, "config": kindName, "change": kindName,
		// What a request was about.
		"request": kindID, "trace": kindName, "span": kindName, "route": kindRoute, "topic": kindTopic, "path": kindPath,
		// How much, how long, when.
		"status": kindNumber, "records": kindNumber, "failed": kindNumber, "delivered": kindNumber, "unknown": kindNumber,
		"in_bytes": kindNumber, "out_bytes": kindNumber, "bytes": kindNumber, "streams": kindNumber, "count": kindNumber,
		"suppressed": kindNumber, "generation": kindNumber, "partition": kindNumber, "partitions": kindNumber,
		"kafka": kindNumber, "schema": kindNumber, "limit": kindNumber, "attempt": kindNumber, "line": kindNumber,
		"pid": kindNumber, "signal": kindWord,
		"took": kindDuration, "left": kindDuration, "wait": kindDuration, "timeout": kindDuration, "delay": kindDuration,
		"not_after": kindTime, "until": kindTime, "since": kindTime,
		"ok": kindFlag, "fips": kindFlag, "tls": kindFlag,
		// What went wrong: of an error only what cannot hold data. See [ErrorText].
		"error": kindError, "type": kindName, "stack": kindStack, "finding": kindFinding,
	}
}

// stack is the text of a stack. Nobody outside of this package can make one.
type stack string

// SafeText is a text made of fixed words and of names that the configuration gives,
// such as a warning about a setting: who makes one promises that no record and no
// secret had a part in it. The log shows it under the name "finding".
type SafeText string

// maxText bounds every text in a line but the long ones: errors and findings name
// all that is wrong.
const (
	maxText = 512
	maxLong = 4096
)

// show returns the value of an attribute as the log may show it, and false when
// it may not.
func (h *handler) show(key string, v slog.Value) (slog.Value, bool) {
	k, ok := h.core.allowed[key]
	if !ok {
		return slog.Value{}, false
	}
	v = v.Resolve()
	switch k {
	case kindNumber:
		switch v.Kind() { //nolint:exhaustive // the others are no numbers
		case slog.KindInt64, slog.KindUint64, slog.KindFloat64:
			return v, true
		}
	case kindDuration:
		if v.Kind() == slog.KindDuration {
			return v, true
		}
	case kindTime:
		if v.Kind() == slog.KindTime {
			return slog.TimeValue(v.Time().Round(time.Second).UTC()), true
		}
	case kindFlag:
		if v.Kind() == slog.KindBool {
			return v, true
		}
	case kindError:
		if err, ok := v.Any().(error); ok {
			return slog.StringValue(oneLine(h.core.errorText(err))), true
		}
	case kindFinding:
		switch f := v.Any().(type) {
		case fieldcrypt.Finding:
			return slog.StringValue(oneLine(f.String())), true
		case SafeText:
			return slog.StringValue(oneLine(string(f))), true
		}
	case kindStack:
		if s, ok := v.Any().(stack); ok {
			return slog.StringValue(string(s)), true
		}
	case kindWord, kindName, kindTopic, kindRoute, kindPath, kindID, kindPrincipal:
		// A type of its own, such as produce.Code, is no string to slog.
		if s, ok := textOf(v); ok && fits(k, s) {
			return slog.StringValue(s), true
		}
	}
	return slog.Value{}, false
}

// oneLine writes a list of lines as one.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

// textOf returns the text of v. Values whose text a method makes are not asked:
// a type may print more than its author thought of.
func textOf(v slog.Value) (string, bool) {
	if v.Kind() == slog.KindString {
		return v.String(), true
	}
	return "", false
}

// fits tells whether s follows the grammar of k. The empty text says nothing and
// fits all of them.
func fits(k kind, s string) bool {
	if s == "" {
		return true
	}
	switch k {
	case kindWord:
		return isWord(s, 64)
	case kindName:
		return isName(strings.TrimPrefix(s, "*"), 253)
	case kindTopic:
		return isTopic(s)
	case kindRoute:
		return isRoute(s)
	case kindPath:
		return isPath(s)
	case kindID:
		return isRequestID(s)
	case kindPrincipal:
		return isPrincipal(s)
	default:
		return false
	}
}

// isRoute tells whether s is a pattern of net/http, with its method, or the name
// of an RPC.
func isRoute(s string) bool {
	if method, rest, ok := strings.Cut(s, " "); ok {
		return isUpper(method) && isPath(rest)
	}
	return isPath(s)
}

func isUpper(s string) bool {
	return s != "" && len(s) <= 16 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// isPrincipal tells whether s may be the name of a caller, as access control has
// found it: of a token, a certificate or a claim. What has a space or an @ may be
// a person, and is none for the log.
func isPrincipal(s string) bool {
	if len(s) > 253 {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("._-/:|+~", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isPath tells whether s is the path of a file, a route or a field, an address or
// a version.
func isPath(s string) bool {
	if len(s) > 253 {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("._-/:{}$*~[]+", s[i]) < 0 {
			return false
		}
	}
	return true
}

// noteOf returns the name under which a removed attribute is noted. A name that
// does not look like one of the program is not shown either: a call with an
// argument too many makes names out of values.
func noteOf(key string) string {
	if key == "" || len(key) > 32 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "?"
	}
	return key
}
