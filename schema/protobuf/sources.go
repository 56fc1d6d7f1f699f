package protobuf

import (
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/fieldveil/fieldveil/schema"
)

//go:embed proto
var builtin embed.FS

// descriptorPath is the file that no reference can replace: the options are read
// with it.
const descriptorPath = "google/protobuf/descriptor.proto"

// A source is one file before it is compiled: a text or a descriptor.
type source struct {
	text string
	desc *descriptorpb.FileDescriptorProto
}

// sources are the files of one schema, by the names under which they are
// imported.
type sources struct {
	main  string
	files map[string]source
	order []string // of the files, as they were given
	counts
}

// types are all files that a schema needs, linked.
type types struct {
	files *protoregistry.Files
	*dynamicpb.Types
	protos map[string]*descriptorpb.FileDescriptorProto // by path, with their options resolved
}

func newSources(text schema.Text) (*sources, error) {
	if text.Format != schema.Protobuf {
		return nil, fmt.Errorf("protobuf: schema of format %.20q", text.Format)
	}
	if len(text.References) > maxReferences {
		return nil, fmt.Errorf("protobuf: more than %d references", maxReferences)
	}
	if len(text.Names) > 0 && len(text.Names) != len(text.References) {
		return nil, fmt.Errorf("protobuf: %d names for %d references", len(text.Names), len(text.References))
	}
	size := len(text.Schema)
	for i, ref := range text.References {
		size += len(ref)
		if i < len(text.Names) {
			size += len(text.Names[i])
		}
	}
	if size > maxText {
		return nil, fmt.Errorf("protobuf: schema and references are longer than %d bytes", maxText)
	}
	s := &sources{files: make(map[string]source)}
	for i, ref := range text.References {
		name := ""
		if i < len(text.Names) {
			name = text.Names[i]
		}
		if _, err := s.add(name, ref); err != nil {
			return nil, fmt.Errorf("%w, in reference %d", err, i)
		}
	}
	name := "schema.proto"
	for _, taken := s.files[name]; taken; _, taken = s.files[name] {
		name = "_" + name
	}
	var err error
	s.main, err = s.add(name, text.Schema)
	return s, err
}

// add takes one file, or all those of a set, of which the last gets the name.
func (s *sources) add(name, text string) (string, error) {
	raw, serialized := unarmor(text)
	if !serialized {
		if name == "" {
			return "", errors.New("protobuf: a text has no name to import it by")
		}
		if err := s.counts.checkText(text); err != nil {
			return "", err
		}
		return name, s.put(name, source{text: text})
	}
	files, err := descriptors(raw)
	if err != nil {
		return "", err
	}
	for i, f := range files {
		if err := s.counts.checkDescriptor(f); err != nil {
			return "", err
		}
		nameInJSON(f.GetMessageType())
		if i == len(files)-1 && name != "" {
			f.Name = &name
		}
		if f.GetName() == "" {
			return "", errors.New("protobuf: a descriptor has no name to import it by")
		}
		// Sets of several schemas may hold the same common file.
		if had, ok := s.files[f.GetName()]; ok && i < len(files)-1 && had.desc != nil && proto.Equal(had.desc, f) {
			continue
		}
		if err := s.put(f.GetName(), source{desc: f}); err != nil {
			return "", err
		}
	}
	return files[len(files)-1].GetName(), nil
}

// nameInJSON gives the fields that have none the name in JSON that compilers give
// them. Registries leave it out, and without it fields seem to share one.
func nameInJSON(list []*descriptorpb.DescriptorProto) {
	for _, m := range list {
		for _, f := range m.GetField() {
			if f.GetJsonName() == "" {
				name := jsonName(f.GetName())
				f.JsonName = &name
			}
		}
		nameInJSON(m.GetNestedType())
	}
}

func (s *sources) put(name string, src source) error {
	if _, twice := s.files[name]; twice {
		return fmt.Errorf("protobuf: two files with the name %.200q", name)
	}
	s.files[name] = src
	s.order = append(s.order, name)
	return nil
}

// unarmor decodes base64. No .proto file that declares anything is base64: it
// has brackets.
func unarmor(text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, false
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if raw, err := enc.Strict().DecodeString(text); err == nil {
			return raw, true
		}
	}
	return nil, false
}

var errDescriptor = errors.New("protobuf: neither a FileDescriptorProto nor a FileDescriptorSet")

// descriptors reads a FileDescriptorProto or a FileDescriptorSet. In both field 1
// is length-delimited, and a set has no other; a file that declares a message
// has.
func descriptors(raw []byte) ([]*descriptorpb.FileDescriptorProto, error) {
	set := len(raw) > 0
	for rest := raw; len(rest) > 0; {
		num, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, errDescriptor
		}
		set = set && num == 1
		rest = rest[n:]
	}
	// Options stay as they are: their types are known only later.
	opts := proto.UnmarshalOptions{Resolver: new(protoregistry.Types), RecursionLimit: 4 * maxNesting}
	if set {
		var out descriptorpb.FileDescriptorSet
		if err := opts.Unmarshal(raw, &out); err != nil || len(out.GetFile()) == 0 {
			return nil, errDescriptor
		}
		if len(out.GetFile()) > maxReferences+1 {
			return nil, fmt.Errorf("protobuf: more than %d files in a set", maxReferences+1)
		}
		return out.GetFile(), nil
	}
	var out descriptorpb.FileDescriptorProto
	if err := opts.Unmarshal(raw, &out); err != nil {
		return nil, errDescriptor
	}
	return []*descriptorpb.FileDescriptorProto{&out}, nil
}

// counts are what compilers compare each with each: imports, and the ranges and
// names of reserved and extensions, of all files.
type counts struct{ imports, ranges int }

// checkDescriptor bounds what the compiler would follow without end.
func (c *counts) checkDescriptor(f *descriptorpb.FileDescriptorProto) error {
	c.imports += len(f.GetDependency())
	enums := func(list []*descriptorpb.EnumDescriptorProto) {
		for _, e := range list {
			c.ranges += len(e.GetReservedRange()) + len(e.GetReservedName())
		}
	}
	var nested func(list []*descriptorpb.DescriptorProto, depth int) error
	nested = func(list []*descriptorpb.DescriptorProto, depth int) error {
		if depth > maxNesting && len(list) > 0 {
			return errNesting
		}
		for _, m := range list {
			c.ranges += len(m.GetReservedRange()) + len(m.GetReservedName()) + len(m.GetExtensionRange())
			enums(m.GetEnumType())
			if err := nested(m.GetNestedType(), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	enums(f.GetEnumType())
	if err := nested(f.GetMessageType(), 1); err != nil {
		return err
	}
	return c.check()
}

func (c *counts) check() error {
	if c.imports > maxImports {
		return fmt.Errorf("protobuf: more than %d imports", maxImports)
	}
	if c.ranges > maxRanges {
		return fmt.Errorf("protobuf: more than %d reserved ranges and extension ranges", maxRanges)
	}
	return nil
}

var errNesting = fmt.Errorf("protobuf: schema nests deeper than %d", maxNesting)

// checkText counts, before a parser follows them, the brackets of a text that are
// open at once, its imports and its ranges, outside of comments and strings.
func (c *counts) checkText(text string) error {
	depth := 0
	begins, ranged := true, false // a statement begins, is one with ranges
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case ' ', '\t', '\n', '\r', '\f', '\v':
			continue
		case '{', '[', '<', '(':
			depth++
			if depth > maxNesting {
				return errNesting
			}
		case '}', ']', '>', ')':
			depth = max(depth-1, 0)
		case ',':
			if ranged {
				c.ranges++
			}
		case '"', '\'':
			for i++; i < len(text) && text[i] != b && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			end := commentEnd(text[i:])
			if end < 0 {
				return c.check() // the compiler says what is wrong
			}
			if end > 0 {
				i += end - 1
				continue
			}
		default:
			word := firstWord(text[i:])
			if begins && (word == "reserved" || word == "extensions") {
				c.ranges++
				ranged = true
			}
			if begins && word == "import" {
				c.imports++
			}
			i += max(len(word)-1, 0)
		}
		begins = strings.IndexByte(";{}", text[min(i, len(text)-1)]) >= 0
		ranged = ranged && !begins
	}
	return c.check()
}

// commentEnd is the length of the comment at the beginning of text: zero when
// there is none, and negative when it does not end.
func commentEnd(text string) int {
	switch {
	case strings.HasPrefix(text, "//"):
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			return end
		}
		return len(text)
	case strings.HasPrefix(text, "/*"):
		if end := strings.Index(text[2:], "*/"); end >= 0 {
			return end + 4
		}
		return -1
	default:
		return 0
	}
}

// firstWord is the name or keyword at the beginning of text.
func firstWord(text string) string {
	for i := range len(text) {
		if c := text[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return text[:i]
		}
	}
	return text
}

// find implements the resolver of the compiler.
func (s *sources) find(path string) (protocompile.SearchResult, error) {
	if path == descriptorPath {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	if f, ok := s.files[path]; ok {
		if f.desc != nil {
			return protocompile.SearchResult{Proto: proto.CloneOf(f.desc)}, nil
		}
		return protocompile.SearchResult{Source: strings.NewReader(f.text)}, nil
	}
	text, err := builtin.ReadFile("proto/" + path)
	if err != nil {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	return protocompile.SearchResult{Source: strings.NewReader(string(text))}, nil
}

// compile links all files that the main one needs, and reads their options with
// the types that they declare.
func (s *sources) compile() (protoreflect.FileDescriptor, *types, error) {
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.ResolverFunc(s.find)),
		MaxParallelism: 1,
	}
	linked, err := c.Compile(context.Background(), s.main)
	if err != nil {
		return nil, nil, bounded(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	collect(linked[0], make(map[string]bool), set)
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, nil, bounded(err)
	}
	t := &types{files: files, Types: dynamicpb.NewTypes(files), protos: make(map[string]*descriptorpb.FileDescriptorProto)}
	for _, f := range set.GetFile() {
		if t.protos[f.GetName()], err = t.resolve(f); err != nil {
			return nil, nil, err
		}
	}
	desc, err := files.FindFileByPath(s.main)
	if err != nil {
		return nil, nil, bounded(err)
	}
	return desc, t, nil
}

// resolve reads f again, so that its options are fields and not unknown bytes.
func (t *types) resolve(f *descriptorpb.FileDescriptorProto) (*descriptorpb.FileDescriptorProto, error) {
	raw, err := proto.MarshalOptions{AllowPartial: true}.Marshal(f)
	if err != nil {
		return nil, bounded(err)
	}
	out := new(descriptorpb.FileDescriptorProto)
	if err := (proto.UnmarshalOptions{Resolver: t, AllowPartial: true}).Unmarshal(raw, out); err != nil {
		return nil, bounded(err)
	}
	return out, nil
}

// collect lists the descriptors of f and its imports, each once, imports first.
func collect(f linker.File, seen map[string]bool, set *descriptorpb.FileDescriptorSet) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		if dep := f.FindImportByPath(f.Imports().Get(i).Path()); dep != nil {
			collect(dep, seen, set)
		}
	}
	out := proto.CloneOf(protoutil.ProtoFromFileDescriptor(f))
	out.SourceCodeInfo = nil
	set.File = append(set.File, out)
}

// maxError bounds what an error quotes of a schema, in bytes.
const maxError = 300

// bounded is an error of the compiler with a text of bounded length.
func bounded(err error) error { return errors.New("protobuf: " + cut(err.Error())) }

// limited is err, or an error with the beginning of its text when that is long:
// it holds names of the schema.
func limited(err error) error {
	if text := err.Error(); len(text) > maxError {
		return errors.New(cut(text))
	}
	return err
}

// cut bounds a text.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxError {
		return text
	}
	end := maxError
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
