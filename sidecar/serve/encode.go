package serve

import (
	"context"

	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/serde"
)

// encoders lets package rest ask package serde.
type encoders struct{ serde *serde.Serde }

// Encoder implements [rest.Encoders].
func (e encoders) Encoder(ctx context.Context, ask rest.Ask) (rest.Encoder, error) {
	enc, err := e.serde.Encoder(ctx, serde.Ask{
		Topic: ask.Topic, IsKey: ask.IsKey, Format: serde.Format(ask.Format), SchemaText: ask.SchemaText, SchemaID: ask.SchemaID,
		SchemaVersion: ask.SchemaVersion, Subject: ask.Subject, Strategy: serde.Strategy(ask.Strategy),
	})
	if err != nil {
		return nil, err
	}
	return encoder{enc}, nil
}

// An encoder names its format as package rest does.
type encoder struct{ *serde.Encoder }

// Format implements [rest.Encoder].
func (e encoder) Format() string { return string(e.Encoder.Format()) }
