package input

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
	"github.com/fieldveil/fieldveil/sidecar/serde"
)

// maxLine is how long a line may be.
const maxLine = 16 << 20

// lines reads one JSON document from each line, and encodes it as the schema says:
// the JSON encoding of Avro, or the JSON mapping of Protobuf. Empty lines are passed
// over.
func (l *loader) lines(ctx context.Context, in io.Reader) error {
	if l.set.Text.Format == "" && !l.bare {
		return errNoSchema
	}
	enc, err := l.encoder(ctx)
	if err != nil {
		return err
	}
	var numbers []int
	l.where = func(i int) string { return fmt.Sprintf("%s:%d", l.options.Records, numbers[i]) }
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	line := 1
	for ; scan.Scan(); line++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := bytes.TrimSpace(scan.Bytes())
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		value, err := enc.Append(nil, text)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", l.options.Records, line, err)
		}
		numbers = append(numbers, line)
		if !l.take(Record{Value: value}) {
			return nil
		}
	}
	switch err := scan.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: longer than %d bytes", l.options.Records, line, maxLine)
	case err != nil:
		return fmt.Errorf("%s: %w", l.options.Records, err)
	case len(numbers) == 0:
		return fmt.Errorf("%s: %w", l.options.Records, errEmpty)
	}
	return nil
}

// encoder returns what turns JSON into the values of the Set.
func (l *loader) encoder(ctx context.Context) (*serde.Encoder, error) {
	s, err := serde.New(oneSchema{l.set.SchemaID, l.set.Text}, serde.DefaultConfig())
	if err != nil {
		return nil, err
	}
	ask := serde.Ask{Topic: l.set.Topic, SchemaID: l.set.SchemaID}
	if l.bare {
		ask = serde.Ask{Topic: l.set.Topic, Format: serde.JSON}
	}
	return s.Encoder(ctx, ask)
}

// oneSchema is a registry of one schema, which was found before.
type oneSchema struct {
	id   int
	text schema.Text
}

// Schema returns the text.
func (o oneSchema) Schema(ctx context.Context, id int) (schema.Text, error) {
	return schema.Static{o.id: o.text}.Schema(ctx, id)
}

// Latest is never asked, like all that follow: the schema is named by its id.
func (o oneSchema) Latest(context.Context, string) (registry.Schema, error) {
	return registry.Schema{}, schema.ErrNotFound
}

// Version finds nothing.
func (o oneSchema) Version(context.Context, string, int) (registry.Schema, error) {
	return registry.Schema{}, schema.ErrNotFound
}

// Lookup finds nothing.
func (o oneSchema) Lookup(context.Context, string, registry.Schema) (registry.Schema, error) {
	return registry.Schema{}, schema.ErrNotFound
}

// RegisterSchema registers nothing.
func (o oneSchema) RegisterSchema(context.Context, string, registry.Schema) (registry.Schema, error) {
	return registry.Schema{}, registry.ErrUnsupported
}
