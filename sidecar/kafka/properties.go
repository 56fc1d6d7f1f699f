package kafka

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

// A property is what is known of one name.
type property struct {
	same   string // the name of which this is another, or ""
	secret bool
	set    func(s *settings, value string) error
	keep   func(s *settings, value secret.Secret)
}

func (p property) is(name string) string {
	if p.same != "" {
		return p.same
	}
	return name
}

var properties = sync.OnceValue(func() map[string]property { //nolint:gochecknoglobals // a table
	text := func(set func(s *settings, v string) error) property { return property{set: set} }
	hidden := func(keep func(s *settings, v secret.Secret)) property {
		return property{secret: true, keep: keep}
	}
	t := map[string]property{
		"bootstrap.servers": text((*settings).setSeeds),
		"client.id":         text(func(s *settings, v string) error { s.clientID = v; return notEmpty(v) }),
		"security.protocol": text((*settings).setProtocol),

		"acks":                               text(only("all: a record is acknowledged when all in-sync replicas have it", "all", "-1")),
		"enable.idempotence":                 text(only("true: a record is written once", "true")),
		"linger.ms":                          text(millis(0, time.Minute, func(s *settings) *time.Duration { return &s.linger })),
		"delivery.timeout.ms":                text(millis(time.Second, time.Hour, func(s *settings) *time.Duration { return &s.delivery })),
		"request.timeout.ms":                 text(millis(100*time.Millisecond, 15*time.Minute, func(s *settings) *time.Duration { return &s.requestTimeout })),
		"metadata.max.age.ms":                text(millis(time.Second, time.Hour, func(s *settings) *time.Duration { return &s.metadataAge })),
		"connections.max.idle.ms":            text(millis(time.Second, 24*time.Hour, func(s *settings) *time.Duration { return &s.idle })),
		"socket.connection.setup.timeout.ms": text(millis(100*time.Millisecond, time.Minute, func(s *settings) *time.Duration { return &s.dial })),
		"message.max.bytes":                  text(number(512, 64<<20, 1, func(s *settings) *int { return &s.maxBytes })),
		"queue.buffering.max.messages":       text(number(1, 10_000_000, 1, func(s *settings) *int { return &s.bufferedRecords })),
		"queue.buffering.max.kbytes":         text(number(1, 16<<20, 1024, func(s *settings) *int { return &s.bufferedBytes })),
		"buffer.memory":                      text(number(1024, 16<<30, 1, func(s *settings) *int { return &s.bufferedBytes })),
		"compression.type":                   text((*settings).setCompression),
		"partitioner":                        text((*settings).setPartitioner),

		"ssl.ca.location":          text(func(s *settings, v string) error { s.tls.caFile = v; return notEmpty(v) }),
		"ssl.ca.pem":               text(func(s *settings, v string) error { s.tls.caPEM = v; return notEmpty(v) }),
		"ssl.certificate.location": text(func(s *settings, v string) error { s.tls.certFile = v; return notEmpty(v) }),
		"ssl.certificate.pem":      text(func(s *settings, v string) error { s.tls.certPEM = v; return notEmpty(v) }),
		"ssl.key.location":         text(func(s *settings, v string) error { s.tls.keyFile = v; return notEmpty(v) }),
		"ssl.key.pem":              hidden(func(s *settings, v secret.Secret) { s.tls.key = v }),
		"ssl.keystore.location":    text(func(s *settings, v string) error { s.tls.certFile, s.tls.keyFile = v, v; return notEmpty(v) }),
		"ssl.truststore.type":      text(onlyPEM),
		"ssl.keystore.type":        text(onlyPEM),
		"ssl.endpoint.identification.algorithm": text(func(s *settings, v string) error {
			return s.verify(v, "ssl.endpoint.identification.algorithm", "https", []string{"none", ""}, &s.tls.anyName)
		}),
		"enable.ssl.certificate.verification": text(func(s *settings, v string) error {
			return s.verify(v, "enable.ssl.certificate.verification", "true", []string{"false"}, &s.tls.anyPeer)
		}),

		"sasl.mechanism":   text(func(s *settings, v string) error { s.sasl.mechanism = strings.ToUpper(v); return notEmpty(v) }),
		"sasl.username":    text(func(s *settings, v string) error { s.sasl.user = v; return notEmpty(v) }),
		"sasl.password":    hidden(func(s *settings, v secret.Secret) { s.sasl.password = v }),
		"sasl.jaas.config": hidden(func(s *settings, v secret.Secret) { s.sasl.jaas = v }),

		"sasl.oauthbearer.method":             text(only("oidc: tokens come from a token endpoint", "oidc")),
		"sasl.oauthbearer.grant.type":         text(only("client_credentials", "client_credentials")),
		"sasl.oauthbearer.token.endpoint.url": text(func(s *settings, v string) error { s.sasl.endpoint = v; return notEmpty(v) }),
		"sasl.oauthbearer.client.id":          text(func(s *settings, v string) error { s.sasl.oidcID = v; return notEmpty(v) }),
		"sasl.oauthbearer.client.secret":      hidden(func(s *settings, v secret.Secret) { s.sasl.oidcSecret = v }),
		"sasl.oauthbearer.scope":              text(func(s *settings, v string) error { s.sasl.scope = v; return nil }),
		"sasl.oauthbearer.extensions":         text((*settings).setExtensions),
		"sasl.oauthbearer.header.urlencode":   text(flag(func(s *settings) *bool { return &s.sasl.urlencode })),
		"https.ca.location":                   text(func(s *settings, v string) error { s.sasl.caFile = v; return notEmpty(v) }),
	}
	for name, of := range map[string]string{ //nolint:gosec // names, and no secrets
		"metadata.broker.list": "bootstrap.servers", "request.required.acks": "acks", "queue.buffering.max.ms": "linger.ms",
		"message.timeout.ms": "delivery.timeout.ms", "topic.metadata.refresh.interval.ms": "metadata.max.age.ms",
		"max.request.size": "message.max.bytes", "compression.codec": "compression.type", "partitioner.class": "partitioner",
		"ssl.truststore.location": "ssl.ca.location", "ssl.truststore.certificates": "ssl.ca.pem",
		"ssl.keystore.certificate.chain": "ssl.certificate.pem", "ssl.keystore.key": "ssl.key.pem", "sasl.mechanisms": "sasl.mechanism",
		"sasl.oauthbearer.client.credentials.client.id":     "sasl.oauthbearer.client.id",
		"sasl.oauthbearer.client.credentials.client.secret": "sasl.oauthbearer.client.secret",
	} {
		p := t[of]
		p.same = of
		t[name] = p
	}
	// What other clients need and this one does by itself.
	for _, name := range []string{
		"batch.size", "batch.num.messages", "retries", "message.send.max.retries", "retry.backoff.ms", "retry.backoff.max.ms",
		"max.in.flight.requests.per.connection", "max.in.flight", "key.serializer", "value.serializer",
		"sasl.login.callback.handler.class", "sasl.client.callback.handler.class", "max.block.ms", "client.dns.lookup",
	} {
		t[name] = text(func(s *settings, _ string) error {
			s.warnf("properties.%s: it has no effect", name)
			return nil
		})
	}
	return t
})

// unknownProperty helps with names that people bring along.
func unknownProperty(name string) string {
	switch {
	case strings.HasPrefix(name, "sasl.kerberos."):
		return "Kerberos is not supported"
	case name == "ssl.key.password" || name == "ssl.keystore.password" || name == "ssl.truststore.password":
		return "stores and keys with a password are not supported: give PEM files that only the sidecar may read"
	case name == "transactional.id":
		return "transactions are not supported"
	case name == "sasl.password.file":
		return "write secrets: {sasl.password: {file: PATH}}"
	}
	for _, known := range slices.Sorted(maps.Keys(properties())) {
		if strings.EqualFold(strings.NewReplacer("_", ".", "-", ".").Replace(name), known) {
			return "no such property: it is written " + known
		}
	}
	return "no such property"
}

func notEmpty(v string) error {
	if strings.TrimSpace(v) == "" {
		return errors.New("it is empty")
	}
	return nil
}

func only(why string, values ...string) func(*settings, string) error {
	return func(_ *settings, v string) error {
		if !slices.Contains(values, strings.ToLower(v)) {
			return errors.New("it can only be " + why)
		}
		return nil
	}
}

func onlyPEM(_ *settings, v string) error {
	if !strings.EqualFold(v, "PEM") {
		return errors.New("only PEM is supported: keytool -importkeystore writes a JKS store as PKCS12, and openssl pkcs12 -nodes writes that as PEM")
	}
	return nil
}

func flag(of func(*settings) *bool) func(*settings, string) error {
	return func(s *settings, v string) (err error) {
		switch strings.ToLower(v) {
		case "true":
			*of(s) = true
		case "false":
			*of(s) = false
		default:
			return errors.New("it is neither true nor false")
		}
		return nil
	}
}

// millis reads milliseconds, which may have a fraction.
func millis(least, most time.Duration, of func(*settings) *time.Duration) func(*settings, string) error {
	return func(s *settings, v string) error {
		ms, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(ms) || math.IsInf(ms, 0) {
			return errors.New("it is not a number of milliseconds")
		}
		if ms < float64(least.Milliseconds()) || ms > float64(most.Milliseconds()) {
			return fmt.Errorf("it is not between %d and %d", least.Milliseconds(), most.Milliseconds())
		}
		*of(s) = time.Duration(ms * float64(time.Millisecond))
		return nil
	}
}

func number(least, most, unit int, of func(*settings) *int) func(*settings, string) error {
	return func(s *settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return errors.New("it is not a whole number")
		}
		if n < least || n > most {
			return fmt.Errorf("it is not between %d and %d", least, most)
		}
		*of(s) = n * unit
		return nil
	}
}

func (s *settings) setSeeds(v string) error {
	for seed := range strings.SplitSeq(v, ",") {
		seed = strings.TrimSpace(seed)
		// Java and librdkafka allow a protocol in front.
		if _, rest, ok := strings.Cut(seed, "://"); ok {
			seed = rest
		}
		if host, port, err := net.SplitHostPort(seed); err != nil || host == "" {
			return errors.New("it is a list of host:port, with commas")
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("it is a list of host:port, with commas")
		}
		s.seeds = append(s.seeds, seed)
	}
	return nil
}

func (s *settings) setProtocol(v string) error {
	switch strings.ToLower(v) {
	case "plaintext":
	case "ssl":
		s.encrypted = true
	case "sasl_plaintext":
		s.login = true
	case "sasl_ssl":
		s.encrypted, s.login = true, true
	default:
		return errors.New("it is plaintext, ssl, sasl_plaintext or sasl_ssl")
	}
	return nil
}

func (s *settings) setCompression(v string) error {
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[strings.ToLower(v)]
	if !ok {
		return errors.New("it is none, gzip, snappy, lz4 or zstd")
	}
	s.compression = []kgo.CompressionCodec{codec}
	return nil
}

func (s *settings) verify(v, name, on string, off []string, unverified *bool) error {
	switch v = strings.ToLower(v); {
	case v == on:
		return nil
	case slices.Contains(off, v):
		*unverified, s.tls.unverifiedBy = true, name
		return nil
	}
	return fmt.Errorf("it is %s or %s", on, off[0])
}
