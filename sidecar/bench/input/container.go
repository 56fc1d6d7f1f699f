package input

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/fieldveil/fieldveil/schema"
)

var (
	errContainer = errors.New("not an Avro object container, or damaged")
	errUnlike    = errors.New("the container has a schema that cannot be read as the one given")
	errAvroOnly  = errors.New("an Avro object container goes with an Avro schema")
)

// protectedMeta stands in containers that fieldveil protect wrote.
const protectedMeta = "fieldveil.schema"

// container reads the records of an Avro object container. Where a schema was
// given, they are read as that one: it has the tags. Otherwise it is the schema of
// the container.
func (l *loader) container(ctx context.Context, in io.Reader) error {
	file := l.options.Records
	l.where = func(i int) string { return fmt.Sprintf("%s: record %d", file, i+1) }
	if l.bare || l.set.Text.Format != "" && l.set.Text.Format != schema.Avro {
		return fmt.Errorf("%s: %w", file, errAvroOnly)
	}
	if err := l.readContainer(ctx, in); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (l *loader) readContainer(ctx context.Context, in io.Reader) error {
	opts := []ocf.ReaderOpt{ocf.WithDecodeOpts(avro.TaggedUnions())}
	given := l.set.Text.Format != ""
	var reader *avro.Schema
	if given {
		var texts avro.SchemaCache
		var err error
		for _, t := range append(append([]string{}, l.set.Text.References...), l.set.Text.Schema) {
			if reader, err = texts.Parse(t); err != nil {
				return errUnlike
			}
		}
		opts = append(opts, ocf.WithReaderSchema(reader))
	}
	r, err := ocf.NewReader(in, opts...)
	if err != nil {
		if _, unlike := errors.AsType[*avro.CompatibilityError](err); unlike {
			return errUnlike
		}
		return errContainer // the text of err may hold data
	}
	defer func() { _ = r.Close() }() // it holds memory only
	if _, marked := r.Metadata()[protectedMeta]; marked {
		return errProtected
	}
	if !given {
		l.set.Text = schema.Text{Format: schema.Avro, Schema: string(r.Metadata()["avro.schema"])}
		if _, err := parse(l.set.Text); err != nil {
			return err
		}
		l.governed()
		reader = r.Schema()
	}
	return l.readRecords(ctx, r, reader)
}

func (l *loader) readRecords(ctx context.Context, r *ocf.Reader, s *avro.Schema) error {
	head, err := frame(l.set.SchemaID, schema.Avro)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var v any
		switch err := r.Decode(&v); {
		case errors.Is(err, io.EOF):
			if n == 1 {
				return errEmpty
			}
			return nil
		case err != nil:
			return fmt.Errorf("record %d: %w", n, errContainer)
		}
		value, err := s.AppendEncode(append([]byte(nil), head...), v, avro.TaggedUnions())
		if err != nil {
			return fmt.Errorf("record %d: %w", n, errUnlike)
		}
		if !l.take(Record{Value: value}) {
			return nil
		}
	}
}
