package input

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// Bounds of what is read.
const (
	maxSchemaFile = 4 << 20
	// maxTotal is how many bytes of records are kept.
	maxTotal = 1 << 30
)

var (
	errNoSchema  = errors.New("give --schema or --registry: the policy goes by tags, which stand in the schema")
	errNoRecords = errors.New("give --records, or --schema with a JSON Schema to make them up from: the policy protects JSON by paths, and does not tell what else is in a document")
	errOrigin    = errors.New("the latest version is the schema of protected records, and the registry does not have the one that it was derived from")
)

// Load returns what the options ask for: a built-in workload, or the user's policy
// with records of his own or made up. It reads files, and asks the registry and the
// brokers that are named; it writes nothing anywhere. Reading a topic takes 30
// seconds at most.
//
// Every record is checked against schema and policy before Load returns. Records
// that are protected already are refused.
func Load(ctx context.Context, o Options) (*Set, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Policy == "" {
		return makeBuiltin(ctx, cmp.Or(o.Workload, Names()[0]), o.seed(), cmp.Or(o.Count, builtinRecords))
	}
	l := &loader{options: &o, set: &Set{Name: OwnRecords, Topic: o.Topic}}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	return l.set, nil
}

// A loader makes one Set.
type loader struct {
	options *Options
	set     *Set
	bare    bool // the policy protects JSON by paths
	client  *registry.Client
	where   func(i int) string // names a record in errors
	bytes   int                // of the records so far
}

func (l *loader) load(ctx context.Context) error {
	o := l.options
	if len(o.Registry) > 0 {
		c, err := o.client()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }() // nothing is under way
		l.client = c
	}
	if err := l.policy(); err != nil {
		return err
	}
	if err := l.schema(ctx); err != nil {
		return err
	}
	if err := l.records(ctx); err != nil {
		return err
	}
	headers := o.headers()
	for i := range l.set.Records {
		r := &l.set.Records[i]
		r.Headers = append(slices.Clip(r.Headers), headers...)
	}
	return l.set.inspect(ctx, l.where)
}

// policy reads the policy, whose faults come with their places in the file.
func (l *loader) policy() error {
	if _, err := fieldcrypt.LoadPolicy(l.options.Policy); err != nil {
		return err
	}
	text, err := os.ReadFile(l.options.Policy)
	if err != nil {
		return err
	}
	l.set.Policy = text
	_, l.bare = bare(text, l.set.Topic)
	return nil
}

// schema finds the schema, where there is one.
func (l *loader) schema(ctx context.Context) error {
	o := l.options
	var err error
	_, named := o.topic() // its records name their schema
	switch {
	case o.Schema != "":
		l.set.Text, err = o.text()
	case l.client != nil && !l.bare && (!named || o.Subject != ""):
		err = l.latest(ctx)
	}
	if err != nil {
		return err
	}
	if l.set.Text.Format == "" {
		return nil
	}
	parsed, err := parse(l.set.Text)
	if err != nil {
		return fmt.Errorf("%s: %w", cmp.Or(o.Schema, l.set.Subject), err)
	}
	if d, ok := parsed.(schema.Derived); ok {
		if _, derived := d.Origin(); derived {
			return fmt.Errorf("%s: %w", cmp.Or(o.Schema, l.set.Subject), errDerived)
		}
	}
	l.governed()
	return nil
}

// governed says that the records follow the schema, behind the framing of its id.
func (l *loader) governed() {
	if l.bare {
		return
	}
	l.set.Framed = true
	l.set.SchemaID = cmp.Or(l.set.SchemaID, builtinID)
	l.set.Subject = cmp.Or(l.set.Subject, l.options.Subject, l.set.Topic+"-value")
}

// latest takes the latest version of the subject, or the one that it was derived
// from.
func (l *loader) latest(ctx context.Context) error {
	l.set.Subject = cmp.Or(l.options.Subject, l.set.Topic+"-value")
	found, err := l.client.Latest(ctx, l.set.Subject)
	if err != nil {
		return err
	}
	if l.set.Text, err = l.client.Text(ctx, found); err != nil {
		return err
	}
	l.set.SchemaID = found.ID
	parsed, err := parse(l.set.Text)
	if err != nil {
		return fmt.Errorf("%s: %w", l.set.Subject, err)
	}
	d, ok := parsed.(schema.Derived)
	if !ok {
		return nil
	}
	switch origin, derived := d.Origin(); {
	case !derived:
		return nil
	case origin.ID == 0:
		return errOrigin
	default:
		l.set.SchemaID = origin.ID
		l.set.Text, err = l.client.Schema(ctx, origin.ID)
		return err
	}
}

// text reads the files of the schema.
func (o *Options) text() (text schema.Text, err error) {
	switch o.Format {
	case "avro":
		text.Format = schema.Avro
	case "json":
		text.Format = schema.JSONSchema
	case "protobuf":
		text.Format = schema.Protobuf
	default:
		if text.Format = formatOf(o.Schema); text.Format == "" {
			return text, fmt.Errorf("%s: the name does not tell the format of the schema: give --format", o.Schema)
		}
	}
	if text.Schema, err = readFile(o.Schema); err != nil {
		return text, err
	}
	for _, ref := range o.Ref {
		name, file, named := strings.Cut(ref, "=")
		if !named {
			name, file = filepath.Base(ref), ref
		}
		r, err := readFile(file)
		if err != nil {
			return text, err
		}
		text.References = append(text.References, r)
		if text.Format != schema.Avro {
			text.Names = append(text.Names, name)
		}
	}
	return text, nil
}

// readFile reads a file of a schema.
func readFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxSchemaFile+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxSchemaFile:
		return "", fmt.Errorf("%s: longer than %d bytes", file, maxSchemaFile)
	default:
		return string(b), nil
	}
}

// records reads the records, or makes them up.
func (l *loader) records(ctx context.Context) error {
	o := l.options
	topic, fromTopic := o.topic()
	switch {
	case fromTopic:
		return l.consume(ctx, topic)
	case o.Records == "":
		return l.makeUp(ctx)
	}
	f, err := os.Open(o.Records)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if strings.EqualFold(filepath.Ext(o.Records), ".avro") {
		return l.container(ctx, f)
	}
	return l.lines(ctx, f)
}

// makeUp makes records up from the schema.
func (l *loader) makeUp(ctx context.Context) error {
	o, s := l.options, l.set
	switch {
	case s.Text.Format == "" && l.bare:
		return errNoRecords
	case s.Text.Format == "":
		return errNoSchema
	case l.bare && s.Text.Format != schema.JSONSchema:
		return errNoRecords
	}
	spread := DefaultSpread()
	if o.Items > 0 {
		spread.Most = o.Items
	}
	text := s.Text
	if l.bare {
		s.Text = schema.Text{} // it only tells what documents look like
	}
	s.Name = OwnSchema
	l.where = func(i int) string { return fmt.Sprintf("made-up record %d", i+1) }
	if err := s.fill(ctx, text, o.seed(), o.count(), spread); err != nil {
		return fmt.Errorf("%s: %w", cmp.Or(o.Schema, s.Subject), err)
	}
	return nil
}

// take keeps a record, and returns false where no more fit.
func (l *loader) take(r Record) bool {
	l.bytes += len(r.Key) + len(r.Value)
	if l.bytes > maxTotal {
		l.set.notef("Only the first %d records were read: more do not fit into memory.", len(l.set.Records))
		return false
	}
	l.set.Records = append(l.set.Records, r)
	return len(l.set.Records) < l.options.count()
}
