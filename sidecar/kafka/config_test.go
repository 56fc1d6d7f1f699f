package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

const canary = "correct-horse-battery"

func TestAConfigIsRefusedWithTheKeyThatIsWrong(t *testing.T) {
	base := func(more ...string) string {
		return "properties:\n  bootstrap.servers: b:9092\n" + strings.Join(more, "\n")
	}
	for _, tc := range []struct{ config, want string }{
		{"{}", "properties.bootstrap.servers: it is missing"},
		{"properties: {bootstrap.servers: b}", "properties.bootstrap.servers: it is a list"},
		{"properties: {bootstrap.servers: 'b:0'}", "properties.bootstrap.servers: it is a list"},
		{"properties: {bootstrap.servers: 'b:1', metadata.broker.list: 'b:1'}", "it is the same as properties.bootstrap.servers"},
		{base("  linger_ms: 5"), "it is written linger.ms"},
		{base("  nonsense: 5"), "properties.nonsense: no such property"},
		{base("  acks: 1"), "properties.acks: it can only be all"},
		{base("  request.required.acks: 0"), "properties.request.required.acks: it can only be all"},
		{base("  enable.idempotence: false"), "properties.enable.idempotence: it can only be true"},
		{base("  linger.ms: soon"), "properties.linger.ms: it is not a number"},
		{base("  linger.ms: NaN"), "properties.linger.ms: it is not a number"},
		{base("  linger.ms: 60001"), "properties.linger.ms: it is not between 0 and 60000"},
		{base("  message.max.bytes: 100"), "properties.message.max.bytes: it is not between"},
		{base("  queue.buffering.max.messages: 1e5"), "it is not a whole number"},
		{base("  compression.type: brotli"), "properties.compression.type: it is none"},
		{base("  partitioner: mine"), "properties.partitioner: it is murmur2_random"},
		{base("  transactional.id: x"), "transactions are not supported"},
		{base("  security.protocol: tls"), "properties.security.protocol: it is plaintext"},
		{base("  ssl.ca.location: ca.pem"), "it is neither ssl nor sasl_ssl"},
		{base("  security.protocol: ssl", "  ssl.truststore.type: JKS"), "properties.ssl.truststore.type: only PEM"},
		{base("  security.protocol: ssl", "  ssl.truststore.location: a.jks"), "properties.ssl.ca.location: only PEM"},
		{base("  security.protocol: ssl", "  ssl.key.password: "+canary), "properties.ssl.key.password: stores and keys with a password"},
		{base("  security.protocol: ssl", "  ssl.certificate.location: c.pem"), "a certificate and its key come together"},
		{base("  security.protocol: ssl", "  ssl.endpoint.identification.algorithm: none"), "properties.ssl.endpoint.identification.algorithm: brokers would not be verified"},
		{base("  security.protocol: ssl", "  enable.ssl.certificate.verification: false"), "that needs insecure: true"},
		{base("  sasl.username: u"), "it is neither sasl_plaintext nor sasl_ssl"},
		{base("  security.protocol: sasl_ssl"), "properties.sasl.mechanism: it is missing"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: GSSAPI"), "Kerberos is not supported"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: PLAIN", "  sasl.username: u"), "needs sasl.username, and sasl.password among the secrets"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: PLAIN", "  sasl.username: u", "  sasl.password: "+canary), "properties.sasl.password: its value is secret"},
		{base("  security.protocol: sasl_plaintext", "  sasl.mechanism: PLAIN", "  sasl.username: u", "secrets: {sasl.password: {env: P}}"), "would go over a connection that is not encrypted"},
		{base("  security.protocol: sasl_plaintext", "  sasl.mechanism: AWS_MSK_IAM"), "AWS_MSK_IAM needs security.protocol: sasl_ssl"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: OAUTHBEARER"), "OAUTHBEARER needs it"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: OAUTHBEARER", "  sasl.oauthbearer.token.endpoint.url: http://a/b"), "the client secret would go"},
		{base("  security.protocol: sasl_ssl", "  sasl.mechanism: OAUTHBEARER", "  sasl.oauthbearer.token.endpoint.url: https://u:"+canary+"@a/b"), "without a login in it"},
		{base("  sasl.oauthbearer.method: default"), "it can only be oidc"},
		{base("  sasl.oauthbearer.extensions: auth=x"), "none is auth"},
		{base("  sasl.kerberos.service.name: kafka"), "Kerberos is not supported"},
		{base("secrets: {sasl.pasword: {env: P}}"), "secrets.sasl.pasword: no such secret"},
		{base("secrets: {linger.ms: {env: P}}"), "secrets.linger.ms: no such secret"},
	} {
		var c Config
		if err := yaml.Unmarshal([]byte(tc.config), &c); err != nil {
			t.Fatalf("%s: %v", tc.config, err)
		}
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", tc.config, err)
		}
		if _, err := Options(&c); err == nil {
			t.Errorf("%s: there are options", tc.config)
		}
	}
}

func TestAllFindingsAreReportedTogether(t *testing.T) {
	c := Config{Properties: map[string]string{"acks": "1", "nonsense": "", "compression.type": "x"}}
	err := c.Validate()
	for _, want := range []string{"properties.acks", "properties.nonsense", "properties.compression.type", "properties.bootstrap.servers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported: %v", want, err)
		}
	}
}

func TestWhatUsersBringAlongIsUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"librdkafka": `
properties:
  metadata.broker.list: "a:9092, ssl://b:9093"
  security.protocol: SASL_SSL
  sasl.mechanisms: scram-sha-512
  sasl.username: u
  request.required.acks: -1
  enable.idempotence: true
  queue.buffering.max.ms: 2.5
  compression.codec: zstd
  message.timeout.ms: 30000
  partitioner: consistent_random
  queue.buffering.max.kbytes: 1024
  batch.num.messages: 10000
secrets: {sasl.password: {value: x}}`,
		"Java": `
properties:
  bootstrap.servers: a:9092,[::1]:9093
  security.protocol: SASL_SSL
  sasl.mechanism: SCRAM-SHA-512
  acks: all
  linger.ms: 2.5
  compression.type: zstd
  delivery.timeout.ms: 30000
  max.request.size: 2000000
  buffer.memory: 1048576
  key.serializer: org.apache.kafka.common.serialization.ByteArraySerializer
  partitioner.class: org.apache.kafka.clients.producer.RoundRobinPartitioner
secrets: {sasl.jaas.config: {value: 'org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="x";'}}`,
	} {
		var c Config
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		s, err := c.settings()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(s.seeds) != 2 || !s.encrypted || !s.login || s.sasl.mechanism != mechScram512 || s.linger != 2500*time.Microsecond ||
			c.Delivery() != 30*time.Second || s.bufferedBytes != 1<<20 || fmt.Sprint(s.compression) == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if user, password, err := s.sasl.credentials(); err != nil || user != "u" || password != "x" {
			t.Errorf("%s: %q, %q, %v", name, user, password, err)
		}
		if w := strings.Join(c.Warnings(), "\n"); !strings.Contains(w, "has no effect") || !strings.Contains(w, "secret itself stands") {
			t.Errorf("%s: warnings %s", name, w)
		}
		if _, err := Options(&c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsInsecureIsSaid(t *testing.T) {
	for _, props := range []map[string]string{
		{"security.protocol": "ssl", "enable.ssl.certificate.verification": "false"},
		{"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": ""},
		{"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u"},
	} {
		props["bootstrap.servers"] = "b:9092"
		c := Config{Properties: props, Insecure: true}
		if props["sasl.username"] != "" {
			c.Secrets = map[string]secret.Secret{"sasl.password": secret.Env("P")}
		}
		if err := c.Validate(); err != nil || len(c.Warnings()) != 1 {
			t.Errorf("%v: %v, warnings %q", props, err, c.Warnings())
		}
	}
	c := Config{Properties: map[string]string{"bootstrap.servers": "b:9092"}, Insecure: true}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}

func TestSecretFilesAreListed(t *testing.T) {
	c := Config{
		Properties: map[string]string{"ssl.ca.location": "/ca", "ssl.key.location": "/key"},
		Secrets:    map[string]secret.Secret{"sasl.password": secret.File("/pw"), "ssl.key.pem": secret.Env("X")},
	}
	if got := fmt.Sprint(c.SecretFiles()); got != "[/pw /ca /key]" {
		t.Error(got)
	}
}

func FuzzProperties(f *testing.F) {
	for name := range properties() {
		f.Add(name, "1")
	}
	f.Add("bootstrap.servers", "a:1,b:2")
	f.Add("sasl.oauthbearer.extensions", "a=b")
	f.Fuzz(func(t *testing.T, name, value string) {
		c := Config{Properties: map[string]string{name: value, "bootstrap.servers": "b:9092"}, Insecure: true}
		if c.Validate() != nil {
			return
		}
		s, err := c.settings()
		if err != nil || len(s.seeds) == 0 || s.linger < 0 || s.delivery < time.Second || s.bufferedBytes <= 0 || s.bufferedRecords <= 0 || s.partitioner() == nil {
			t.Errorf("%q: %q is valid, and gives %+v", name, value, s)
		}
	})
}
