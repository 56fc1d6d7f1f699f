package input

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

var errPolicy = errors.New("the policy cannot be read")

// Rekey writes the policy anew, so that all of its keys are under one KEK, which w
// serves: a run then measures the policy of a user without his key management
// service. Each domain key gets a version of its own, for each tenant that the
// records name. Rules and limits stay as they are; comments do not.
//
// What was protected with the original policy does not open under the new one, and
// the other way round. It sets KMS to w.
func (s *Set) Rekey(ctx context.Context, w kms.Wrapper, kek string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(s.Policy, &doc); err != nil || len(doc.Content) != 1 {
		return errPolicy
	}
	root := doc.Content[0]
	tenants, err := s.tenants(root)
	if err != nil {
		return err
	}
	under := func(key *yaml.Node) {
		set(key, "kek", scalar(kek))
		unset(key, "also")
	}
	for _, key := range entries(get(root, "keys")) {
		under(key)
	}
	if persons := get(root, "persons"); persons != nil {
		under(persons)
	}
	for _, key := range entries(get(root, "domain_keys")) {
		under(key)
		versions := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, tenant := range tenants {
			block, err := datakey.CreateDomainBlock(ctx, w, kek, tenant)
			if err != nil {
				return fmt.Errorf("domain key: %w", err)
			}
			versions.Content = append(versions.Content, scalar(base64.StdEncoding.EncodeToString(block)))
		}
		set(key, "versions", versions)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&doc), e.Close()); err != nil {
		return errPolicy
	}
	s.Policy, s.KMS = out.Bytes(), w
	return nil
}

// tenants returns those that the records name, as the policy has it; the empty one
// where it has no tenants, or where a record need not name any.
func (s *Set) tenants(root *yaml.Node) ([]string, error) {
	t := get(root, "tenant")
	if t == nil {
		return []string{""}, nil
	}
	from := get(t, "from")
	if from == nil {
		return nil, errPolicy
	}
	kind, name, _ := strings.Cut(from.Value, ":")
	known := make(map[string]bool)
	if required := get(t, "required"); required != nil && required.Value == "false" {
		known[""] = true
	}
	switch kind {
	case "fixed":
		known[name] = true
	case "key":
		for i := range s.Records {
			known[string(s.Records[i].Key)] = true
		}
	case "header":
		for i := range s.Records {
			for _, h := range s.Records[i].Headers {
				if h.Key == name {
					known[string(h.Value)] = true
				}
			}
		}
	case "value":
		if err := s.tenantsInside(name, known); err != nil {
			return nil, err
		}
	default:
		return nil, errPolicy
	}
	if len(known) > 1 {
		delete(known, "")
	}
	if len(known) == 0 {
		return nil, errors.New("no record names a tenant, and the policy asks for one: give the header that names it")
	}
	return slices.Sorted(maps.Keys(known)), nil
}

// tenantsInside collects the tenants that values name.
func (s *Set) tenantsInside(path string, known map[string]bool) error {
	var parsed schema.Schema
	var err error
	if s.Text.Format == "" {
		parsed, err = jsondoc.ForPaths("json", []string{path})
	} else {
		parsed, err = parse(s.Text)
	}
	if err != nil {
		return err
	}
	fields := parsed.Fields()
	var edits []schema.Edit
	for i := range fields {
		if fields[i].Path != path || fields[i].Type == schema.TypeNull {
			continue
		}
		e := schema.Edit{Field: i, Op: schema.Replace}
		if fields[i].Numeric && fields[i].Type != schema.TypeJSON {
			e.Op = schema.Number
		}
		edits = append(edits, e)
	}
	program, err := parsed.Compile(edits, schema.KeepUnknown)
	if err != nil {
		return err
	}
	for i := range s.Records {
		body, _, err := s.body(s.Records[i].Value)
		if err != nil {
			return err
		}
		if _, err := program.Rewrite(nil, body, tenantVisitor(known)); err != nil {
			return err
		}
	}
	return nil
}

// A tenantVisitor collects the values that it meets.
type tenantVisitor map[string]bool

func (v tenantVisitor) Visit(_ int, dst, value []byte) ([]byte, error) {
	v[string(value)] = true
	return append(dst, value...), nil
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}

// get returns the value of a key of a mapping, or nil.
func get(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, scalar(key), value)
}

func unset(m *yaml.Node, key string) {
	if m == nil || m.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = slices.Delete(m.Content, i, i+2)
			return
		}
	}
}

// entries returns the values of a mapping.
func entries(m *yaml.Node) []*yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	var out []*yaml.Node
	for i := 1; i < len(m.Content); i += 2 {
		out = append(out, m.Content[i])
	}
	return out
}

// Move lets the records of a built-in workload go to another topic: in a cluster the
// one of the workload may be somebody's. The policy governs the new topic as it did
// the old one. A Set of the user's own policy is not moved.
func (s *Set) Move(topic string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(s.Policy, &doc); err != nil || len(doc.Content) != 1 {
		return errPolicy
	}
	topics := get(doc.Content[0], "topics")
	if s.KMS == nil || topics == nil || len(topics.Content) != 1 {
		return errPolicy
	}
	match := get(topics.Content[0], "match")
	if match == nil || match.Value != s.Topic {
		return errPolicy
	}
	match.Value = topic
	text, err := yaml.Marshal(&doc)
	if err != nil {
		return errPolicy
	}
	s.Policy, s.Topic = text, topic
	return nil
}
