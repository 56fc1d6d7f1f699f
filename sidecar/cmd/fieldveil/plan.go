package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

type planCmd struct {
	schemaFlags `embed:""`

	Policy   string   `required:"true" type:"path" placeholder:"FILE" help:"The policy."`
	Registry []string `placeholder:"URL" help:"Schema registry to take the schema from, instead of --schema."`
	Subject  string   `placeholder:"NAME" help:"Subject whose latest version to take from the registry. Default is that of the values of the topic."`
	JSON     bool     `help:"Print everything as JSON."`
}

// Help is the second paragraph of the help text.
func (planCmd) Help() string {
	return "Prints every field of a schema, with its type, its tags, what the policy does to it and the type that it has in " +
		"protected records, and then what a reviewer would ask about. It calls no KMS and no broker. " +
		"It fails where a producer would refuse to start."
}

var (
	errOneSchema = errors.New("give either --schema or --registry")
	errOrigin    = errors.New("the latest version is the schema of protected records, and the registry does not have the one that it was derived from")
)

// Run prints the plan.
func (c planCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	if (c.Schema == "") == (len(c.Registry) == 0) {
		return errOneSchema
	}
	policy, err := fieldcrypt.LoadPolicy(c.Policy)
	if err != nil {
		return err
	}
	if c.Topic == "" {
		return errors.New("--topic is needed: rules may differ from topic to topic")
	}
	var text schema.Text
	if c.Schema != "" {
		text, err = c.text()
	} else {
		text, err = c.latest(ctx)
	}
	if err != nil {
		return err
	}
	parsed, err := parseText(text)
	if err != nil {
		return err
	}
	plan, err := compilePlan(parsed, policy, c.Topic)
	if err != nil {
		return err
	}
	findings := append(policy.Lint(), plan.Lint()...)
	if c.JSON {
		return indented(t.out, struct {
			fieldcrypt.Description

			Findings []fieldcrypt.Finding `json:"findings"`
		}{plan.Describe(), append([]fieldcrypt.Finding{}, findings...)})
	}
	if err := printPlan(t.out, plan.Describe()); err != nil {
		return err
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(t.out, f); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(t.err, "%d of %d fields of %s are governed; the others leave as they are. %d findings.\n",
		len(plan.Actions()), len(plan.Describe().Fields), parsed.Name(), len(findings))
	return err
}

// latest returns the schema of the latest version, or the one that it was derived
// from.
func (c planCmd) latest(ctx context.Context) (schema.Text, error) {
	client, err := registry.New(c.Registry)
	if err != nil {
		return schema.Text{}, err
	}
	defer func() { _ = client.Close() }() // nothing is under way
	subject := c.Subject
	if subject == "" {
		subject = c.Topic + "-value"
	}
	latest, err := client.Latest(ctx, subject)
	if err != nil {
		return schema.Text{}, err
	}
	text, err := client.Text(ctx, latest)
	if err != nil {
		return schema.Text{}, err
	}
	parsed, err := parseText(text)
	if err != nil {
		return schema.Text{}, err
	}
	d, ok := parsed.(schema.Derived)
	if !ok {
		return text, nil
	}
	origin, derived := d.Origin()
	switch {
	case !derived:
		return text, nil
	case origin.ID == 0:
		return schema.Text{}, errOrigin
	default:
		return client.Schema(ctx, origin.ID)
	}
}

func printPlan(w io.Writer, d fieldcrypt.Description) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FIELD\tTYPE\tTAGS\tACTION\tSTORED\tA READER WITHOUT KEYS SEES")
	for i := range d.Fields {
		f := &d.Fields[i]
		action := []string{f.Action}
		for _, detail := range []string{f.Mode, f.How, f.Key} {
			if detail != "" && detail != "random" {
				action = append(action, detail)
			}
		}
		typ := string(f.Type)
		if f.Logical != "" {
			typ += " (" + f.Logical + ")"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Path, typ, orDash(strings.Join(f.Tags, " ")), strings.Join(action, ", "), f.Stored, f.Reader)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !d.Derived {
		return nil
	}
	_, err := fmt.Fprintln(w, "Protected records follow another schema, which is derived from this one.")
	return err
}
