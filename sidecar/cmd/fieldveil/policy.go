package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
)

// policyCmd groups the commands for policy files.
type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Check a policy file, and show what it does to a schema."`
}

type policyCheckCmd struct {
	Path   string   `arg:"" help:"The policy file."`
	Schema string   `type:"path" placeholder:"FILE" help:"An Avro schema to apply the policy to: prints what happens to each field that it governs."`
	Ref    []string `type:"path" placeholder:"FILE" sep:"none" help:"A schema that --schema refers to. Repeat it in the order of dependence."`
	Topic  string   `placeholder:"NAME" help:"The topic that records of --schema go to."`
}

// Help is the second paragraph of the help text.
func (policyCheckCmd) Help() string {
	return "Without --schema it checks the file alone. With --schema and --topic it finds everything that would " +
		"keep a producer from starting: tags without a rule, actions that do not fit a field, topics without an entry. " +
		"It calls no KMS and no broker."
}

// Run checks the file.
func (c policyCheckCmd) Run(t *terminal) error {
	policy, err := fieldcrypt.LoadPolicy(c.Path)
	if err != nil {
		return err
	}
	if c.Schema == "" {
		_, err = fmt.Fprintf(t.err, "%s is a valid policy.\n", c.Path)
		return err
	}
	if c.Topic == "" {
		return errors.New("--schema needs --topic: rules may differ from topic to topic")
	}
	text := schema.Text{Format: schema.Avro}
	if text.Schema, err = readFile(c.Schema); err != nil {
		return err
	}
	for _, ref := range c.Ref {
		r, err := readFile(ref)
		if err != nil {
			return err
		}
		text.References = append(text.References, r)
	}
	parsed, err := avro.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Schema, err)
	}
	// Compiling asks for no key, so any KMS does.
	keys, err := datakey.New(noKMS{})
	if err != nil {
		return err
	}
	defer keys.Close()
	plan, err := fieldcrypt.Compile(parsed, policy, keys, c.Topic)
	if err != nil {
		return err
	}
	if err := printActions(t.out, plan.Actions()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "%d of %d fields of %s are governed; the others leave as they are.\n",
		len(plan.Actions()), len(plan.Describe().Fields), parsed.Name())
	return err
}

func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

func printActions(w io.Writer, actions []fieldcrypt.FieldAction) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FIELD\tTYPE\tTAG\tACTION\tKEY")
	for _, a := range actions {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", a.Path, a.Type, orDash(a.Tag), a.Action, orDash(a.Key))
	}
	// The writer keeps what went wrong until here.
	return table.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// noKMS stands where a KMS is asked for and never called.
type noKMS struct{}

func (noKMS) Generate(context.Context, string, kms.EncryptionContext) (plain, wrapped []byte, err error) {
	return nil, nil, kms.ErrInvalid
}

func (noKMS) Unwrap(context.Context, string, []byte, kms.EncryptionContext) ([]byte, error) {
	return nil, kms.ErrInvalid
}
