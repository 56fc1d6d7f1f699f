package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// What became of the records of a file.
const (
	verbProtected = "protected"
	verbRevealed  = "revealed"
)

type protectCmd struct {
	fileFlags `embed:""`
}

// Help is the second paragraph of the help text.
func (protectCmd) Help() string {
	return "Reads records, protects them as a producer of the topic would, and writes them in the same format. The keys " +
		"go into a new key file, wrapped by the KEK of the policy: keep it with the records. An Avro container gets the schema " +
		"that protected records have. A record that the policy or the schema refuses ends the run, with its number and " +
		"the path of the field and without its values; then there is no output file. It exits with 0 also when --skip-bad left records out."
}

// Run protects a file.
func (c protectCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	keys, err := createKeyFile(c.Keys)
	if err != nil {
		return err
	}
	o := c.operation(t, keys)
	err = errors.Join(o.run(ctx), keys.Close())
	if err != nil && (c.Out != "" || o.wrote == 0) {
		// No record needs the keys.
		err = errors.Join(err, os.Remove(c.Keys))
	}
	return err
}

// operation protects each record, and keeps what stands in its headers.
func (c protectCmd) operation(t *terminal, keys *keyFile) *operation {
	o := &operation{fileFlags: &c.fileFlags, t: t, verb: verbProtected, keys: keys}
	o.do = func(ctx context.Context, e *fieldcrypt.Engine, n uint64, value []byte) ([]byte, error) {
		rec, err := e.Protect(ctx, fieldcrypt.Record{Topic: c.Topic, Value: value})
		if err != nil {
			return nil, err
		}
		for _, h := range rec.Headers {
			if h.Key == fieldcrypt.HeaderMeta {
				if err := keys.put(n, h.Value); err != nil {
					return nil, err
				}
			}
		}
		return rec.Value, nil
	}
	return o
}

type revealCmd struct {
	fileFlags `embed:""`

	Purpose string `required:"true" placeholder:"TEXT" help:"Why the values are needed in clear. It stands in the last line on standard error, for whoever keeps that."`
}

// Help is the second paragraph of the help text.
func (revealCmd) Help() string {
	return "Reads what \"fieldveil protect\" wrote, with its key file, and writes the records as they were: in clear. What was " +
		"masked, hashed or dropped stays so. The KMS must let the caller unwrap."
}

var errPurpose = errors.New("--purpose is empty")

// Run reveals a file.
func (c revealCmd) Run(t *terminal) error {
	if len(bytes.TrimSpace([]byte(c.Purpose))) == 0 {
		return errPurpose
	}
	ctx, stop := interrupted()
	defer stop()
	keys, err := openKeyFile(ctx, c.Keys)
	if err != nil {
		return err
	}
	o := &operation{fileFlags: &c.fileFlags, t: t, verb: verbRevealed, keys: keys}
	o.do = func(ctx context.Context, e *fieldcrypt.Engine, n uint64, value []byte) ([]byte, error) {
		rec := fieldcrypt.Record{Topic: c.Topic, Value: value}
		if meta := keys.meta(n); meta != nil {
			rec.Headers = []fieldcrypt.Header{{Key: fieldcrypt.HeaderMeta, Value: meta}}
		}
		rec, err := e.Reveal(ctx, rec)
		return rec.Value, err
	}
	if err := o.run(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "Topic %q, purpose %q.\n", c.Topic, c.Purpose)
	return err
}
