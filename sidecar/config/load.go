package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// An InvalidError is all that is wrong with a configuration, in the order of its
// lines. It holds keys and lines and never a value.
type InvalidError struct {
	File     string
	Findings []fieldcrypt.Finding
}

// Error returns a line for each finding, such as
//
//	fieldveil.yaml:12: admin.addr: expected text, found a list
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		parts := e.File
		if f.Line > 0 {
			parts += fmt.Sprintf(":%d", f.Line)
		}
		for _, p := range []string{f.Path, f.Text} {
			if p != "" {
				parts = strings.TrimPrefix(parts+": "+p, ": ")
			}
		}
		lines[i] = parts
	}
	return strings.Join(lines, "\n")
}

// An Environment is what stands above the file: the variables of the process, as
// [os.Environ] returns them.
type Environment []string

// Load reads the file at path under the environment of the process, then the
// policy that it names, and checks both. What is wrong with either is an
// [*InvalidError]; a file that cannot be read is an error of the file system.
func (f *Format) Load(path string) (*Config, error) { return f.LoadWith(path, os.Environ()) }

// LoadWith is Load under another environment.
func (f *Format) LoadWith(path string, env Environment) (*Config, error) {
	text, err := readFile(path, maxText)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	c, r := f.parse(path, text, env)
	if r.result(path) == nil {
		c.readPolicy(r)
	}
	if err := r.result(path); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads text as the file at path, of which it only takes the name, and
// checks it. It reads no policy and no other file.
func (f *Format) Parse(path string, text []byte, env Environment) (*Config, error) {
	c, r := f.parse(path, text, env)
	if err := r.result(path); err != nil {
		return nil, err
	}
	return c, nil
}

func (f *Format) parse(path string, text []byte, env Environment) (*Config, *reader) {
	c, r := f.Defaults(), &reader{lines: map[string]int{}}
	c.file = path
	known := f.top(c)
	if root := r.document(text); root != nil && r.version(root) {
		r.section(root, "", known)
		if len(r.found) == 0 {
			r.environment(known, env)
			c.check(r)
		}
	}
	c.warned = slices.DeleteFunc(slices.Clone(r.found), func(x fieldcrypt.Finding) bool { return x.Severity == fieldcrypt.SeverityError })
	c.sum(f, nil)
	return c, r
}

// version comes before the rest: a later version may have keys that this release
// would call unknown.
func (r *reader) version(root *yaml.Node) bool {
	if root.Kind != yaml.MappingNode {
		r.addf(codeSyntax, root.Line, "", "expected a mapping: begin with version: 1")
		return false
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "version" {
			continue
		}
		if v := root.Content[i+1]; v.Kind != yaml.ScalarNode || v.ShortTag() != "!!int" || v.Value != "1" {
			r.addf(codeValue, v.Line, "version", "this release reads version 1 only")
			return false
		}
		return true
	}
	r.addf(codeKey, 0, "version", "missing: begin with version: 1")
	return false
}

// result returns the errors, without what is only a warning.
func (r *reader) result(path string) error {
	bad := slices.DeleteFunc(slices.Clone(r.found), func(f fieldcrypt.Finding) bool { return f.Severity != fieldcrypt.SeverityError })
	if len(bad) == 0 {
		return nil
	}
	slices.SortStableFunc(bad, func(a, b fieldcrypt.Finding) int { return a.Line - b.Line })
	return &InvalidError{File: path, Findings: bad}
}

// readPolicy reads the policy of c. What is built later is built from the text
// that was checked, and not from a file that was changed in between.
func (c *Config) readPolicy(r *reader) {
	path := c.Resolve(c.Policy.Path)
	text, err := readFile(path, maxText)
	if err != nil {
		r.addf(codePolicy, r.lines["policy.path"], "policy.path", "%v", err)
		return
	}
	policy, err := fieldcrypt.ParsePolicy(text)
	if faults, ok := errors.AsType[fieldcrypt.PolicyErrors](err); ok {
		for _, fault := range faults {
			fault.File = path
			r.addf(codePolicy, r.lines["policy.path"], "policy.path", "%s", fault)
		}
		return
	}
	if err != nil {
		r.addf(codePolicy, r.lines["policy.path"], "policy.path", "%v", err)
		return
	}
	c.policy = policy
	c.vaults(r)
	c.sum(nil, text)
}

// Resolve returns the path of a file that the configuration names: relative ones
// begin at the directory of the file.
func (c *Config) Resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.file), path)
}

// Files returns what has to be watched: the file itself, the policy and the files
// of schemas. What secrets and certificates name is watched by who uses it.
func (c *Config) Files() []string {
	out := []string{c.file, c.Resolve(c.Policy.Path)}
	if c.Schemas.Tags != "" {
		out = append(out, c.Resolve(c.Schemas.Tags))
	}
	for _, t := range c.Schemas.Topics {
		out = append(out, c.Resolve(t.Path))
		for _, ref := range t.References {
			out = append(out, c.Resolve(ref))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sum takes the digest of all that c says: first of the configuration, then with
// the text of the policy. Secrets count by where they are.
func (c *Config) sum(f *Format, policy []byte) {
	if f != nil {
		var b bytes.Buffer
		_ = f.Print(&b, c) // a buffer takes everything
		c.digest = sha256.Sum256(b.Bytes())
		return
	}
	text := sha256.Sum256(policy)
	c.digest = sha256.Sum256(append(c.digest[:], text[:]...))
}

func readFile(path string, limit int64) (text []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, limit+1))
}

// environment lets variables stand above the file, and notes those that look as if
// they should.
func (r *reader) environment(known []field, env Environment) {
	values := map[string]string{}
	for _, v := range env {
		if name, value, ok := strings.Cut(v, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	walk(known, "", func(path string, f field) {
		form := formOf(f.value.Type())
		if form != formScalar && form != formDuration || path == "version" {
			return
		}
		name := EnvName(path)
		value, ok := values[name]
		if !ok {
			return
		}
		delete(values, name)
		v := f.value
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		if reason := set(v, value, ""); reason != "" {
			r.addf(codeEnv, 0, path, "%s: %s", name, reason)
		}
	})
	var unknown []string
	for name := range values {
		if !slices.Contains(r.names, name) && !ofKubernetes(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		r.found = append(r.found, fieldcrypt.Finding{
			Code: codeUnknown, Severity: fieldcrypt.SeverityWarning, Path: name,
			Text: "this variable of the environment is that of no key",
		})
	}
}

const envPrefix = "FIELDVEIL_"

// EnvName returns the variable that stands above the key at path: admin.addr has
// FIELDVEIL_ADMIN_ADDR.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// ofKubernetes tells the variables that a pod gets for a service of the name
// fieldveil, or one that begins so.
func ofKubernetes(name string) bool {
	for _, end := range []string{"_SERVICE_HOST", "_SERVICE_PORT", "_PORT", "_TCP", "_PROTO", "_ADDR"} {
		if strings.HasSuffix(name, end) && (strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT")) {
			return true
		}
	}
	return strings.Contains(name, "_SERVICE_PORT_")
}
