package registry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// complete adds the references of s, and what its metadata and rules say. What s
// is gets pinned under a key, unless the key is empty; what references are is
// pinned where they are fetched.
func (c *Client) complete(ctx context.Context, s *Schema, key string) (*found, int, error) {
	if key != "" {
		if err := c.pins.check("schema "+key, s.digest(), "schema "+key); err != nil {
			return nil, 0, err
		}
	}
	text, err := c.resolve(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	size := s.size()
	for _, r := range text.References {
		size += len(r)
	}
	return &found{schema: s, text: text}, size, nil
}

// Text returns s with its references, the tags of its metadata and the demands of
// its rules, as a parser wants them. References are fetched as needed.
func (c *Client) Text(ctx context.Context, s Schema) (schema.Text, error) {
	if err := s.check(); err != nil {
		return schema.Text{}, err
	}
	ctx, cancel, err := c.life.within(ctx)
	if err != nil {
		return schema.Text{}, err
	}
	defer cancel()
	return c.resolve(ctx, &s)
}

func (c *Client) resolve(ctx context.Context, s *Schema) (schema.Text, error) {
	r := &resolver{fetch: func(p place) (*Schema, error) { return c.version(ctx, p) }, maxBytes: c.cfg.maxAnswer, tags: c.cfg.refTags}
	text, err := r.text(s)
	if err != nil {
		return schema.Text{}, err
	}
	c.remember(s, text, r)
	return text, nil
}

// remember keeps where texts come from, for when they are registered again as
// references of another text.
func (c *Client) remember(s *Schema, text schema.Text, r *resolver) {
	if len(s.References) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wholes) < 4*c.cfg.schemas {
		c.wholes[text.Bare().Digest()] = s.References
	}
	for i, p := range r.places {
		if len(c.origins) < 4*c.cfg.schemas {
			c.origins[digestOf(text.Format, text.References[i])] = p
		}
	}
}

// A resolver collects the references of one schema.
type resolver struct {
	fetch    func(place) (*Schema, error)
	maxBytes int
	tags     bool

	out    schema.Text
	places []place // of out.References
	path   []place // that leads to the reference at hand
	names  map[string]place
	bytes  int
	seen   int
}

// text returns s with everything that it needs.
func (r *resolver) text(s *Schema) (schema.Text, error) {
	r.out = schema.Text{Format: schema.Format(s.Type), Schema: s.Text}
	switch r.out.Format {
	case schema.Avro, schema.JSONSchema, schema.Protobuf:
	default:
		return schema.Text{}, wrap(ErrUnsupported, "a schema of a type that is not known")
	}
	r.names = map[string]place{}
	r.bytes = len(s.Text)
	own, err := tagRules(s.Metadata)
	if err != nil {
		return schema.Text{}, err
	}
	r.out.Tags = own
	if err := r.references(s); err != nil {
		return schema.Text{}, err
	}
	r.out.Demands = demands(s.RuleSet)
	return r.out, nil
}

// references adds those of s, each behind those that it needs itself.
func (r *resolver) references(s *Schema) error {
	context := contextOf(s.Subject)
	for _, ref := range s.References {
		p := place{subject: ref.Subject, version: ref.Version}
		if context != "" && contextOf(ref.Subject) == "" {
			p.subject = ":." + context + ":" + ref.Subject
		}
		if err := r.reference(ref.Name, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) reference(name string, p place) error {
	r.seen++ // the same ones again, too
	if r.seen > 64*maxReferences {
		return wrap(ErrLimit, "too many references")
	}
	if slices.Contains(r.path, p) {
		return wrap(ErrUnsupported, "references form a cycle")
	}
	if len(r.path) >= maxDepth {
		return wrap(ErrLimit, "references are nested too deeply")
	}
	if other, ok := r.names[name]; ok {
		if other == p {
			return nil
		}
		return wrap(ErrUnsupported, "two references have the same name")
	}
	s, err := r.fetch(p)
	if err != nil {
		return fmt.Errorf("registry: reference to version %d of %q: %w", p.version, clean(p.subject), err)
	}
	if schema.Format(s.Type) != r.out.Format {
		return wrap(ErrUnsupported, "a reference to a schema of another type")
	}
	r.path = append(r.path, p)
	if s.Subject == "" {
		copied := *s
		copied.Subject = p.subject // for the context of its own references
		s = &copied
	}
	if err := r.references(s); err != nil {
		return err
	}
	r.path = r.path[:len(r.path)-1]
	if r.bytes += len(s.Text); r.bytes > r.maxBytes {
		return wrap(ErrLimit, "a schema that is too large with its references")
	}
	if len(r.places) >= maxReferences {
		return wrap(ErrLimit, "too many references")
	}
	if _, ok := r.names[name]; ok {
		// It came in below itself under another place, or was added on the way.
		return wrap(ErrUnsupported, "two references have the same name")
	}
	r.names[name] = p
	r.places = append(r.places, p)
	r.out.References = append(r.out.References, s.Text)
	r.out.Names = append(r.out.Names, name)
	return r.addTags(s)
}

// addTags adds the tags that stand beside a reference. In Avro and Protobuf they
// name fields in full, so they mean the same here. In JSON they begin at the
// root of the reference, which stands somewhere else here.
func (r *resolver) addTags(s *Schema) error {
	if !r.tags {
		return nil
	}
	rules, err := tagRules(s.Metadata)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if rule.Pattern[0] == '/' || r.out.Format == schema.JSONSchema && !strings.HasPrefix(rule.Pattern, "**") {
			return wrap(ErrUnsupported, "a reference whose metadata has tags by path: write them into its text, or use WithoutReferenceTags")
		}
		if !slices.ContainsFunc(r.out.Tags, func(t schema.TagRule) bool {
			return t.Pattern == rule.Pattern && slices.Equal(t.Tags, rule.Tags)
		}) {
			r.out.Tags = append(r.out.Tags, rule)
		}
	}
	return nil
}

// tagRules returns the tags of metadata, sorted by pattern.
func tagRules(m *Metadata) ([]schema.TagRule, error) {
	if m == nil {
		return nil, nil
	}
	var rules []schema.TagRule
	for _, pattern := range slices.Sorted(maps.Keys(m.Tags)) {
		tags := slices.Compact(slices.Sorted(slices.Values(m.Tags[pattern])))
		tags = slices.DeleteFunc(tags, func(t string) bool { return t == "" })
		if len(tags) == 0 {
			continue
		}
		if pattern == "" || pattern[0] != '/' && strings.ContainsAny(pattern, `[]\`) {
			// Other clients read brackets as a class of characters, and disagree
			// about the backslash.
			return nil, wrap(ErrUnsupported, `metadata has a tag pattern that is empty or holds [, ] or \`)
		}
		// As other clients have it, the dot and the star say nothing that the two
		// stars do not.
		rules = append(rules, schema.TagRule{Pattern: strings.ReplaceAll(pattern, "**.*", "**"), Tags: tags})
	}
	slices.SortStableFunc(rules, func(a, b schema.TagRule) int { return cmp.Compare(a.Pattern, b.Pattern) })
	return rules, nil
}

// Types of rules that ask for encryption.
const (
	ruleEncrypt        = "ENCRYPT"
	ruleEncryptPayload = "ENCRYPT_PAYLOAD"
)

// demands returns what the rules of a set ask a producer to encrypt. Where
// clients disagree on whether a rule counts, it does.
func demands(set *RuleSet) []schema.Demand {
	if set == nil {
		return nil
	}
	switch strings.ToUpper(set.EnableAt) {
	case "GATEWAY", "SERVER", "NONE":
		return nil
	}
	lists := [][]Rule{set.DomainRules, set.EncodingRules}
	for _, key := range slices.Sorted(maps.Keys(set.Extra)) {
		// A list that only later releases know may hold rules that encrypt.
		var rules []Rule
		if decode(set.Extra[key], func(c *cursor) (err error) { rules, err = readRules(c); return err }) == nil {
			lists = append(lists, rules)
		}
	}
	var out []schema.Demand
	for _, rules := range lists {
		for _, r := range rules {
			if r.Disabled || strings.EqualFold(r.Mode, "READ") {
				continue
			}
			switch {
			case strings.EqualFold(r.Type, ruleEncrypt):
				out = append(out, schema.Demand{Name: r.Name, Tags: slices.Compact(slices.Sorted(slices.Values(r.Tags)))})
			case strings.EqualFold(r.Type, ruleEncryptPayload):
				out = append(out, schema.Demand{Name: r.Name, Payload: true})
			}
		}
	}
	return out
}
