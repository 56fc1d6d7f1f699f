package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// auditCmd groups the commands about audit trails.
type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Find every line of an audit trail that was deleted, changed, moved or added."`
	Show   auditShowCmd   `cmd:"" help:"Print an audit trail as a table."`
}

// auditFiles are what both commands read.
type auditFiles struct {
	Files []string `arg:"" name:"file" help:"The files of one trail, in any order; - for standard input. Files that were renamed when they were full are found by the name without number."`
	Many  bool     `help:"Allow lines of several trails, as from standard output or a topic."`
}

// sources returns the files in the order of their lines.
func (f *auditFiles) sources() ([]string, error) {
	var names []string
	for _, name := range f.Files {
		if name != "-" {
			parts, err := audit.Parts(name)
			if err != nil {
				return nil, err
			}
			names = append(names, parts...)
		}
		names = append(names, name)
	}
	first := make(map[string]uint64)
	for _, name := range names {
		if name == "-" {
			continue
		}
		if _, twice := first[name]; twice {
			continue
		}
		seq, err := firstSeq(name)
		if err != nil {
			return nil, err
		}
		first[name] = seq
	}
	// A file that is named beside the one that it was renamed from is meant once.
	var out []string
	for _, name := range names {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case first[a] < first[b]:
			return -1
		case first[a] > first[b]:
			return 1
		default:
			return 0
		}
	})
	return out, nil
}

// firstSeq returns the number of the first line of a file that can be read. A file
// without any goes last: it is one that was just begun.
func firstSeq(name string) (seq uint64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	v := audit.NewVerifier(audit.VerifyConfig{Many: true, Each: func(_ string, _ int, l *audit.Line) {
		if seq == 0 {
			seq = l.Seq
		}
	}})
	// The beginning of a file holds its first line, or a remnant and that.
	if err := v.Read(name, io.LimitReader(f, 3*audit.MaxLine)); err != nil {
		return 0, err
	}
	if seq == 0 {
		return ^uint64(0), nil
	}
	return seq, nil
}

// read hands all files to v.
func (f *auditFiles) read(t *terminal, v *audit.Verifier) error {
	names, err := f.sources()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := readOne(t, v, name); err != nil {
			return err
		}
	}
	return nil
}

func readOne(t *terminal, v *audit.Verifier, name string) error {
	if name == "-" {
		return v.Read("standard input", t.in)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return v.Read(name, f)
}

type auditVerifyCmd struct {
	auditFiles `embed:""`

	Key        []string `placeholder:"FILE" help:"A key that seals: a secret, or an Ed25519 key in PEM, of which the public half is enough. Every line must then be sealed by one."`
	FromSeq    uint64   `placeholder:"N" help:"The number of the line before the first one, where earlier files are kept elsewhere."`
	FromHash   string   `placeholder:"HEX" help:"Its hash."`
	ExpectSeq  uint64   `placeholder:"N" help:"The number of a line that must be there, as noted elsewhere: it shows an end that was cut off."`
	ExpectHash string   `placeholder:"HEX" help:"Its hash."`
}

// Help is the second paragraph of the help text.
func (auditVerifyCmd) Help() string {
	return "Prints each fault with file and line to standard output, and exits with 1 when there is any. " +
		"The chain of hashes shows every change but two: an end that was cut off is found by --expect-seq and --expect-hash, " +
		"and a trail that was written anew as a whole by the seals, with --key."
}

var errAudit = errors.New("the audit trail is not whole")

// Run verifies.
func (c auditVerifyCmd) Run(t *terminal) error {
	conf := audit.VerifyConfig{Many: c.Many, ExpectSeq: c.ExpectSeq, From: audit.Head{Seq: c.FromSeq}}
	for _, name := range c.Key {
		k, err := audit.ReadKey(secret.File(name))
		if err != nil {
			return err
		}
		conf.Keys = append(conf.Keys, k)
	}
	if err := errors.Join(auditHash("from-hash", c.FromHash, &conf.From.Hash), auditHash("expect-hash", c.ExpectHash, &conf.ExpectHash)); err != nil {
		return err
	}
	if c.FromHash != "" && c.FromSeq == 0 {
		return errors.New("--from-hash goes with --from-seq")
	}
	v := audit.NewVerifier(conf)
	if err := c.read(t, v); err != nil {
		return err
	}
	r := v.Report()
	for _, f := range r.Faults {
		if _, err := fmt.Fprintln(t.out, f); err != nil {
			return err
		}
	}
	if len(r.Faults) > 0 {
		return fmt.Errorf("%w: %d faults in %d lines", errAudit, len(r.Faults), r.Lines)
	}
	seals := "No seals were checked."
	if len(conf.Keys) > 0 {
		seals = "All are sealed."
	}
	torn := ""
	if r.Torn > 0 {
		torn = fmt.Sprintf(" %d remnants of lines that a crash cut.", r.Torn)
	}
	if r.Trails > 1 {
		_, err := fmt.Fprintf(t.err, "%d trails are whole: %d lines. %s%s\n", r.Trails, r.Lines, seals, torn)
		return err
	}
	_, err := fmt.Fprintf(t.err, "Trail %v is whole: %d lines, the last is %d with hash %v. %s%s\n", r.Last.Trail, r.Lines, r.Last.Seq, r.Last.Hash, seals, torn)
	return err
}

// auditHash reads the hash of a flag.
func auditHash(flag, text string, into *audit.Hash) error {
	b, err := hex.DecodeString(text)
	if text != "" && (err != nil || len(b) != len(into)) {
		return fmt.Errorf("--%s: a hash has 64 hexadecimal digits", flag)
	}
	copy(into[:], b)
	return nil
}

type auditShowCmd struct {
	auditFiles `embed:""`
}

// Help is the second paragraph of the help text.
func (auditShowCmd) Help() string {
	return "Prints what can be read, and exits with 1 where the chain is broken; \"audit verify\" says where."
}

// Run prints the table.
func (c auditShowCmd) Run(t *terminal) error {
	const gap = 2
	w := tabwriter.NewWriter(t.out, 0, 0, gap, ' ', 0)
	_, failed := fmt.Fprintln(w, "SEQ\tTIME\tACTION\tOUTCOME\tACTOR\tTENANT\tTOPIC\tCOUNT\tWHAT")
	v := audit.NewVerifier(audit.VerifyConfig{Many: c.Many, Each: func(_ string, _ int, l *audit.Line) {
		if _, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			l.Seq, l.Time.Format(time.RFC3339), l.Action, l.Outcome, cell(l.Actor), cell(l.Tenant), cell(l.Topic), count(l.Count), what(l)); err != nil {
			failed = err
		}
	}})
	if err := errors.Join(c.read(t, v), failed, w.Flush()); err != nil {
		return err
	}
	if r := v.Report(); len(r.Faults) > 0 {
		return fmt.Errorf("%w: %d faults", errAudit, len(r.Faults))
	}
	return nil
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// cell shows a text on a terminal, which must not take any of it as a command.
func cell(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// what joins the members of a line that few lines have.
func what(l *audit.Line) string {
	var out []string
	for _, m := range [][2]string{
		{"method", l.Method}, {"request", l.Request}, {"scope", l.Scope}, {"purpose", l.Purpose}, {"person", l.Person},
		{"target", l.Target}, {"reason", l.Reason},
	} {
		if m[1] != "" {
			out = append(out, m[0]+"="+strconv.Quote(m[1]))
		}
	}
	return strings.Join(out, " ")
}
