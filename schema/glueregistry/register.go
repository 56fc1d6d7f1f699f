package glueregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
)

const (
	// maxTries bounds how often a registration that met another one is repeated.
	maxTries = 5
	// firstWait and longestWait lie between questions whether a version that is
	// pending has become available.
	firstWait   = 50 * time.Millisecond
	longestWait = 2 * time.Second
	// maxRegistered bounds how many registrations are remembered.
	maxRegistered = 1000
)

// A registration is what was asked for.
type registration struct {
	name   string
	digest [32]byte
}

// Register makes text a version of the schema called name, unless it is one
// already, and returns the id of the version. Tags of the text go into the
// metadata of the version.
//
// Glue may take its time to check a version; Register waits for it, as long as
// ctx allows, and returns an error that wraps [ErrIncompatible] when the answer
// is no. A version whose tags could not be written stays without them until
// Register is called again, but its id is not returned.
func (c *Client) Register(ctx context.Context, name string, text schema.Text) ([16]byte, error) {
	key := registration{name: name, digest: text.Digest()}
	c.mu.Lock()
	guid, ok := c.registered[key]
	c.mu.Unlock()
	if ok {
		return guid, nil
	}
	values, err := c.check(name, text)
	if err != nil {
		return [16]byte{}, err
	}
	if guid, err = c.put(ctx, name, text); err != nil {
		return [16]byte{}, err
	}
	if err := c.await(ctx, guid, text); err != nil {
		return [16]byte{}, err
	}
	if err := c.putTags(ctx, guid, values); err != nil {
		return [16]byte{}, err
	}
	c.mu.Lock()
	makeRoom(c.registered, maxRegistered)
	c.registered[key] = guid
	delete(c.failed, guid)
	c.mu.Unlock()
	return guid, nil
}

// check refuses what Glue cannot keep, before anything is written. It returns
// the metadata values for the tags.
func (c *Client) check(name string, text schema.Text) ([]string, error) {
	switch {
	case !validName(name):
		return nil, fmt.Errorf("glueregistry: schema name %q: %w", name, ErrUnsupported)
	case len(text.References) > 0:
		return nil, fmt.Errorf("glueregistry: schema %s: references between schemas: %w", name, ErrUnsupported)
	case len(text.Demands) > 0:
		return nil, fmt.Errorf("glueregistry: schema %s: rules that ask for encryption: %w", name, ErrUnsupported)
	case text.Schema == "" || len(text.Schema) > maxDefinition:
		return nil, fmt.Errorf("glueregistry: schema %s: text of %d bytes: %w", name, len(text.Schema), ErrUnsupported)
	}
	if _, ok := formatOf(types.DataFormat(text.Format)); !ok {
		return nil, fmt.Errorf("glueregistry: schema %s: format %q: %w", name, text.Format, ErrUnsupported)
	}
	return tagValues(text.Tags)
}

// put registers the text, and creates its schema if need be.
func (c *Client) put(ctx context.Context, name string, text schema.Text) ([16]byte, error) {
	var err error
	for range maxTries {
		var guid [16]byte
		guid, err = c.putVersion(ctx, name, text)
		if hasCode(err, codeNotFound) && c.cfg.CreateSchemas {
			guid, err = c.create(ctx, name, text)
		}
		// Somebody else was faster, or is at it.
		if !hasCode(err, codeExists) && !hasCode(err, codeConcurrent) {
			return guid, err
		}
	}
	return [16]byte{}, err
}

func (c *Client) putVersion(ctx context.Context, name string, text schema.Text) ([16]byte, error) {
	out, err := c.cfg.API.RegisterSchemaVersion(ctx, &glue.RegisterSchemaVersionInput{
		SchemaId:         &types.SchemaId{RegistryName: aws.String(c.cfg.Registry), SchemaName: aws.String(name)},
		SchemaDefinition: aws.String(text.Schema),
	})
	if err != nil {
		return [16]byte{}, apiError("RegisterSchemaVersion", err)
	}
	return guidOf("RegisterSchemaVersion", out.SchemaVersionId)
}

func (c *Client) create(ctx context.Context, name string, text schema.Text) ([16]byte, error) {
	out, err := c.cfg.API.CreateSchema(ctx, &glue.CreateSchemaInput{
		RegistryId:       &types.RegistryId{RegistryName: aws.String(c.cfg.Registry)},
		SchemaName:       aws.String(name),
		DataFormat:       types.DataFormat(text.Format),
		Compatibility:    c.cfg.Compatibility,
		SchemaDefinition: aws.String(text.Schema),
	})
	if err != nil {
		return [16]byte{}, apiError("CreateSchema", err)
	}
	return guidOf("CreateSchema", out.SchemaVersionId)
}

func guidOf(op string, id *string) ([16]byte, error) {
	guid, err := ParseGUID(aws.ToString(id))
	if err != nil {
		return guid, fmt.Errorf("glueregistry: %s: no id of a schema version in the answer", op)
	}
	return guid, nil
}

// await returns nil when the version is available and holds the text.
func (c *Client) await(ctx context.Context, guid [16]byte, text schema.Text) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		got, err := c.version(ctx, guid)
		status, refused := errors.AsType[*StatusError](err)
		switch {
		case err == nil && got.Format == text.Format && sameText(text.Format, got.Schema, text.Schema):
			return nil
		case err == nil:
			return fmt.Errorf("glueregistry: schema version %s: %w", FormatGUID(guid), ErrDifferent)
		case !refused:
			return err
		case status.Status == string(types.SchemaVersionStatusFailure):
			return fmt.Errorf("glueregistry: schema version %s: %w", FormatGUID(guid), ErrIncompatible)
		case status.Status != string(types.SchemaVersionStatusPending):
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("glueregistry: schema version %s is still pending: %w", FormatGUID(guid), ctx.Err())
		}
	}
}

// putTags writes the tags of a version, as far as they are not there already.
func (c *Client) putTags(ctx context.Context, guid [16]byte, values []string) error {
	for _, v := range values {
		_, err := c.cfg.API.PutSchemaVersionMetadata(ctx, &glue.PutSchemaVersionMetadataInput{
			SchemaVersionId:  aws.String(FormatGUID(guid)),
			MetadataKeyValue: &types.MetadataKeyValuePair{MetadataKey: aws.String(TagKey), MetadataValue: aws.String(v)},
		})
		if err == nil {
			continue
		}
		if e := apiError("PutSchemaVersionMetadata", err); e.Code != codeExists {
			return e
		}
	}
	return nil
}

// sameText tells whether two texts say the same. In JSON, spaces and the order
// of members mean nothing.
func sameText(format schema.Format, a, b string) bool {
	if a == b {
		return true
	}
	if format == schema.Protobuf {
		return strings.TrimSpace(a) == strings.TrimSpace(b)
	}
	x, okX := jsonValue(a)
	y, okY := jsonValue(b)
	return okX && okY && reflect.DeepEqual(x, y)
}

func jsonValue(s string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}
