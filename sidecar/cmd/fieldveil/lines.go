package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
)

// lines takes a JSON document in each line.
func (o *operation) lines(ctx context.Context, in io.Reader, out *output) error {
	var text *schema.Text
	if o.Schema != "" {
		f := schemaFlags{Schema: o.Schema, Format: "json", Ref: o.Ref}
		t, err := f.text()
		if err != nil {
			return err
		}
		text = &t
	}
	var opts []fieldcrypt.Option
	if text != nil {
		opts = append(opts, fieldcrypt.WithTopicSchema(o.Topic, *text))
	}
	e, err := o.engine(opts...)
	if err != nil {
		return err
	}
	show := o.progress()
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, min(64<<10, o.MaxRecord)), o.MaxRecord)
	for scan.Scan() {
		changed, ok, err := o.record(ctx, e, bytes.TrimRight(scan.Bytes(), "\r"))
		if err != nil {
			return err
		}
		show()
		if !ok {
			continue
		}
		// No document has a line end, outside of white space that protecting keeps.
		if bytes.IndexByte(changed, '\n') >= 0 {
			return fmt.Errorf("record %d: %w: it has a line end", o.read, errRecord)
		}
		if _, err := out.Write(append(changed, '\n')); err != nil {
			return err
		}
	}
	switch err := scan.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("record %d: longer than --max-record", o.read+1)
	default:
		return err
	}
}

// progress returns a function to call behind each record.
func (o *operation) progress() func() {
	show := o.t.line()
	if show == nil {
		return func() {}
	}
	return func() {
		if o.read%64 == 0 { // asking for the time takes longer than most records
			show(fmt.Sprintf("%d records", o.read), false)
		}
	}
}
