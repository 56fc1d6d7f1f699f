package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// A Document is the text of a schema with the texts it refers to.
type Document struct {
	Text string
	// References holds all texts that are needed, also those of references of
	// references, each once and before those that need it.
	References []ReferencedText
}

// A ReferencedText is a registered schema that another one refers to by a name.
type ReferencedText struct {
	Name    string
	Subject string
	Version int
	Text    string
}

// A Checker says why data that was written with the older schema cannot be read
// with the newer one. No problems mean that it can. For the forward levels, the
// server calls it with both changed over.
//
// Before anything is registered, it is called with the same document twice: an
// error then means that the document is no valid schema. A Checker must be safe
// for concurrent use. It may read from the server, but must not change it.
type Checker func(newer, older Document) (problems []string, err error)

// AvroChecker is the Checker for Avro: it applies the rules by which readers
// resolve what writers wrote.
func AvroChecker(newer, older Document) ([]string, error) {
	reader, err := parseAvro(newer)
	if err != nil {
		return nil, err
	}
	writer, err := parseAvro(older)
	if err != nil {
		return nil, err
	}
	if err := avro.CheckCompatibility(writer, reader); err != nil {
		if e, ok := errors.AsType[*avro.CompatibilityError](err); ok {
			return []string{e.Error()}, nil
		}
		return nil, err
	}
	return nil, nil
}

func parseAvro(doc Document) (*avro.Schema, error) {
	var cache avro.SchemaCache
	for _, r := range doc.References {
		if _, err := cache.Parse(r.Text); err != nil {
			return nil, fmt.Errorf("reference %s: %w", r.Name, err)
		}
	}
	return cache.Parse(doc.Text)
}

// problems compares a new schema with the versions that a level asks for.
func (s *Server) problems(conf config, schema Schema, doc Document, versions []*version) ([]string, *Error) {
	level := conf.CompatibilityLevel
	if level == LevelNone {
		return nil, nil
	}
	if group := conf.CompatibilityGroup; group != "" {
		versions = slices.DeleteFunc(slices.Clone(versions), func(v *version) bool {
			return v.entry.schema.property(group) != schema.property(group)
		})
	}
	if !strings.HasSuffix(level, "_TRANSITIVE") && len(versions) > 1 {
		versions = versions[len(versions)-1:]
	}
	var all []string
	for _, v := range slices.Backward(versions) {
		found, fail := s.compare(level, schema, doc, v)
		if fail != nil {
			return nil, fail
		}
		all = append(all, found...)
	}
	if len(all) > 0 {
		all = append(all, "{compatibility: '"+level+"'}")
	}
	return all, nil
}

func (s Schema) property(name string) string {
	if s.Metadata == nil {
		return ""
	}
	return s.Metadata.Properties[name]
}

// compare checks one pair in the directions of the level.
func (s *Server) compare(level string, schema Schema, doc Document, old *version) ([]string, *Error) {
	from := old.entry.schema.clone()
	if from.Format != schema.Format {
		return []string{fmt.Sprintf("version %d has the schema type %s, not %s", old.number, from.Format, schema.Format)}, nil
	}
	s.store.mu.RLock()
	older, fail := s.store.resolve(old.subject.name.context, &from)
	s.store.mu.RUnlock()
	if fail != nil {
		return nil, fail
	}
	if older.equal(doc) {
		return nil, nil
	}
	check := s.checkers[schema.Format]
	if check == nil {
		return nil, errorf(CodeNotPermitted, "this server cannot compare %s schemas: start it with "+
			"registrytest.WithChecker(%q, ...), or set the compatibility level NONE", schema.Format, schema.Format)
	}
	var all []string
	try := func(direction string, newer, older Document) *Error {
		problems, err := check(newer, older)
		if err != nil {
			return errorf(CodeStore, "the compatibility with version %d could not be checked: %v", old.number, err)
		}
		for _, p := range problems {
			all = append(all, fmt.Sprintf("%s, version %d: %s", direction, old.number, p))
		}
		return nil
	}
	base := strings.TrimSuffix(level, "_TRANSITIVE")
	if base == LevelBackward || base == LevelFull {
		if fail := try("new reader, old data", doc, older); fail != nil {
			return nil, fail
		}
	}
	if base == LevelForward || base == LevelFull {
		if fail := try("old reader, new data", older, doc); fail != nil {
			return nil, fail
		}
	}
	return all, nil
}

func (d Document) equal(o Document) bool {
	return d.Text == o.Text && slices.EqualFunc(d.References, o.References, func(a, b ReferencedText) bool {
		return a.Name == b.Name && a.Text == b.Text
	})
}

func incompatible(full string, problems []string) *Error {
	return errorf(CodeIncompatible, "Schema being registered is incompatible with an earlier schema for subject \"%s\", details: [%s]",
		full, strings.Join(problems, ", "))
}
