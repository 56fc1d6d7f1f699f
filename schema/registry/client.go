package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/schema"
)

const typeAvro = string(schema.Avro)

// A Client asks a schema registry, and keeps what it answers. It is safe for
// concurrent use. Printing it shows no credential.
//
// Errors wrap [schema.ErrNotFound] or one of the classes of this package, and are
// an [*Error] when a registry was asked.
type Client struct {
	cfg    *config
	caller *caller
	life   *life

	ids      *group[int, *found]
	guids    *group[[16]byte, *found]
	versions *group[place, *Schema]
	latest   *group[string, *Schema]
	subjects *group[int, []SubjectVersion]
	written  *group[writing, Schema]

	pins pins

	mu      sync.Mutex
	origins map[[32]byte]place       // of texts that were read as references, by digest
	wholes  map[[32]byte][]Reference // of texts that have references, by digest
}

var (
	_ schema.Source     = (*Client)(nil)
	_ schema.GUIDSource = (*Client)(nil)
	_ schema.Registrar  = (*Client)(nil)
)

// A place is a version of a subject.
type place struct {
	subject string
	version int
}

// A writing is a registration.
type writing struct {
	subject string
	digest  [32]byte
}

// found is a schema with its references.
type found struct {
	schema *Schema
	text   schema.Text
}

// New returns a Client of one registry, which may have several URLs. They take
// turns when one fails. A path in a URL stands before all paths of the
// interface; a user and password in it are sent to that URL alone. New makes no
// call.
func New(urls []string, opts ...Option) (*Client, error) {
	cfg, err := newConfig(urls, opts)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:      cfg,
		caller:   newCaller(cfg),
		life:     newLife(cfg.budget),
		ids:      newGroup[int, *found](cfg, 0, 0),
		guids:    newGroup[[16]byte, *found](cfg, 0, 0),
		versions: newGroup[place, *Schema](cfg, 0, 0),
		latest:   newGroup[string, *Schema](cfg, cfg.latest, cfg.stale),
		subjects: newGroup[int, []SubjectVersion](cfg, cfg.latest, cfg.stale),
		written:  newGroup[writing, Schema](cfg, 0, 0),
		origins:  map[[32]byte]place{},
		wholes:   map[[32]byte][]Reference{},
	}
	if cfg.snapshot != nil {
		if err := c.pinSnapshot(cfg.snapshot); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends all calls and waits for them. The Client answers nothing afterwards.
func (c *Client) Close() error {
	c.life.close()
	c.caller.http.CloseIdleConnections()
	return nil
}

// Format shows the URLs without credentials, for every verb.
func (c *Client) Format(f fmt.State, _ rune) {
	shown := make([]string, len(c.cfg.endpoints))
	for i := range shown {
		shown[i] = c.cfg.endpoints[i].shown
	}
	_, _ = io.WriteString(f, "registry.Client("+strings.Join(shown, " ")+")")
}

// MarshalText returns a fixed word: a Client is not for writing down.
func (c *Client) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

// Schema returns the text under id, with its references, the tags of its metadata
// and the demands of its rules. A schema that was found once is there for good,
// also while the registry is away.
func (c *Client) Schema(ctx context.Context, id int) (schema.Text, error) {
	f, err := c.byID(ctx, id)
	if err != nil {
		return schema.Text{}, err
	}
	return f.text, nil
}

// SchemaByGUID returns the text under the id that holds in all registries, as
// Schema does. Registries have such ids from version 8.0 of Confluent Platform.
func (c *Client) SchemaByGUID(ctx context.Context, guid [16]byte) (schema.Text, error) {
	f, err := c.byGUID(ctx, guid)
	if err != nil {
		return schema.Text{}, err
	}
	return f.text, nil
}

// ByID returns all that the registry holds under id.
func (c *Client) ByID(ctx context.Context, id int) (Schema, error) {
	f, err := c.byID(ctx, id)
	if err != nil {
		return Schema{}, err
	}
	return *f.schema, nil
}

// ByGUID returns all that the registry holds under the id that holds in all
// registries.
func (c *Client) ByGUID(ctx context.Context, guid [16]byte) (Schema, error) {
	f, err := c.byGUID(ctx, guid)
	if err != nil {
		return Schema{}, err
	}
	return *f.schema, nil
}

func (c *Client) byID(ctx context.Context, id int) (*found, error) {
	if id <= 0 {
		return nil, wrap(schema.ErrNotFound, "id "+strconv.Itoa(id))
	}
	f, err := c.ids.get(ctx, c.life, id, func(ctx context.Context) (*found, int, error) {
		if c.cfg.snapshot != nil {
			if s, ok := c.cfg.snapshot.ids[id]; ok {
				return c.complete(ctx, s, "")
			}
		}
		s, err := c.fetch(ctx, call{method: "GET", path: "/schemas/ids/" + strconv.Itoa(id), query: url.Values{"fetchMaxId": {"false"}}})
		if err != nil {
			return nil, 0, err
		}
		if s.ID != 0 && s.ID != id {
			return nil, 0, wrap(ErrAnswer, "asked for schema "+strconv.Itoa(id)+" and was answered with another")
		}
		s.ID = id
		if err := c.pins.check(pinCore+" "+strconv.Itoa(id), s.core(), "schema "+strconv.Itoa(id)); err != nil {
			return nil, 0, err
		}
		return c.complete(ctx, s, strconv.Itoa(id))
	})
	return f, located(err, "schema "+strconv.Itoa(id))
}

func (c *Client) byGUID(ctx context.Context, guid [16]byte) (*found, error) {
	name := formatGUID(guid)
	f, err := c.guids.get(ctx, c.life, guid, func(ctx context.Context) (*found, int, error) {
		if c.cfg.snapshot != nil {
			if s, ok := c.cfg.snapshot.guids[guid]; ok {
				return c.complete(ctx, s, "")
			}
		}
		s, err := c.fetch(ctx, call{method: "GET", path: "/schemas/guids/" + name})
		if err != nil {
			return nil, 0, err
		}
		if s.GUID != "" && s.GUID != name {
			return nil, 0, wrap(ErrAnswer, "asked for schema "+name+" and was answered with another")
		}
		s.GUID = name
		return c.complete(ctx, s, name)
	})
	return f, located(err, "schema "+name)
}

// located says of an error that comes from no call what was asked for.
func located(err error, what string) error {
	if err == nil {
		return nil
	}
	if strings.HasPrefix(err.Error(), "registry: ") {
		return err
	}
	return fmt.Errorf("registry: %s: %w", what, err)
}

// fetch asks for one schema and checks it, without its references.
func (c *Client) fetch(ctx context.Context, q call) (*Schema, error) {
	var s Schema
	if err := c.caller.do(ctx, q, func(cur *cursor) error {
		s = Schema{}
		if err := s.read(cur); err != nil {
			return err
		}
		if s.Text == "" {
			return decodeError("answer has no schema")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// check refuses what no Client keeps, and fills in what may be left out.
func (s *Schema) check() error {
	switch {
	case len(s.Text) > maxText:
		return wrap(ErrLimit, "a schema of "+strconv.Itoa(len(s.Text))+" bytes")
	case !utf8.ValidString(s.Text):
		return wrap(ErrInvalid, "a schema that is not UTF-8")
	case len(s.References) > maxReferences:
		return wrap(ErrLimit, "a schema with "+strconv.Itoa(len(s.References))+" references")
	case s.ID < 0 || s.Version < 0:
		return wrap(ErrAnswer, "a schema with a negative id or version")
	}
	for _, r := range s.References {
		if r.Version <= 0 {
			return wrap(ErrAnswer, "a reference to no certain version")
		}
	}
	if s.Type == "" {
		s.Type = typeAvro
	}
	return nil
}

// version returns one version of a subject, soft-deleted or not: what refers to
// it stays, and so do records.
func (c *Client) version(ctx context.Context, p place) (*Schema, error) {
	path, err := subjectPath(p.subject)
	if err != nil {
		return nil, err
	}
	what := "version " + strconv.Itoa(p.version) + " of " + strconv.Quote(p.subject)
	s, err := c.versions.get(ctx, c.life, p, func(ctx context.Context) (*Schema, int, error) {
		if c.cfg.snapshot != nil {
			if s, ok := c.cfg.snapshot.places[p]; ok {
				size := s.size()
				return s, size, nil
			}
		}
		s, err := c.fetch(ctx, call{method: "GET", path: path + "/versions/" + strconv.Itoa(p.version), query: url.Values{"deleted": {"true"}}})
		if err != nil {
			return nil, 0, err
		}
		if s.Version != p.version {
			return nil, 0, wrap(ErrAnswer, "asked for "+what+" and was answered with another")
		}
		size := s.size()
		return s, size, c.pin(p.subject, s)
	})
	return s, located(err, what)
}

// pin remembers what an answer says about a version and an id, or fails when
// that was something else.
func (c *Client) pin(subject string, s *Schema) error {
	if s.ID == 0 {
		return wrap(ErrAnswer, "a version without an id")
	}
	name := "version " + strconv.Itoa(s.Version) + " of " + strconv.Quote(subject)
	if err := c.pins.check(name, s.digest(), name); err != nil {
		return err
	}
	return c.pins.check(pinCore+contextOf(subject)+" "+strconv.Itoa(s.ID), s.core(), "schema "+strconv.Itoa(s.ID))
}

// pinCore begins the pins that do without metadata and rules, which not every
// registry tells at all endpoints. The context of the id follows.
const pinCore = "core "

// core is a digest of what all endpoints tell alike about an id.
func (s *Schema) core() [32]byte {
	return digestOf(s.Type, s.Text, s.References)
}

// digest is a digest of all that makes the schema, without what a later release
// of the registry may add.
func (s *Schema) digest() [32]byte {
	return digestOf(s.Type, s.Text, s.References, s.Metadata.bare(), s.RuleSet.bare())
}

// digestOf hashes values of the types of this package, as JSON.
func digestOf(parts ...any) [32]byte {
	b, err := json.Marshal(parts)
	if err != nil {
		panic("registry: impossible: " + err.Error()) //nolint:forbidigo // strings, numbers and maps of them
	}
	return sha256.Sum256(b)
}

func (m *Metadata) bare() *Metadata {
	if m == nil {
		return nil
	}
	bare := *m
	bare.Extra = nil
	return &bare
}

func (r *RuleSet) bare() *RuleSet {
	if r == nil {
		return nil
	}
	bare := *r
	bare.Extra = nil
	bare.MigrationRules, bare.DomainRules, bare.EncodingRules = bareRules(r.MigrationRules), bareRules(r.DomainRules), bareRules(r.EncodingRules)
	return &bare
}

func bareRules(rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		r.Extra = nil
		out = append(out, r)
	}
	return out
}

// size is about the memory that a schema takes.
func (s *Schema) size() int {
	size := 512 + len(s.Text) + 256*len(s.References)
	if s.Metadata != nil {
		for pattern, tags := range s.Metadata.Tags {
			size += 128 + len(pattern) + 32*len(tags)
		}
		for k, v := range s.Metadata.Properties {
			size += 64 + len(k) + len(v)
		}
	}
	if s.RuleSet != nil {
		size += 1024 * (len(s.RuleSet.MigrationRules) + len(s.RuleSet.DomainRules) + len(s.RuleSet.EncodingRules))
	}
	return size
}

// maxPins bounds what is remembered. No registry has so many schemas.
const maxPins = 1 << 20

// pins remember what ids stand for, by digest. The zero value is empty.
type pins struct {
	mu sync.Mutex
	m  map[string][32]byte
}

// check remembers a digest, or fails when there is another one.
func (p *pins) check(key string, digest [32]byte, what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		p.m = map[string][32]byte{}
	}
	old, ok := p.m[key]
	switch {
	case ok && old != digest:
		return wrap(ErrChanged, what)
	case !ok && len(p.m) >= maxPins:
		return wrap(ErrLimit, "more schemas than can be remembered")
	}
	p.m[key] = digest
	return nil
}

// contextOf returns the context of a subject of the form ":.context:name", and
// nothing for another one.
func contextOf(subject string) string {
	if rest, ok := strings.CutPrefix(subject, ":."); ok {
		if context, _, ok := strings.Cut(rest, ":"); ok {
			return context
		}
	}
	return ""
}

// subjectPath returns the path of a subject.
func subjectPath(subject string) (string, error) {
	segment, err := segment(subject)
	return "/subjects/" + segment, err
}

// segment escapes the name of a subject. Dots alone would make another path of
// it, on the way to the registry.
func segment(subject string) (string, error) {
	bad := subject == "" || subject == "." || subject == ".." || len(subject) > maxSubject || !utf8.ValidString(subject)
	for _, b := range []byte(subject) {
		bad = bad || b < ' ' || b == 0x7f
	}
	if bad {
		return "", wrap(ErrInvalid, "a subject that no path can name")
	}
	return url.PathEscape(subject), nil
}
