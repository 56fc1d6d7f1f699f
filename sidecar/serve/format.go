package serve

import (
	"github.com/fieldveil/fieldveil/sidecar/audit"
	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
	"github.com/fieldveil/fieldveil/sidecar/rest"
	"github.com/fieldveil/fieldveil/sidecar/rpc"
	"github.com/fieldveil/fieldveil/sidecar/serde"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// The keys of the parts.
const (
	keyKafka     = "kafka"
	keyAuth      = "auth"
	keyAudit     = "audit"
	keyREST      = "rest"
	keyFormats   = "formats"
	keyGRPC      = "grpc"
	keyTelemetry = "telemetry"
)

// Format returns the format of the configuration with all of its parts.
func Format() *config.Format {
	return config.New(
		config.Part{
			Key: keyKafka, Doc: "How to reach Kafka, in the names that its clients use.", Restart: true,
			Default: func() config.Section { return new(kafka.Config) },
		},
		config.Part{
			Key: keyAuth, Doc: "Who may call, and what he may do.",
			Default: section(auth.DefaultConfig),
		},
		config.Part{
			Key: keyAudit, Doc: "Where it is written who did what. Without it, nothing is revealed.", Restart: true,
			Default: section(audit.DefaultConfig),
		},
		config.Part{Key: keyREST, Doc: "Limits and switches of the HTTP surface.", Restart: true, Default: section(rest.DefaultConfig)},
		config.Part{Key: keyFormats, Doc: "What clients may do with schemas.", Restart: true, Default: section(serde.DefaultConfig)},
		config.Part{Key: keyGRPC, Doc: "Limits of the gRPC surface.", Restart: true, Default: section(rpc.DefaultConfig)},
		config.Part{Key: keyTelemetry, Doc: "Logs, metrics and traces.", Restart: true, Default: section(telemetry.DefaultConfig)},
	)
}

// section makes the Default of a part.
func section[C any, P interface {
	*C
	config.Section
}](preset func() C) func() config.Section {
	return func() config.Section {
		c := preset()
		return P(&c)
	}
}

// part returns the section of a part.
func part[P config.Section](cfg *config.Config, key string) P {
	p, _ := cfg.Part(key).(P)
	return p
}
