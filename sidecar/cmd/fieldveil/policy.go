package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/jsonschema"
	"github.com/fieldveil/fieldveil/schema/protobuf"
	"github.com/fieldveil/fieldveil/tokenize"
)

// policyCmd groups the commands for policy files.
type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Check a policy file, and show what it does to a schema."`
	Lint  policyLintCmd  `cmd:"" help:"Tell what a policy allows that a reviewer would ask about."`
}

// schemaFlags name a schema to apply a policy to.
type schemaFlags struct {
	Schema string   `type:"path" placeholder:"FILE" help:"A schema to apply the policy to."`
	Format string   `enum:"auto,avro,json,protobuf" default:"auto" help:"Format of the schema: avro, json (JSON Schema) or protobuf; auto goes by the name, where .avsc is Avro, .proto is Protobuf and .json is JSON Schema."`
	Ref    []string `placeholder:"FILE" sep:"none" help:"A schema that --schema refers to. Repeat it in the order of dependence. For JSON Schema and Protobuf, NAME=FILE gives the name by which it is imported."`
	Topic  string   `placeholder:"NAME" help:"The topic that records of --schema go to."`
}

// plan compiles the policy for the schema.
func (f *schemaFlags) plan(policy *fieldcrypt.Policy) (*fieldcrypt.Plan, schema.Schema, error) {
	if f.Topic == "" {
		return nil, nil, errors.New("--schema needs --topic: rules may differ from topic to topic")
	}
	parsed, err := f.parse()
	if err != nil {
		return nil, nil, err
	}
	plan, err := compilePlan(parsed, policy, f.Topic)
	return plan, parsed, err
}

// compilePlan compiles a policy for a schema, without a KMS.
func compilePlan(parsed schema.Schema, policy *fieldcrypt.Policy, topic string) (*fieldcrypt.Plan, error) {
	// Compiling asks for no key and no token, so any KMS and vault do.
	keys, err := datakey.New(noKMS{})
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	// Nothing is sealed here, so a policy for FIPS mode can be read outside of it.
	opts := []fieldcrypt.Option{fieldcrypt.WithoutFIPSModule()}
	for _, name := range policy.Vaults() {
		opts = append(opts, fieldcrypt.WithVault(name, tokenize.NewVault(nil)))
	}
	return fieldcrypt.Compile(parsed, policy, keys, topic, opts...)
}

func (f *schemaFlags) parse() (schema.Schema, error) {
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	parsed, err := parseText(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Schema, err)
	}
	return parsed, nil
}

func parseText(text schema.Text) (schema.Schema, error) {
	switch text.Format {
	case schema.JSONSchema:
		return jsonschema.Parser(text)
	case schema.Protobuf:
		return protobuf.Parser(text)
	case schema.Avro:
		return avro.Parse(text)
	default:
		return nil, errors.New("unknown format of schema")
	}
}

func (f *schemaFlags) text() (text schema.Text, err error) {
	switch ext := filepath.Ext(f.Schema); {
	case f.Format == "json", f.Format == "auto" && ext == ".json":
		text.Format = schema.JSONSchema
	case f.Format == "protobuf", f.Format == "auto" && ext == ".proto":
		text.Format = schema.Protobuf
	case f.Format == "avro", f.Format == "auto" && ext == ".avsc":
		text.Format = schema.Avro
	default:
		return text, fmt.Errorf("%s: the name does not tell the format of the schema: give --format", f.Schema)
	}
	if text.Schema, err = readFile(f.Schema); err != nil {
		return text, err
	}
	for _, ref := range f.Ref {
		name, path, named := strings.Cut(ref, "=")
		if !named {
			name, path = filepath.Base(ref), ref
		}
		r, err := readFile(path)
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

type policyCheckCmd struct {
	schemaFlags `embed:""`

	Path string `arg:"" help:"The policy file."`
	JSON bool   `help:"Print what happens to every field of the schema, as JSON."`
}

// Help is the second paragraph of the help text.
func (policyCheckCmd) Help() string {
	return "Without --schema it checks the file alone. With --schema and --topic it finds everything that would " +
		"keep a producer from starting: tags without a rule, actions that do not fit a field, topics without an entry, " +
		"and prints what happens to each field that the policy governs. It calls no KMS and no broker."
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
	plan, parsed, err := c.plan(policy)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		return e.Encode(plan.Describe())
	}
	if err := printActions(t.out, plan.Actions()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.err, "%d of %d fields of %s are governed; the others leave as they are.\n",
		len(plan.Actions()), len(plan.Describe().Fields), parsed.Name())
	return err
}

type policyLintCmd struct {
	schemaFlags `embed:""`

	Path   string `arg:"" help:"The policy file."`
	Strict bool   `help:"Fail on warnings too, and not only on errors."`
	JSON   bool   `help:"Print the findings as JSON."`
}

// Help is the second paragraph of the help text.
func (policyLintCmd) Help() string {
	return "A finding is something that works as it is written and may not be what its author wants: a hash that can be " +
		"undone, card numbers in two forms, a guard that was opened. With --schema and --topic the fields of a schema are " +
		"looked at too, for those that leave in clear and sound personal. The exit code is 1 when there is an error " +
		"among the findings, or with --strict a warning."
}

var errFindings = errors.New("the policy has findings that fail this check")

// Run prints the findings.
func (c policyLintCmd) Run(t *terminal) error {
	policy, err := fieldcrypt.LoadPolicy(c.Path)
	if err != nil {
		return err
	}
	findings := policy.Lint()
	if c.Schema != "" {
		plan, _, err := c.plan(policy)
		if err != nil {
			return err
		}
		findings = append(findings, plan.Lint()...)
	}
	if c.JSON {
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		err = e.Encode(append([]fieldcrypt.Finding{}, findings...))
	} else {
		for _, f := range findings {
			_, werr := fmt.Fprintln(t.out, f)
			err = errors.Join(err, werr)
		}
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(t.err, "%d findings.\n", len(findings)); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f fieldcrypt.Finding) bool {
		return f.Severity == fieldcrypt.SeverityError || c.Strict && f.Severity == fieldcrypt.SeverityWarning
	}) {
		return errFindings
	}
	return nil
}

func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

func printActions(w io.Writer, actions []fieldcrypt.FieldAction) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FIELD\tTYPE\tTAG\tACTION\tKEY")
	for _, a := range actions {
		action := []string{a.Action}
		for _, detail := range []string{a.Mode, a.How} {
			if detail != "" && detail != "random" {
				action = append(action, detail)
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", a.Path, a.Type, orDash(a.Tag), strings.Join(action, ", "), orDash(a.Key))
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
