package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// An output is where records go: standard output, or a file that is there whole or
// not at all.
type output struct {
	*bufio.Writer

	path string   // "" for standard output
	f    *os.File // the file that gets that name; nil for standard output
}

// openOutput opens a file beside path, or standard output where path is empty.
func openOutput(path string, stdout io.Writer) (*output, error) {
	if path == "" {
		return &output{Writer: bufio.NewWriterSize(stdout, 64<<10)}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &output{bufio.NewWriterSize(f, 64<<10), path, f}, nil
}

// commit writes what is left and gives the file its name, when all is durable.
func (o *output) commit() error {
	if err := o.Flush(); err != nil || o.f == nil {
		return err
	}
	if err := o.f.Sync(); err != nil {
		return err
	}
	name := o.f.Name()
	if err := o.f.Close(); err != nil {
		return err
	}
	o.f = nil
	if err := os.Rename(name, o.path); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return syncDir(filepath.Dir(o.path))
}

// abandon leaves no file behind, unless there was a commit.
func (o *output) abandon() {
	if o.f == nil {
		return
	}
	_ = o.f.Close() // it is removed
	_ = os.Remove(o.f.Name())
	o.f = nil
}
