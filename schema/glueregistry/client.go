package glueregistry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
)

// API is what a [Client] needs of Glue. A [*glue.Client] has it.
type API interface {
	GetSchemaVersion(ctx context.Context, in *glue.GetSchemaVersionInput, opts ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error)
	QuerySchemaVersionMetadata(ctx context.Context, in *glue.QuerySchemaVersionMetadataInput, opts ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error)
	RegisterSchemaVersion(ctx context.Context, in *glue.RegisterSchemaVersionInput, opts ...func(*glue.Options)) (*glue.RegisterSchemaVersionOutput, error)
	CreateSchema(ctx context.Context, in *glue.CreateSchemaInput, opts ...func(*glue.Options)) (*glue.CreateSchemaOutput, error)
	PutSchemaVersionMetadata(ctx context.Context, in *glue.PutSchemaVersionMetadataInput, opts ...func(*glue.Options)) (*glue.PutSchemaVersionMetadataOutput, error)
}

var _ API = (*glue.Client)(nil)

// Config says how a [Client] works. API is required; the zero value of
// everything else is the default.
type Config struct {
	// API makes the calls. Reading takes the permissions glue:GetSchemaVersion
	// and glue:QuerySchemaVersionMetadata.
	API API
	// Compatibility is the mode of schemas that Register creates. Default is
	// BACKWARD.
	Compatibility types.Compatibility
	// CreateSchemas lets Register create a schema that is missing, when it
	// registers the first version. By default that is an error.
	CreateSchemas bool
	// IgnoreTags leaves the metadata of schema versions alone when it reads
	// them. Tags that stand there alone are then not known.
	IgnoreTags bool
	// MaxSchemas bounds how many texts are kept. Default is 1000.
	MaxSchemas int
	// NotFound is how long a schema version stays unknown without another
	// question. Default is 10 seconds.
	NotFound time.Duration
	// Refresh is how old the tags of a version may get before they are asked for
	// again, in the background. Default is 5 minutes.
	Refresh time.Duration
	// Registry is the name of the registry in which Register works. Default is
	// "default-registry". Ids hold in all of them.
	Registry string
	// Timeout bounds one fetch of a schema version, with all its calls and the
	// retries of the SDK. Default is 15 seconds.
	Timeout time.Duration
}

const (
	defaultRegistry   = "default-registry"
	defaultMaxSchemas = 1000
	defaultNotFound   = 10 * time.Second
	defaultRefresh    = 5 * time.Minute
	defaultTimeout    = 15 * time.Second
	// afterFailure is how long a failed call answers for those that follow it.
	afterFailure = time.Second
	// maxDefinition is the size of the greatest schema that Glue takes.
	maxDefinition = 170_000
	// maxPages bounds how much metadata is read: Glue sends 25 values a page and
	// has ten.
	maxPages = 4
)

// A Client reads and registers schemas. It is a [schema.GUIDSource], safe for
// concurrent use, and needs no closing.
type Client struct {
	cfg Config

	mu         sync.Mutex
	known      map[[16]byte]known
	failed     map[[16]byte]failure
	flights    map[[16]byte]*flight
	registered map[registration][16]byte
}

var _ schema.GUIDSource = (*Client)(nil)

// known is a text that was found.
type known struct {
	text  schema.Text
	fresh time.Time // until when
}

// failure is an answer that stands for a while.
type failure struct {
	err   error
	until time.Time
}

// A flight is a fetch under way, which all that ask meanwhile wait for.
type flight struct {
	done chan struct{} // closed when the results are there
	text schema.Text
	err  error
}

// New returns a Client. It makes no call.
func New(cfg Config) (*Client, error) {
	if cfg.API == nil {
		return nil, errors.New("glueregistry: no API")
	}
	if cfg.MaxSchemas < 0 || cfg.NotFound < 0 || cfg.Refresh < 0 || cfg.Timeout < 0 {
		return nil, errors.New("glueregistry: a limit is negative")
	}
	cfg.Registry = cmp.Or(cfg.Registry, defaultRegistry)
	cfg.Compatibility = cmp.Or(cfg.Compatibility, types.CompatibilityBackward)
	cfg.MaxSchemas = cmp.Or(cfg.MaxSchemas, defaultMaxSchemas)
	cfg.NotFound = cmp.Or(cfg.NotFound, defaultNotFound)
	cfg.Refresh = cmp.Or(cfg.Refresh, defaultRefresh)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	if !validName(cfg.Registry) {
		return nil, errors.New("glueregistry: registry name that Glue does not allow")
	}
	if !slices.Contains(cfg.Compatibility.Values(), cfg.Compatibility) {
		return nil, errors.New("glueregistry: unknown compatibility mode")
	}
	return &Client{
		cfg:        cfg,
		known:      map[[16]byte]known{},
		failed:     map[[16]byte]failure{},
		flights:    map[[16]byte]*flight{},
		registered: map[registration][16]byte{},
	}, nil
}

// SchemaByGUID returns the text of a schema version, with the tags beside it.
// The error wraps [schema.ErrNotFound] when there is none or it must not be
// used, and is an [*APIError] when Glue could not be asked. The text is shared
// and must not be changed.
//
// A text that was found once is there for good, also while Glue is away. All
// callers that miss the same version share one fetch, which outlives each of
// them.
func (c *Client) SchemaByGUID(ctx context.Context, guid [16]byte) (schema.Text, error) {
	now := time.Now()
	c.mu.Lock()
	if k, ok := c.known[guid]; ok {
		text := k.text
		if now.After(k.fresh) && !c.cfg.IgnoreTags {
			c.fetch(ctx, guid)
		}
		c.mu.Unlock()
		return text, nil
	}
	if f, ok := c.failed[guid]; ok && now.Before(f.until) {
		c.mu.Unlock()
		return schema.Text{}, f.err
	}
	f := c.fetch(ctx, guid)
	c.mu.Unlock()

	select {
	case <-f.done:
		return f.text, f.err
	case <-ctx.Done():
		return schema.Text{}, fmt.Errorf("glueregistry: schema version %s: %w", FormatGUID(guid), ctx.Err())
	}
}

// fetch returns the flight for a schema version, which it starts unless there is
// one. The caller holds the lock.
func (c *Client) fetch(ctx context.Context, guid [16]byte) *flight {
	if f, ok := c.flights[guid]; ok {
		return f
	}
	f := &flight{done: make(chan struct{})}
	c.flights[guid] = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	go func() {
		defer cancel()
		text, err := c.read(ctx, guid)
		if ctx.Err() != nil && err != nil {
			// Whoever waits has a context of their own, which has not ended.
			err = &APIError{Op: "fetch of schema version " + FormatGUID(guid), cause: errNoAnswer}
		}
		c.land(guid, f, text, err)
	}()
	return f
}

// land keeps the results of a flight and hands them out.
func (c *Client) land(guid [16]byte, f *flight, text schema.Text, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	k, old := c.known[guid]
	switch {
	case err == nil:
		if old {
			text.Tags = mergeRules(k.text.Tags, text.Tags)
		} else {
			makeRoom(c.known, c.cfg.MaxSchemas)
		}
		c.known[guid] = known{text: text, fresh: now.Add(c.cfg.Refresh)}
		delete(c.failed, guid)
	case old:
		// What is known stays so, even if the version is being deleted: its
		// records are still there.
		text, err = k.text, nil
		c.known[guid] = known{text: text, fresh: now.Add(min(c.cfg.Refresh, c.cfg.NotFound))}
	default:
		until := now.Add(afterFailure)
		if errors.Is(err, schema.ErrNotFound) {
			until = now.Add(c.cfg.NotFound)
		}
		makeRoom(c.failed, c.cfg.MaxSchemas)
		c.failed[guid] = failure{err: err, until: until}
	}
	delete(c.flights, guid)
	f.text, f.err = text, err
	close(f.done)
}

// read asks Glue for a schema version and its tags.
func (c *Client) read(ctx context.Context, guid [16]byte) (schema.Text, error) {
	text, err := c.version(ctx, guid)
	if err != nil || c.cfg.IgnoreTags {
		return text, err
	}
	if text.Tags, err = c.tags(ctx, guid); err != nil {
		return schema.Text{}, err
	}
	return text, nil
}

// version asks for the text of a schema version.
func (c *Client) version(ctx context.Context, guid [16]byte) (schema.Text, error) {
	id := FormatGUID(guid)
	out, err := c.cfg.API.GetSchemaVersion(ctx, &glue.GetSchemaVersionInput{SchemaVersionId: aws.String(id)})
	switch {
	case err != nil:
		return schema.Text{}, apiError("GetSchemaVersion", err)
	case aws.ToString(out.SchemaVersionId) != id:
		return schema.Text{}, fmt.Errorf("glueregistry: asked for schema version %s and was answered with another", id)
	case out.Status != types.SchemaVersionStatusAvailable:
		return schema.Text{}, &StatusError{GUID: guid, Status: printable(string(out.Status))}
	}
	format, ok := formatOf(out.DataFormat)
	if !ok {
		return schema.Text{}, fmt.Errorf("glueregistry: schema version %s has a format that is not known: %w", id, ErrUnsupported)
	}
	text := schema.Text{Format: format, Schema: aws.ToString(out.SchemaDefinition)}
	if text.Schema == "" || len(text.Schema) > maxDefinition {
		return schema.Text{}, fmt.Errorf("glueregistry: schema version %s has a text of %d bytes: %w", id, len(text.Schema), ErrUnsupported)
	}
	return text, nil
}

// tags asks for the tags beside a schema version.
func (c *Client) tags(ctx context.Context, guid [16]byte) ([]schema.TagRule, error) {
	in := &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: aws.String(FormatGUID(guid))}
	found := map[string][]string{} // by key
	for range maxPages {
		out, err := c.cfg.API.QuerySchemaVersionMetadata(ctx, in)
		if err != nil {
			return nil, apiError("QuerySchemaVersionMetadata", err)
		}
		if id := aws.ToString(out.SchemaVersionId); id != "" && id != *in.SchemaVersionId {
			return nil, fmt.Errorf("glueregistry: asked for metadata of schema version %s and was answered with another", *in.SchemaVersionId)
		}
		for key, info := range out.MetadataInfoMap {
			if !isTagKey(key) {
				continue
			}
			found[key] = append(found[key], aws.ToString(info.MetadataValue))
			for _, other := range info.OtherMetadataValueList {
				found[key] = append(found[key], aws.ToString(other.MetadataValue))
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return rulesOf(guid, found)
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("glueregistry: schema version %s has more metadata than Glue allows", *in.SchemaVersionId)
}

// rulesOf reads the rules under all keys, in an order of their own: that of the
// answer is not the same each time.
func rulesOf(guid [16]byte, found map[string][]string) ([]schema.TagRule, error) {
	var values []string
	for _, v := range found {
		values = append(values, v...)
	}
	slices.Sort(values)
	var rules []schema.TagRule
	for _, v := range values {
		more, err := ParseTagRules(v)
		if err != nil {
			return nil, fmt.Errorf("glueregistry: schema version %s: metadata under %s: %w", FormatGUID(guid), TagKey, errTagRule)
		}
		rules = mergeRules(rules, more)
	}
	return rules, nil
}

func formatOf(f types.DataFormat) (schema.Format, bool) {
	switch f {
	case types.DataFormatAvro:
		return schema.Avro, true
	case types.DataFormatJson:
		return schema.JSONSchema, true
	case types.DataFormatProtobuf:
		return schema.Protobuf, true
	default:
		return "", false
	}
}

// makeRoom removes entries until one more fits. Which ones does not matter: what
// is still needed comes back.
func makeRoom[K comparable, V any](m map[K]V, most int) {
	for k := range m {
		if len(m) < most {
			return
		}
		delete(m, k)
	}
}

// validName tells whether Glue allows a name for a registry or a schema.
func validName(name string) bool {
	const most = 255
	if name == "" || len(name) > most {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c == '/':
			return false
		case !plain(c) && c != '$' && c != '#':
			return false
		}
	}
	return true
}
