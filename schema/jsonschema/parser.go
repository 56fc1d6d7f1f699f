package jsonschema

import "github.com/fieldveil/fieldveil/schema"

// Parser is [Parse] as a [schema.Parser], for fieldcrypt.WithFormat.
func Parser(text schema.Text) (schema.Schema, error) {
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return s, nil
}
