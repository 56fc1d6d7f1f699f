package registrytest

import (
	"strings"
	"unicode"
)

// defaultContext is the name of the context of subjects that name none.
const defaultContext = "."

// subjectName is a subject with its context taken apart. The full name of a
// subject outside of the default context is ":.context:name".
type subjectName struct {
	context string // begins with a dot
	name    string
}

func parseSubject(full string) subjectName {
	if rest, ok := strings.CutPrefix(full, ":."); ok {
		context, name, found := strings.Cut(rest, ":")
		if found {
			return subjectName{context: "." + context, name: name}
		}
		return subjectName{context: "." + rest}
	}
	return subjectName{context: defaultContext, name: full}
}

func (n subjectName) String() string {
	if n.context == defaultContext {
		return n.name
	}
	return ":" + n.context + ":" + n.name
}

// checkSubject refuses names that a registry refuses on writing.
func checkSubject(full string) *Error {
	name := parseSubject(full).name
	if name == "" || name == "__GLOBAL" || name == "__EMPTY" || strings.ContainsFunc(full, unicode.IsControl) {
		return errorf(CodeInvalidSubject, "The specified subject '%s' is not a valid subject.", full)
	}
	return nil
}
