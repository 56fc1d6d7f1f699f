package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/sidecar/engine"
)

// fileFlags say which records to read, and under which policy.
type fileFlags struct {
	Policy string   `required:"true" type:"path" placeholder:"FILE" help:"The policy."`
	Topic  string   `required:"true" placeholder:"NAME" help:"The topic that the records belong to: its rules count, and values are bound to its dataset."`
	Format string   `enum:"jsonl,avro" default:"jsonl" help:"Format of input and output: jsonl (a JSON document in each line) or avro (object container files). Default ${default}."`
	Schema string   `type:"path" placeholder:"FILE" help:"A JSON Schema of the documents, for jsonl. Containers bring their own."`
	Ref    []string `placeholder:"NAME=FILE" sep:"none" help:"A schema that --schema refers to. Repeat it in the order of dependence."`
	Keys   string   `required:"true" type:"path" placeholder:"FILE" help:"The key file beside the records: what their headers would hold in Kafka. Without it nobody can reveal them."`
	In     string   `short:"i" type:"path" placeholder:"FILE" help:"Where to read. Default is standard input."`
	Out    string   `short:"o" type:"path" placeholder:"FILE" help:"Where to write. The file gets its name when all is there. Default is standard output."`

	SkipBad   bool   `help:"Leave out records that cannot be taken, and count them. Otherwise the first one ends the run."`
	MaxRecord int    `default:"16777216" placeholder:"BYTES" help:"How long a line may be. Default ${default}."`
	Store     string `env:"FIELDVEIL_STORE" placeholder:"URL" help:"The store of keys of persons, bolt:PATH or postgres://…, for policies with persons."`
	Ledger    string `env:"FIELDVEIL_LEDGER" placeholder:"URL" help:"The ledger of forgotten persons, file:PATH or postgres://…, for policies with persons."`
	Clear     bool   `name:"cleartext-keyset" help:"Allow a KEK that is a Tink keyset file in clear, tink:PATH. For development."`
}

// An operation does one thing to the records of a file.
type operation struct {
	*fileFlags

	t       *terminal
	verb    string // past tense, for the last line
	keys    *keyFile
	cache   *datakey.Cache
	policy  *fieldcrypt.Policy
	persons *datakey.Persons
	end     []func() // in the order of opening

	// do returns what stands in the place of a record.
	do func(ctx context.Context, e *fieldcrypt.Engine, n uint64, value []byte) ([]byte, error)

	read, wrote, skipped uint64
}

var (
	errVaults  = errors.New("the policy has token vaults, which are out of reach for files")
	errPersons = errors.New("the policy has persons: give --store and --ledger")
	errSchema  = errors.New("--schema is for jsonl: containers bring their own")
	errRecord  = errors.New("a record is at fault")
)

// open opens all that is needed but the records. Call close in any case.
func (o *operation) open(ctx context.Context) error {
	var err error
	if o.Schema != "" && o.Format != "jsonl" {
		return errSchema
	}
	if o.policy, err = fieldcrypt.LoadPolicy(o.Policy); err != nil {
		return err
	}
	if len(o.policy.Vaults()) > 0 {
		return errVaults
	}
	services, err := engine.Services(o.Clear, engine.PolicyKEKs(o.policy)...)
	if err != nil {
		return err
	}
	if o.cache, err = datakey.New(services, datakey.WithStore(o.keys)); err != nil {
		return err
	}
	o.end = append(o.end, o.cache.Close)
	for _, k := range o.policy.Keys() {
		if k.Person {
			return o.openPersons(ctx)
		}
	}
	return nil
}

func (o *operation) openPersons(ctx context.Context) error {
	if o.Store == "" || o.Ledger == "" {
		return errPersons
	}
	s, err := engine.OpenStore(ctx, o.Store, false)
	if err != nil {
		return err
	}
	o.end = append(o.end, s.End)
	l, err := engine.OpenLedger(ctx, o.Ledger, false)
	if err != nil {
		return err
	}
	o.end = append(o.end, l.End)
	if o.persons, err = datakey.OpenPersons(ctx, o.cache, s, l); err != nil {
		return err
	}
	o.end = append(o.end, o.persons.Close)
	return nil
}

func (o *operation) close() {
	for _, end := range slices.Backward(o.end) {
		end()
	}
}

// engine returns the engine for the records.
func (o *operation) engine(opts ...fieldcrypt.Option) (*fieldcrypt.Engine, error) {
	opts = append(opts, fieldcrypt.WithFormat(schema.JSONSchema, jsonschema.Parser))
	if o.persons != nil {
		opts = append(opts, fieldcrypt.WithPersons(o.persons))
	}
	return fieldcrypt.New(o.policy, o.cache, opts...)
}

// input returns where the records are read.
func (o *operation) input(ctx context.Context) (io.Reader, error) {
	if o.In == "" {
		return interruptible(ctx, o.t.in), nil
	}
	f, err := os.Open(o.In)
	if err != nil {
		return nil, err
	}
	o.end = append(o.end, func() { _ = f.Close() }) // it was only read
	return f, nil
}

// records reads, changes and writes all records. On an error, out is of no use
// unless it is standard output.
func (o *operation) records(ctx context.Context, in io.Reader, out *output) error {
	if o.Format == "avro" {
		return o.container(ctx, in, out)
	}
	return o.lines(ctx, in, out)
}

// record changes one record. It returns false where the record is left out.
func (o *operation) record(ctx context.Context, e *fieldcrypt.Engine, value []byte) (changed []byte, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	o.read++
	changed, err = o.do(ctx, e, o.read, value)
	if err == nil {
		o.wrote++
		return changed, true, nil
	}
	return nil, false, o.bad(err)
}

// maxShown is how many records that were left out are named.
const maxShown = 20

// bad returns nil where the record is to be left out, and the run goes on.
func (o *operation) bad(err error) error {
	if !o.SkipBad || !recordsFault(err) {
		return fmt.Errorf("record %d: %w", o.read, err)
	}
	o.skipped++
	if o.skipped <= maxShown {
		_, err = fmt.Fprintf(o.t.err, "record %d is left out: %v\n", o.read, err)
		return err
	}
	return nil
}

// recordsFault tells whether an error is about one record, so that the next may
// pass.
func recordsFault(err error) bool {
	if errors.Is(err, errRecord) {
		return true
	}
	e, ok := errors.AsType[*fieldcrypt.Error](err)
	if !ok || e.Retryable() {
		return false
	}
	switch e.Code {
	case fieldcrypt.CodeInvalid, fieldcrypt.CodeMalformed, fieldcrypt.CodeNotText, fieldcrypt.CodeValue, fieldcrypt.CodeRejected,
		fieldcrypt.CodeTenant, fieldcrypt.CodePerson, fieldcrypt.CodeForgotten, fieldcrypt.CodeTooLarge, fieldcrypt.CodeProtected,
		fieldcrypt.CodeMoved, fieldcrypt.CodeUnsealed, fieldcrypt.CodeTampered, fieldcrypt.CodeFormat,
		fieldcrypt.CodeKeyUnknown, fieldcrypt.CodeForeignKey, fieldcrypt.CodeTokenUnknown:
		return true
	default:
		return false
	}
}

// run opens everything, does it to all records, and says how many there were.
func (o *operation) run(ctx context.Context) error {
	defer o.close()
	if err := o.open(ctx); err != nil {
		return err
	}
	in, err := o.input(ctx)
	if err != nil {
		return err
	}
	out, err := openOutput(o.Out, o.t.out)
	if err != nil {
		return err
	}
	defer out.abandon()
	err = o.records(ctx, in, out)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("interrupted behind record %d: %w", o.read, ctx.Err())
	}
	if err != nil && o.Out == "" {
		// What stands there already is good.
		err = errors.Join(err, out.Flush())
	}
	if err == nil {
		err = out.commit()
	}
	if show := o.t.line(); show != nil {
		show("", false)
	}
	if err != nil {
		return err
	}
	if o.skipped > 0 {
		_, err = fmt.Fprintf(o.t.err, "%d records %s, %d left out.\n", o.wrote, o.verb, o.skipped)
	} else {
		_, err = fmt.Fprintf(o.t.err, "%d records %s.\n", o.wrote, o.verb)
	}
	return err
}
