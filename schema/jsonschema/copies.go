package jsonschema

import (
	"errors"
	"net/url"
	"strings"
)

var errCopy = errors.New("jsonschema: " + copyProperty + " stands in a definition that is no copy")

// checkCopies fails when a definition that is said to be a copy says something
// else than its source. It would count as the same subschema.
func (u *unsealer) checkCopies(doc any) error {
	for pointer, source := range u.copies {
		c, ok := lookup(doc, pointer)
		o, found := lookup(doc, source)
		copied, isObject := c.(object)
		original, wasObject := o.(object)
		if !ok || !found || !isObject || !wasObject || strings.Count(pointer, "/") != 2 {
			return errCopy
		}
		for _, key := range notCopied() {
			original = original.without(key)
		}
		if !u.sameCopy(copied, original.without(DerivedProperty)) {
			return errCopy
		}
	}
	return nil
}

// notCopied are the keywords of a subschema that its copies do not have, because
// they would be there twice.
func notCopied() []string {
	return []string{"$id", "id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "definitions", "$defs"}
}

func (u *unsealer) sameCopy(copied, original any) bool {
	switch c := copied.(type) {
	case object:
		o, ok := original.(object)
		if !ok || len(c) != len(o) {
			return false
		}
		for i := range c {
			same := c[i].key == o[i].key && u.sameCopy(c[i].value, o[i].value)
			if !same && !u.sameReference(c[i], o[i]) {
				return false
			}
		}
		return true
	case []any:
		o, ok := original.([]any)
		if !ok || len(c) != len(o) {
			return false
		}
		for i := range c {
			if !u.sameCopy(c[i], o[i]) {
				return false
			}
		}
		return true
	case nil:
		return original == nil
	default:
		// Strings, numbers and booleans; an object or array is not comparable.
		switch original.(type) {
		case object, []any:
			return false
		}
		return copied == original
	}
}

// sameReference tells whether a copy refers to the copy of what its source refers
// to.
func (u *unsealer) sameReference(copied, original member) bool {
	to, ok := copied.value.(string)
	from, wasText := original.value.(string)
	if !ok || !wasText || copied.key != "$ref" {
		return false
	}
	source, isPointer := u.target(to)
	if !isPointer {
		return false
	}
	switch original.key {
	case "$ref":
		was, isPointer := u.target(from)
		// An anchor may be that of anything.
		return !isPointer || was == source
	case "$dynamicRef", "$recursiveRef":
		return true
	}
	return false
}

// target returns where a reference leads to, or to what that is a copy of. It
// fails when the reference holds no JSON Pointer into the schema itself.
func (u *unsealer) target(ref string) (string, bool) {
	fragment, local := strings.CutPrefix(ref, "#")
	pointer, err := url.PathUnescape(fragment)
	if !local || err != nil || pointer != "" && pointer[0] != '/' {
		return "", false
	}
	if source, ok := u.copies[pointer]; ok {
		return source, true
	}
	return pointer, true
}
