package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/serve"
)

// configFormat is the file that configures the sidecar, with all of its parts.
func configFormat() *config.Format { return serve.Format() }

// configCmd groups the commands for the file that configures the sidecar.
type configCmd struct {
	PrintDefaults configDefaultsCmd `cmd:"" help:"Print a complete configuration of the sidecar, with a comment to each key."`
	Schema        configSchemaCmd   `cmd:"" help:"Print a JSON Schema of the configuration, for editors."`
	Validate      configValidateCmd `cmd:"" help:"Check a configuration and its policy, and what it weakens."`
}

type configDefaultsCmd struct{}

// Run prints the defaults.
func (configDefaultsCmd) Run(t *terminal) error { return configFormat().PrintDefaults(t.out) }

type configSchemaCmd struct{}

// Run prints the schema.
func (configSchemaCmd) Run(t *terminal) error { return configFormat().Schema(t.out) }

type configValidateCmd struct {
	Path    string `arg:"" name:"file" help:"The configuration."`
	Against string `placeholder:"FILE" help:"The configuration before, to find what protects less now."`
	JSON    bool   `help:"Print what was found as JSON."`
}

// Help is the second paragraph of the help text.
func (configValidateCmd) Help() string {
	return "It reads the configuration under the environment that it has, and the policy that it names, as the sidecar " +
		"does, and calls nothing. With --against it also tells in what the new files protect less than those before, and " +
		"which keys need a restart to change. The exit code is 1 when a file is wrong or protects less."
}

// configReport is what was found.
type configReport struct {
	Valid    bool                 `json:"valid"`
	Findings []fieldcrypt.Finding `json:"findings"`
	Weaker   []fieldcrypt.Finding `json:"weaker,omitempty"`
	Restart  []string             `json:"restart,omitempty"`
	Change   string               `json:"change,omitempty"`
}

var (
	errConfig = errors.New("the configuration is not valid")
	errWeaker = errors.New("the new files protect less than those before")
)

// Run checks the files.
func (c configValidateCmd) Run(t *terminal) error {
	format := configFormat()
	report := configReport{Findings: []fieldcrypt.Finding{}}
	next, err := format.Load(c.Path)
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		report.Findings = invalid.Findings
		return errors.Join(c.print(t, &report), errConfig)
	}
	if err != nil {
		return err
	}
	report.Valid = true
	report.Findings = append(report.Findings, next.Warnings()...)
	if c.Against != "" {
		prev, err := format.Load(c.Against)
		if err != nil {
			return fmt.Errorf("--against: %w", err)
		}
		report.Weaker, report.Restart = format.Weakens(prev, next), format.NeedsRestart(prev, next)
		report.Change = config.ChangeDigest(prev, next)
	}
	if err := c.print(t, &report); err != nil {
		return err
	}
	if len(report.Weaker) > 0 {
		return errWeaker
	}
	return nil
}

func (c configValidateCmd) print(t *terminal, r *configReport) error {
	if c.JSON {
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	var errs []error
	say := func(w io.Writer, format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	for _, f := range r.Findings {
		say(t.out, "%s", f)
	}
	for _, f := range r.Weaker {
		say(t.out, "weaker: %s", f)
	}
	if len(r.Restart) > 0 {
		say(t.out, "needs a restart: %s", strings.Join(r.Restart, ", "))
	}
	if len(r.Weaker) > 0 {
		say(t.err, "The change is %s.", r.Change)
	}
	if r.Valid {
		say(t.err, "%s is a valid configuration.", c.Path)
	}
	return errors.Join(errs...)
}
