package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// maxReferences bounds the schemas that one schema reaches by references.
const maxReferences = 256

// canonical checks a schema by itself, resolves its references, and brings its
// text into the form in which it is stored. It takes no lock while a checker
// runs.
func (s *Server) canonical(context string, given Schema, normalize bool) (Schema, Document, *Error) {
	if given.Format == "" {
		given.Format = Avro
	}
	check, ok := s.checkers[given.Format]
	if !ok {
		return given, Document{}, invalidSchema("Invalid schema type %s", given.Format)
	}
	if strings.TrimSpace(given.Text) == "" {
		return given, Document{}, invalidSchema("Empty schema")
	}
	s.store.mu.RLock()
	doc, fail := s.store.resolve(context, &given)
	s.store.mu.RUnlock()
	if fail != nil {
		return given, Document{}, fail
	}
	if check != nil {
		// A schema that can be compared with itself is a schema.
		if _, err := check(doc, doc); err != nil {
			return given, Document{}, invalidSchema("%v", err)
		}
	}
	if given.Format != Protobuf {
		var out bytes.Buffer
		if json.Compact(&out, []byte(given.Text)) != nil {
			return given, Document{}, invalidSchema("not one JSON value")
		}
		given.Text = out.String()
	}
	if normalize {
		given.Text = normalText(given.Format, given.Text)
		given.References = sortedReferences(given.References)
	}
	doc.Text = given.Text
	return given, doc, nil
}

// resolve gathers the texts of all references, those that are referred to
// before those who refer to them, and replaces the version -1 by the latest.
func (st *store) resolve(context string, given *Schema) (Document, *Error) {
	doc := Document{Text: given.Text}
	done := make(map[*entry]bool)
	var visit func(context string, refs []Reference, pin bool) *Error
	visit = func(context string, refs []Reference, pin bool) *Error {
		for i, r := range refs {
			if r.Name == "" || r.Subject == "" {
				return invalidSchema("a reference has no name or no subject")
			}
			number := max(r.Version, 0)
			v := st.subject(within(context, r.Subject)).version(number, true)
			if v == nil {
				return invalidSchema("No schema reference found for subject \"%s\" and version %d", r.Subject, r.Version)
			}
			if pin {
				refs[i].Version = v.number
			}
			// References always point at what was there before: there are no
			// cycles.
			if done[v.entry] {
				continue
			}
			done[v.entry] = true
			if len(done) > maxReferences {
				return invalidSchema("more than %d schemas by reference", maxReferences)
			}
			if v.entry.schema.Format != given.Format {
				return invalidSchema("the reference to subject \"%s\" is of another schema type", r.Subject)
			}
			if fail := visit(v.subject.name.context, v.entry.schema.References, false); fail != nil {
				return fail
			}
			doc.References = append(doc.References, ReferencedText{
				Name: r.Name, Subject: v.subject.name.String(), Version: v.number, Text: v.entry.schema.Text,
			})
		}
		return nil
	}
	return doc, visit(context, given.References, true)
}

func sortedReferences(refs []Reference) []Reference {
	return slices.SortedStableFunc(slices.Values(refs), func(a, b Reference) int { return strings.Compare(a.Name, b.Name) })
}

var errNotOneValue = errors.New("not one JSON value")

// parseJSON reads a text that must be one JSON value, keeping numbers as they
// are written.
func parseJSON(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errNotOneValue
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errNotOneValue
	}
	return v, nil
}

// normalText spells a valid text in one way: keys of JSON objects in order,
// and Avro types that say nothing but their name as that name. Other texts stay
// as they are.
func normalText(format, text string) string {
	if format == Protobuf {
		return text
	}
	v, err := parseJSON(text)
	if err != nil {
		return text
	}
	if format == Avro {
		v = plainTypes(v)
	}
	return string(encode(v))
}

// plainTypes replaces {"type": "string"} by "string", and so on, where a type
// stands. Elsewhere, as in a default, an object of that look is a value.
func plainTypes(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plainTypes(v[i])
		}
	case map[string]any:
		if inner, ok := v["type"].(string); ok && len(v) == 1 {
			return inner
		}
		for _, key := range []string{"type", "items", "values", "fields"} {
			if inner, ok := v[key]; ok {
				v[key] = plainTypes(inner)
			}
		}
	}
	return v
}
