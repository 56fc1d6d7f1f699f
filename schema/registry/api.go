package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// Latest returns the latest version of a subject, which may be as old as
// [WithLatest] allows.
func (c *Client) Latest(ctx context.Context, subject string) (Schema, error) {
	path, err := subjectPath(subject)
	if err != nil {
		return Schema{}, err
	}
	s, err := c.latest.get(ctx, c.life, subject, func(ctx context.Context) (*Schema, int, error) {
		s, err := c.fetch(ctx, call{method: "GET", path: path + "/versions/latest"})
		if err != nil {
			return nil, 0, err
		}
		if s.Version == 0 {
			return nil, 0, wrap(ErrAnswer, "a version without a number")
		}
		size := s.size()
		return s, size, c.pin(subject, s)
	})
	if err != nil {
		return Schema{}, located(err, "latest version of "+strconv.Quote(subject))
	}
	return *s, nil
}

// Version returns a version of a subject, also one that was soft-deleted.
func (c *Client) Version(ctx context.Context, subject string, version int) (Schema, error) {
	if version <= 0 {
		return Schema{}, wrap(schema.ErrNotFound, "version "+strconv.Itoa(version))
	}
	s, err := c.version(ctx, place{subject: subject, version: version})
	if err != nil {
		return Schema{}, err
	}
	return *s, nil
}

// SubjectVersions returns where the schema of an id is registered. It may be as
// old as [WithLatest] allows.
func (c *Client) SubjectVersions(ctx context.Context, id int) ([]SubjectVersion, error) {
	if id <= 0 {
		return nil, wrap(schema.ErrNotFound, "id "+strconv.Itoa(id))
	}
	list, err := c.subjects.get(ctx, c.life, id, func(ctx context.Context) ([]SubjectVersion, int, error) {
		var list []SubjectVersion
		err := c.caller.do(ctx, call{method: "GET", path: "/schemas/ids/" + strconv.Itoa(id) + "/versions"}, func(cur *cursor) error {
			list = nil
			return cur.array(func() error {
				var v SubjectVersion
				err := v.read(cur)
				list = append(list, v)
				return err
			})
		})
		return list, 256 * (len(list) + 1), err
	})
	return slices.Clone(list), located(err, "subjects of schema "+strconv.Itoa(id))
}

// SubjectsOf returns the subjects under which the schema of an id is registered,
// without repeats. With a snapshot, what that tells counts as well.
func (c *Client) SubjectsOf(ctx context.Context, id int) ([]string, error) {
	var names []string
	if c.cfg.snapshot != nil {
		names, _ = c.cfg.snapshot.SubjectsOf(ctx, id) // it is asked for more, not for all
	}
	known := len(names) > 0
	list, err := c.SubjectVersions(ctx, id)
	if err != nil && (!known || !Retryable(err)) {
		return nil, err
	}
	for _, v := range list {
		names = append(names, v.Subject)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Subjects returns the names of all subjects that begin with prefix. It is not
// cached.
func (c *Client) Subjects(ctx context.Context, prefix string) ([]string, error) {
	q := call{method: "GET", path: "/subjects"}
	if prefix != "" {
		q.query = url.Values{"subjectPrefix": {prefix}}
	}
	var names []string
	err := c.direct(ctx, q, func(cur *cursor) (err error) { names, err = cur.texts(); return err })
	return names, err
}

// Versions returns the numbers of all versions of a subject. It is not cached.
func (c *Client) Versions(ctx context.Context, subject string) ([]int, error) {
	path, err := subjectPath(subject)
	if err != nil {
		return nil, err
	}
	var numbers []int
	err = c.direct(ctx, call{method: "GET", path: path + "/versions"}, func(cur *cursor) (err error) { numbers, err = cur.integers(); return err })
	return numbers, err
}

// Types returns the schema languages that the registry knows. It is not cached.
func (c *Client) Types(ctx context.Context) ([]string, error) {
	var types []string
	err := c.direct(ctx, call{method: "GET", path: "/schemas/types"}, func(cur *cursor) (err error) { types, err = cur.texts(); return err })
	return types, err
}

// Lookup returns the version of a subject that s is, with its id, or an error
// that wraps [schema.ErrNotFound]. It is not cached.
func (c *Client) Lookup(ctx context.Context, subject string, s Schema) (Schema, error) {
	path, err := subjectPath(subject)
	if err != nil {
		return Schema{}, err
	}
	body, err := requestBody(s)
	if err != nil {
		return Schema{}, err
	}
	var out Schema
	err = c.direct(ctx, call{method: "POST", path: path, query: c.normalize(), body: body}, func(cur *cursor) error {
		out = Schema{}
		return out.read(cur)
	})
	if err != nil {
		return Schema{}, err
	}
	if out.ID <= 0 || out.Version <= 0 {
		return Schema{}, wrap(ErrAnswer, "a version without an id or a number")
	}
	if err := out.check(); err != nil {
		return Schema{}, err
	}
	return out, nil
}

// Compatible tells whether s may become a version of a subject, by its
// compatibility level, and what speaks against it. Version 0 stands for the
// latest one. It is not cached.
func (c *Client) Compatible(ctx context.Context, subject string, version int, s Schema) (ok bool, reasons []string, err error) {
	name, err := segment(subject)
	if err != nil {
		return false, nil, err
	}
	body, err := requestBody(s)
	if err != nil {
		return false, nil, err
	}
	against := "latest"
	if version > 0 {
		against = strconv.Itoa(version)
	}
	query := c.normalize()
	query.Set("verbose", "true")
	told := false
	err = c.direct(ctx, call{method: "POST", path: "/compatibility/subjects/" + name + "/versions/" + against, query: query, body: body}, func(cur *cursor) error {
		told, ok, reasons = false, false, nil
		return cur.object(func(key string) (err error) {
			switch key {
			case "is_compatible":
				told = !cur.null()
				if told {
					ok, err = cur.boolean()
				}
			case "messages":
				reasons, err = cur.texts()
			default:
				_, err = cur.raw()
			}
			return err
		})
	})
	if err == nil && !told {
		err = wrap(ErrAnswer, "no word about compatibility")
	}
	if err != nil {
		return false, nil, err
	}
	for i := range reasons {
		reasons[i] = clean(reasons[i])
	}
	return ok, reasons, nil
}

// Config returns the configuration of a subject, with what it takes over from the
// registry, or that of the registry for an empty subject. It is not cached.
func (c *Client) Config(ctx context.Context, subject string) (Config, error) {
	path, err := configPath(subject)
	if err != nil {
		return Config{}, err
	}
	q := call{method: "GET", path: path}
	if subject != "" {
		q.query = url.Values{"defaultToGlobal": {"true"}}
	}
	var out Config
	err = c.direct(ctx, q, func(cur *cursor) error {
		out = Config{}
		return out.read(cur)
	})
	return out, err
}

// SetConfig changes the configuration of a subject, or that of the registry for
// an empty subject. What is not set in cfg stays as it is.
func (c *Client) SetConfig(ctx context.Context, subject string, cfg Config) error {
	path, err := configPath(subject)
	if err != nil {
		return err
	}
	body, err := json.Marshal(cfg)
	if err != nil {
		return wrap(ErrInvalid, "a configuration that cannot be written")
	}
	return c.direct(ctx, call{method: "PUT", path: path, body: body}, func(cur *cursor) error { _, err := cur.raw(); return err })
}

func configPath(subject string) (string, error) {
	if subject == "" {
		return "/config", nil
	}
	name, err := segment(subject)
	return "/config/" + name, err
}

// DeleteVersion deletes a version of a subject. Without permanent it stays known
// to what refers to it, and can be deleted permanently afterwards. A deletion
// that may have happened is not repeated: an error of the network leaves it open.
func (c *Client) DeleteVersion(ctx context.Context, subject string, version int, permanent bool) error {
	path, err := subjectPath(subject)
	if err != nil {
		return err
	}
	if version <= 0 {
		return wrap(schema.ErrNotFound, "version "+strconv.Itoa(version))
	}
	q := call{method: "DELETE", path: path + "/versions/" + strconv.Itoa(version), once: true}
	if permanent {
		q.query = url.Values{"permanent": {"true"}}
	}
	defer c.latest.forget(subject)
	return c.direct(ctx, q, nil)
}

// direct makes a call that its caller waits for.
func (c *Client) direct(ctx context.Context, q call, read func(*cursor) error) error {
	ctx, cancel, err := c.life.within(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return c.caller.do(ctx, q, read)
}

func (c *Client) normalize() url.Values {
	query := url.Values{}
	if c.cfg.normalize {
		query.Set("normalize", "true")
	}
	return query
}

// formatGUID returns a GUID as registries write it.
func formatGUID(g [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[0:4], g[4:6], g[6:8], g[8:10], g[10:16])
}

// parseGUID reads what formatGUID writes.
func parseGUID(s string) (g [16]byte, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(g) {
		return g, false
	}
	g = [16]byte(b)
	return g, formatGUID(g) == s
}
