package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/schema"
)

// Register makes text a version of the subject, unless it is one already, and
// returns its id. The tags beside the text go into the metadata of the version.
// Its rules do not: a registry that is told none takes over those of the version
// before. Text that does not go with the versions before it is an error that
// wraps [ErrIncompatible].
//
// References are registered by name. One that the Client has read from the
// registry keeps its place there; any other becomes a version of a subject of its
// own, see [WithReferenceSubject].
//
// A registry may answer with the id of a version whose text it regards as the
// same. What the id stands for is what Schema returns for it.
func (c *Client) Register(ctx context.Context, subject string, text schema.Text) (int, error) {
	s, err := c.registration(ctx, subject, text)
	if err != nil {
		return 0, err
	}
	out, err := c.RegisterSchema(ctx, subject, s)
	return out.ID, err
}

// RegisterSchema makes s a version of the subject, unless it is one already, and
// returns it with its id, and with its GUID and version if the registry tells
// them. ID, GUID, Version and Subject of s are ignored. Success is remembered.
func (c *Client) RegisterSchema(ctx context.Context, subject string, s Schema) (Schema, error) {
	path, err := subjectPath(subject)
	if err != nil {
		return Schema{}, err
	}
	body, err := requestBody(s)
	if err != nil {
		return Schema{}, err
	}
	out, err := c.written.get(ctx, c.life, writing{subject: subject, digest: sha256.Sum256(body)}, func(ctx context.Context) (Schema, int, error) {
		var answer Schema
		err := c.caller.do(ctx, call{method: "POST", path: path + "/versions", query: c.normalize(), body: body}, func(cur *cursor) error {
			answer = Schema{}
			return answer.read(cur)
		})
		if err != nil {
			return Schema{}, 0, err
		}
		if answer.ID <= 0 {
			return Schema{}, 0, wrap(ErrAnswer, "a version without an id")
		}
		c.latest.forget(subject)
		c.subjects.forget(answer.ID)
		c.ids.forgive(answer.ID)
		return Schema{ID: answer.ID, GUID: answer.GUID, Version: answer.Version}, 256, nil
	})
	if err != nil {
		return Schema{}, located(err, "registration under "+strconv.Quote(subject))
	}
	s.ID, s.GUID, s.Version, s.Subject = out.ID, out.GUID, out.Version, subject
	return s, nil
}

// requestBody returns what makes s a schema, as a request has it.
func requestBody(s Schema) ([]byte, error) {
	s.ID, s.GUID, s.Version, s.Subject = 0, "", 0, ""
	switch {
	case s.Text == "" || !utf8.ValidString(s.Text):
		return nil, wrap(ErrInvalid, "a schema that is empty or not UTF-8")
	case len(s.Text) > maxText || len(s.References) > maxReferences:
		return nil, wrap(ErrLimit, "a schema that is too large")
	}
	body, err := json.Marshal(s)
	if err != nil {
		return nil, wrap(ErrInvalid, "a schema that cannot be written")
	}
	return body, nil
}

// registration returns text as a registry is told it, with references that are
// registered.
func (c *Client) registration(ctx context.Context, subject string, text schema.Text) (Schema, error) {
	s := Schema{Type: string(text.Format), Text: text.Schema, Metadata: metadataOf(text.Tags)}
	if len(text.Names) > 0 && len(text.Names) != len(text.References) {
		return s, wrap(ErrInvalid, "names that are not as many as the references")
	}
	if len(text.References) > maxReferences {
		return s, wrap(ErrLimit, "too many references")
	}
	if _, err := tagRules(s.Metadata); err != nil {
		return s, err // it could not be read again
	}
	c.mu.Lock()
	whole, known := c.wholes[text.Bare().Digest()]
	c.mu.Unlock()
	if known {
		s.References = slices.Clone(whole)
		return s, nil
	}
	for i, ref := range text.References {
		name := "reference" + strconv.Itoa(i+1)
		switch {
		case len(text.Names) > 0:
			name = text.Names[i]
		case text.Format != schema.Avro: // where names are of no matter
			return s, wrap(ErrInvalid, "references without names")
		}
		p, err := c.place(ctx, subject, name, Schema{Type: string(text.Format), Text: ref, References: slices.Clone(s.References)})
		if err != nil {
			return s, fmt.Errorf("registry: reference %d: %w", i+1, err)
		}
		s.References = append(s.References, Reference{Name: name, Subject: p.subject, Version: p.version})
	}
	return s, nil
}

// place returns where a reference is registered, which it becomes if need be.
func (c *Client) place(ctx context.Context, subject, name string, s Schema) (place, error) {
	c.mu.Lock()
	p, known := c.origins[digestOf(s.Type, s.Text)]
	c.mu.Unlock()
	if known {
		return p, nil
	}
	p.subject = c.cfg.refName(subject, name)
	out, err := c.RegisterSchema(ctx, p.subject, s)
	if err != nil {
		return p, err
	}
	if out.Version == 0 { // older registries tell the id alone
		if out, err = c.Lookup(ctx, p.subject, s); err != nil {
			return p, err
		}
	}
	p.version = out.Version
	return p, nil
}

// metadataOf writes tags as metadata.
func metadataOf(rules []schema.TagRule) *Metadata {
	if len(rules) == 0 {
		return nil
	}
	m := &Metadata{Tags: map[string][]string{}}
	for _, r := range rules {
		tags := slices.Concat(m.Tags[r.Pattern], r.Tags)
		slices.Sort(tags)
		m.Tags[r.Pattern] = slices.Compact(tags)
	}
	return m
}
