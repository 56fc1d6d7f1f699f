package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/twmb/avro/ocf"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/wire"
)

// The ids that the schemas of a file have. The engine knows schemas by id, so the
// records are framed for it.
const (
	originalID = 1
	derivedID  = 2
)

// fileSchemas are the schemas of one file: the original, and the derived one where
// there is one. It is a source and a registrar, safe for concurrent use.
type fileSchemas struct {
	mu    sync.Mutex // guards texts
	texts schema.Static
}

// Schema returns the text under id.
func (s *fileSchemas) Schema(ctx context.Context, id int) (schema.Text, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts.Schema(ctx, id)
}

// Register takes the derived schema.
func (s *fileSchemas) Register(_ context.Context, _ string, text schema.Text) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[derivedID] = text
	return derivedID, nil
}

// A containerRun takes the records of one container to another.
type containerRun struct {
	*operation

	c       *container
	schemas *fileSchemas
	in      int // id of the schema of the records that are read
	out     io.Writer
	w       *ocf.Writer // nil until the schema of the new container is known
}

var (
	errProtected = errors.New("the records of the container are protected already")
	errOriginal  = errors.New("the container does not hold the original of its schema")
)

// container takes the records of an object container file, and writes another.
func (o *operation) container(ctx context.Context, in io.Reader, out *output) error {
	c, err := openContainer(in)
	if err != nil {
		return err
	}
	o.end = append(o.end, func() { _ = c.Close() }) // it holds memory only
	r := &containerRun{operation: o, c: c, out: out}
	if err := r.findSchemas(); err != nil {
		return err
	}
	e, err := o.engine(fieldcrypt.WithSchemas(r.schemas), fieldcrypt.WithRegistrar(r.schemas))
	if err != nil {
		return err
	}
	err = r.copy(ctx, e)
	if r.w != nil {
		// What was taken is good, and may stand in standard output already.
		err = errors.Join(err, r.w.Close())
	}
	return err
}

// findSchemas reads which schemas the container has.
func (r *containerRun) findSchemas() error {
	text := schema.Text{Format: schema.Avro, Schema: r.c.schema}
	parsed, err := avro.Parse(text)
	if err != nil {
		return err
	}
	origin, derived := parsed.Origin()
	switch {
	case !derived:
		r.in, r.schemas = originalID, &fileSchemas{texts: schema.Static{originalID: text}}
		return nil
	case r.verb == verbProtected:
		return errProtected
	}
	original := schema.Text{Format: schema.Avro, Schema: string(r.c.meta[metaSchema])}
	if origin.ID != originalID || origin.Digest != original.Digest() {
		return errOriginal
	}
	r.in, r.schemas = derivedID, &fileSchemas{texts: schema.Static{originalID: original, derivedID: text}}
	return nil
}

// open begins the new container, with the schema of an id.
func (r *containerRun) open(ctx context.Context, id int) error {
	text, err := r.schemas.Schema(ctx, id)
	if err != nil {
		return err
	}
	extra := make(map[string][]byte)
	if id == derivedID {
		extra[metaSchema] = []byte(r.c.schema)
	}
	r.w, err = r.c.like(r.out, text.Schema, extra)
	return err
}

func (r *containerRun) copy(ctx context.Context, e *fieldcrypt.Engine) error {
	show := r.progress()
	var framed []byte
	for {
		record, err := r.c.next()
		if errors.Is(err, io.EOF) {
			if r.w == nil { // no record, so nothing that is protected
				return r.open(ctx, originalID)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", r.read+1, err)
		}
		if framed, err = wire.AppendFrame(framed[:0], r.in); err != nil {
			return err
		}
		framed = append(framed, record...)
		changed, ok, err := r.record(ctx, e, framed)
		if err != nil {
			return err
		}
		show()
		if !ok {
			continue
		}
		id, n, err := wire.ParseFrame(changed)
		if err != nil {
			return err
		}
		if r.w == nil {
			if err := r.open(ctx, id); err != nil {
				return err
			}
		}
		if _, err := r.w.Write(changed[n:]); err != nil {
			return err
		}
	}
}
