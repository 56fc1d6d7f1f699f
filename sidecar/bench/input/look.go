package input

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/tokenize"
)

// parse reads a schema with the project's own parser.
func parse(text schema.Text) (schema.Schema, error) {
	switch text.Format {
	case schema.Avro:
		return avro.Parse(text)
	case schema.JSONSchema:
		return jsonschema.Parser(text)
	case schema.Protobuf:
		return protobuf.Parser(text)
	default:
		return nil, errors.New("unknown format of schema")
	}
}

// A pathsTopic is what a policy says about a topic whose records have no schema.
// The policy was read strictly before.
type pathsTopic struct {
	Match  string      `yaml:"match"`
	Format string      `yaml:"format"`
	Fields []pathsRule `yaml:"fields"`
}

type pathsRule struct {
	Path   string `yaml:"path"`
	Action string `yaml:"action"`
	Mode   string `yaml:"mode"`
}

// bare returns the topic of the policy, where it holds JSON without a schema.
func bare(policy []byte, topic string) (*pathsTopic, bool) {
	var doc struct {
		Topics []pathsTopic `yaml:"topics"`
	}
	if err := yaml.Unmarshal(policy, &doc); err != nil {
		return nil, false
	}
	for i := range doc.Topics {
		t := &doc.Topics[i]
		// The characters of a topic leave only the two wildcards that both know.
		if ok, err := path.Match(t.Match, topic); err == nil && ok {
			return t, t.Format == "json"
		}
	}
	return nil, false
}

// A look finds, in records of one type, the values that a policy changes.
type look struct {
	program schema.Program
	sealed  []bool // by edit: the value is encrypted
	dropped bool   // the policy drops fields too, which nobody sees
}

var errNothing = errors.New("the policy changes nothing in the records of this topic")

// An edit is what a policy does to one field, as far as a look goes.
type edit struct {
	path   string
	typ    schema.Type
	action string
	mode   string
}

// newLook compiles the edits that the actions ask for.
func newLook(s schema.Schema, list []edit) (*look, error) {
	l := new(look)
	var edits []schema.Edit
	fields := s.Fields()
	at := 0
	for _, a := range list {
		// Both are in the order of the schema; a union has several fields of one path.
		n := slices.IndexFunc(fields[at:], func(f schema.Field) bool { return f.Path == a.path && (a.typ == "" || f.Type == a.typ) })
		if n < 0 {
			continue
		}
		at += n
		e := schema.Edit{Field: at, Op: schema.Replace}
		at++
		if fields[e.Field].Wrapped != "" {
			e.Op = schema.Wrap
		}
		if a.action == "drop" {
			e.Op, l.dropped = schema.Nullify, true
		}
		if _, err := s.Compile([]schema.Edit{e}, schema.KeepUnknown); err != nil {
			continue // such as a field that is always null
		}
		edits = append(edits, e)
		l.sealed = append(l.sealed, a.action == "encrypt" && a.mode != "format-preserving")
	}
	if len(edits) == 0 {
		return nil, errNothing
	}
	var err error
	l.program, err = s.Compile(edits, schema.KeepUnknown)
	return l, err
}

// A seen is what a look found in one record.
type seen struct {
	look   *look
	sealed [][]byte
	values int
	marked bool // a value is an envelope
}

// Visit remembers a value. What it writes is thrown away.
func (v *seen) Visit(edit int, dst, value []byte) ([]byte, error) {
	v.values++
	if v.look.sealed[edit] {
		v.sealed = append(v.sealed, slices.Clone(value))
		v.marked = v.marked || isEnvelope(value)
	}
	return append(dst, 'x'), nil
}

// isEnvelope tells whether a value that was to be encrypted is an envelope in text,
// perhaps with the quotes of JSON.
func isEnvelope(value []byte) bool {
	const mark = "fv1:"
	for i := range min(2, len(value)) {
		if len(value) >= i+len(mark) && string(value[i:i+len(mark)]) == mark {
			return i == 0 || value[0] == '"'
		}
	}
	return false
}

// record looks at one encoded record.
func (l *look) record(body, scratch []byte) (*seen, []byte, error) {
	v := &seen{look: l}
	out, err := l.program.Rewrite(scratch[:0], body, v)
	return v, out, err
}

// A looker looks at the records of a Set, of whatever message type they are.
type looker struct {
	set    *Set
	policy *fieldcrypt.Policy
	cache  *datakey.Cache
	opts   []fieldcrypt.Option
	parsed schema.Schema
	looks  map[string]*look // by message indexes
}

// newLooker compiles the policy for the schema. Close the looker's cache when done.
func newLooker(ctx context.Context, set *Set) (_ *looker, err error) {
	p, err := fieldcrypt.ParsePolicy(set.Policy)
	if err != nil {
		return nil, err
	}
	l := &looker{set: set, policy: p, looks: make(map[string]*look)}
	if t, ok := bare(set.Policy, set.Topic); ok {
		if err := l.paths(t); err != nil {
			return nil, err
		}
		return l, nil
	}
	if l.parsed, err = parse(set.Text); err != nil {
		return nil, err
	}
	if err := l.stand(ctx); err != nil {
		return nil, err
	}
	if _, ok := l.parsed.(schema.Messages); !ok {
		_, err = l.compile("", l.parsed)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *looker) close() {
	if l.cache != nil {
		l.cache.Close()
	}
}

// paths compiles the look at records without a schema. Wildcards are one field
// for each path of the policy.
func (l *looker) paths(t *pathsTopic) error {
	var list []edit
	var names []string
	for _, f := range t.Fields {
		names = append(names, f.Path)
		list = append(list, edit{path: f.Path, action: f.Action, mode: f.Mode})
	}
	s, err := jsondoc.ForPaths("json", names)
	if err != nil {
		return err
	}
	l.parsed = s
	l.looks[""], err = newLook(s, list)
	return err
}

// stand makes what a plan is compiled with. Compiling asks for no key and no token,
// so any KMS and vault do.
func (l *looker) stand(ctx context.Context) error {
	var err error
	if l.cache, err = datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()}); err != nil {
		return err
	}
	// Nothing is sealed here, so a policy for FIPS mode can be read outside of it.
	l.opts = []fieldcrypt.Option{fieldcrypt.WithoutFIPSModule()}
	for _, name := range l.policy.Vaults() {
		l.opts = append(l.opts, fieldcrypt.WithVault(name, tokenize.NewVault(nil)))
	}
	if slices.ContainsFunc(l.policy.Keys(), func(k fieldcrypt.PolicyKey) bool { return k.Person }) {
		persons, err := datakey.OpenPersons(ctx, l.cache, new(shred.MemStore), new(shred.MemLedger))
		if err != nil {
			l.cache.Close()
			return err
		}
		l.opts = append(l.opts, fieldcrypt.WithPersons(persons))
	}
	return nil
}

// compile returns the look at records of one type.
func (l *looker) compile(key string, s schema.Schema) (*look, error) {
	if known, ok := l.looks[key]; ok {
		return known, nil
	}
	plan, err := fieldcrypt.Compile(s, l.policy, l.cache, l.set.Topic, l.opts...)
	if err != nil {
		return nil, err
	}
	var list []edit
	for _, a := range plan.Actions() {
		list = append(list, edit{path: a.Path, typ: a.Type, action: a.Action, mode: a.Mode})
	}
	out, err := newLook(s, list)
	if err != nil {
		return nil, err
	}
	l.looks[key] = out
	return out, nil
}

// of returns the look at records with these message indexes.
func (l *looker) of(indexes []int) (*look, error) {
	key := fmt.Sprint(indexes)
	if indexes == nil {
		key = ""
	}
	if known, ok := l.looks[key]; ok {
		return known, nil
	}
	all, ok := l.parsed.(schema.Messages)
	if !ok {
		return l.compile(key, l.parsed)
	}
	if indexes == nil {
		return l.compile(key, l.parsed)
	}
	s, err := all.Message(indexes)
	if err != nil {
		return nil, err
	}
	return l.compile(key, s)
}

var errProtected = errors.New("it is protected already: a benchmark takes records as producers have them, before they are protected")

// inspect looks at all records, fills in Tagged and Protected, and refuses records
// that are malformed or protected already. An error names the record by where.
func (s *Set) inspect(ctx context.Context, where func(i int) string) error {
	if len(s.Records) == 0 {
		return errEmpty
	}
	l, err := newLooker(ctx, s)
	if err != nil {
		return err
	}
	defer l.close()
	s.Tagged = make([][][]byte, len(s.Records))
	values := 0
	var scratch []byte
	for i := range s.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := l.one(i, &scratch)
		if err != nil {
			return fmt.Errorf("%s: %w", where(i), err)
		}
		values += n
	}
	s.Protected = float64(values) / float64(len(s.Records))
	for _, one := range l.looks {
		if one.dropped {
			s.notef("Fields that the policy drops are not counted among the values that it protects.")
			break
		}
	}
	return nil
}

// one looks at a record and returns how many of its values the policy changes.
func (l *looker) one(i int, scratch *[]byte) (int, error) {
	rec := &l.set.Records[i]
	if slices.ContainsFunc(rec.Headers, func(h fieldcrypt.Header) bool {
		return h.Key == fieldcrypt.HeaderKey || h.Key == fieldcrypt.HeaderMeta
	}) {
		return 0, errProtected
	}
	body, indexes, err := l.set.body(rec.Value)
	if err != nil {
		return 0, err
	}
	at, err := l.of(indexes)
	if err != nil {
		return 0, err
	}
	v, out, err := at.record(body, *scratch)
	if err != nil {
		return 0, err
	}
	*scratch = out
	if v.marked {
		return 0, errProtected
	}
	l.set.Tagged[i] = v.sealed
	return v.values, nil
}
