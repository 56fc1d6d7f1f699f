package serde

import (
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/fieldveil/fieldveil/schema"
)

// The files that a schema may import without a reference.
//
//go:embed proto
var commonProtos embed.FS

var errProto = errors.New("serde: not a Protobuf schema")

// linkProtobuf compiles the text of a schema that the project's own parser takes,
// which has bounded what the compiler may be made to do.
func linkProtobuf(text *schema.Text) (*protoregistry.Files, protoreflect.FileDescriptor, error) {
	texts := make(map[string]string)
	descs := make(map[string]*descriptorpb.FileDescriptorProto)
	add := func(name, text string) (string, error) {
		raw, ok := unarmored(text)
		if !ok {
			texts[name] = text
			return name, nil
		}
		files, err := descriptorsOf(raw)
		if err != nil {
			return "", err
		}
		last := files[len(files)-1]
		if name != "" {
			last.Name = &name
		}
		for _, f := range files {
			descs[f.GetName()] = f
		}
		return last.GetName(), nil
	}
	for i, ref := range text.References {
		name := ""
		if i < len(text.Names) {
			name = text.Names[i]
		}
		if _, err := add(name, ref); err != nil {
			return nil, nil, err
		}
	}
	root := "schema.proto"
	for texts[root] != "" || descs[root] != nil {
		root = "_" + root
	}
	root, err := add(root, text.Schema)
	if err != nil {
		return nil, nil, err
	}
	find := func(path string) (protocompile.SearchResult, error) {
		if t, ok := texts[path]; ok {
			return protocompile.SearchResult{Source: strings.NewReader(t)}, nil
		}
		if d, ok := descs[path]; ok {
			return protocompile.SearchResult{Proto: proto.CloneOf(d)}, nil
		}
		f, err := commonProtos.Open("proto/" + path)
		if err != nil {
			return protocompile.SearchResult{}, protoregistry.NotFound
		}
		return protocompile.SearchResult{Source: f}, nil
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.ResolverFunc(find)),
		MaxParallelism: 1,
	}
	linked, err := compiler.Compile(context.Background(), root)
	if err != nil {
		return nil, nil, errProto // the text of err quotes the schema
	}
	// The compiler's own descriptors know their imports, and no registry of files.
	set, seen := &descriptorpb.FileDescriptorSet{}, make(map[string]bool)
	collect(linked[0], seen, set)
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, nil, errProto
	}
	main, err := files.FindFileByPath(root)
	if err != nil {
		return nil, nil, errProto
	}
	return files, main, nil
}

// collect lists f and all that it imports, imports first.
func collect(f protoreflect.FileDescriptor, seen map[string]bool, set *descriptorpb.FileDescriptorSet) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		collect(f.Imports().Get(i).FileDescriptor, seen, set)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
}

// unarmored decodes the base64 in which registries may have descriptors. No text
// of a schema is base64: it has brackets.
func unarmored(text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if raw, err := enc.Strict().DecodeString(text); err == nil && text != "" {
			return raw, true
		}
	}
	return nil, false
}

// descriptorsOf reads a FileDescriptorProto or a FileDescriptorSet, with the names
// in JSON that registries leave out.
func descriptorsOf(raw []byte) ([]*descriptorpb.FileDescriptorProto, error) {
	opts := proto.UnmarshalOptions{Resolver: new(protoregistry.Types)}
	one, set := new(descriptorpb.FileDescriptorProto), new(descriptorpb.FileDescriptorSet)
	files := []*descriptorpb.FileDescriptorProto{one}
	if err := opts.Unmarshal(raw, one); err != nil || len(one.GetMessageType()) == 0 {
		if err := opts.Unmarshal(raw, set); err != nil || len(set.GetFile()) == 0 {
			return nil, errProto
		}
		files = set.GetFile()
	}
	for _, f := range files {
		nameInJSON(f.GetMessageType())
	}
	return files, nil
}

func nameInJSON(list []*descriptorpb.DescriptorProto) {
	for _, m := range list {
		for _, f := range m.GetField() {
			if f.GetJsonName() == "" {
				name := camel(f.GetName())
				f.JsonName = &name
			}
		}
		nameInJSON(m.GetNestedType())
	}
}

// camel is the name in JSON that compilers give a field.
func camel(name string) string {
	var b strings.Builder
	up := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			up = true
			continue
		case up && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}
