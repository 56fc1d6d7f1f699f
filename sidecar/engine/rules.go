package engine

import (
	"fmt"
	"os"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/registry"
)

// Rules are what can change while the sidecar runs: a policy, and schemas and tags
// that stand in files.
type Rules struct {
	Policy *fieldcrypt.Policy
	// Topics are the schemas of topics whose records carry no schema id.
	Topics []TopicSchema
	// Tags is a file with tags for schemas that cannot be changed, or "".
	Tags string
	// FIPS allows approved algorithms only, whatever the policy says.
	FIPS bool
}

// A TopicSchema is the schema of a topic, in a file.
type TopicSchema struct {
	Topic  string
	Format schema.Format
	File   string
	// References are files of schemas that it names, in their order.
	References []string
}

// options reads the files.
func (b *Base) options(r *Rules) ([]fieldcrypt.Option, error) {
	var opts []fieldcrypt.Option
	for _, t := range r.Topics {
		text := schema.Text{Format: t.Format}
		for _, path := range append(slices.Clip(t.References), t.File) {
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("schemas.topics: %w", err)
			}
			text.References = append(text.References, string(content))
		}
		last := len(text.References) - 1
		text.Schema, text.References = text.References[last], text.References[:last]
		opts = append(opts, fieldcrypt.WithTopicSchema(t.Topic, text))
	}
	source := b.source()
	if r.Tags != "" {
		tags, err := registry.LoadTags(r.Tags)
		if err != nil {
			return nil, fmt.Errorf("schemas.tags: %w", err)
		}
		if source == nil {
			return nil, fmt.Errorf("schemas.tags: there is no registry whose schemas they are for")
		}
		if source, err = registry.Tagged(source, tags); err != nil {
			return nil, fmt.Errorf("schemas.tags: %w", err)
		}
	}
	if source != nil {
		opts = append(opts, fieldcrypt.WithSchemas(source))
	}
	if r.FIPS {
		opts = append(opts, fieldcrypt.WithFIPS())
	}
	return opts, nil
}

// source returns where schemas are found by id, nil for nowhere.
func (b *Base) source() schema.Source {
	if b.client == nil {
		return nil
	}
	return b.client
}
