package input

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

//go:embed workloads
var workloads embed.FS

// BuiltinKEK is the KEK that the policies of built-in workloads name. It lives in
// the memory of the process: see [Set.KMS] and [Set.Rekey].
const BuiltinKEK = "local:bench"

// Defaults of built-in workloads.
const (
	DefaultSeed    = 20_260_101
	builtinRecords = 256
	builtinID      = 1 // of their schemas
)

// A builtin says how to make a workload.
type builtin struct {
	name   string
	topic  string
	policy string
	// Either a fixed case of package workload,
	fixed func() workload.Case
	// or a schema to make records up from.
	schema string
	spread Spread
	bare   bool // the policy protects JSON by paths: records follow the schema, and nobody knows it
}

func builtins() []builtin {
	// Names of members make JSON longer, so it has fewer items for the same size.
	small, large := Spread{1, 2}, Spread{38, 42}
	smallJSON, largeJSON := Spread{0, 1}, Spread{21, 25}
	return []builtin{
		{name: "order-avro", topic: "orders", policy: "orders.yaml", fixed: workload.Avro20},
		{name: "order-avro-one", topic: "orders", policy: "orders-one.yaml", fixed: workload.Avro20One},
		{name: "order-json", topic: "orders", policy: "orders.yaml", fixed: workload.JSON20},
		{name: "order-protobuf", topic: "orders", policy: "orders.yaml", fixed: workload.Proto20},
		{name: "order-avro-10k", topic: "orders", policy: "orders-10k.yaml", fixed: workload.Avro10K},
		{name: "customer-avro", topic: "customers", policy: "customers.yaml", schema: "customer.avsc", spread: small},
		{name: "customer-json", topic: "customers", policy: "customers.yaml", schema: "customer.json", spread: smallJSON},
		{name: "customer-protobuf", topic: "customers", policy: "customers.yaml", schema: "customer.proto", spread: small},
		{name: "customer-avro-10k", topic: "customers", policy: "customers.yaml", schema: "customer.avsc", spread: large},
		{name: "customer-json-10k", topic: "customers", policy: "customers.yaml", schema: "customer.json", spread: largeJSON},
		{name: "customer-protobuf-10k", topic: "customers", policy: "customers.yaml", schema: "customer.proto", spread: large},
		{name: "payments", topic: "payments", policy: "payments.yaml", schema: "payment.avsc", spread: Spread{1, 5}},
		{name: "clickstream", topic: "clicks", policy: "clicks.yaml", schema: "click.json", spread: Spread{0, 4}, bare: true},
		{name: "patient", topic: "patients", policy: "patients.yaml", schema: "patient.json", spread: Spread{1, 3}},
	}
}

// Names returns the names of the built-in workloads. The orders are one fixed record
// each; the others are made up.
func Names() []string {
	var out []string
	for _, b := range builtins() {
		out = append(out, b.name)
	}
	return out
}

// Builtin returns a built-in workload, with the seed and the number of records that
// it has by default. Its keys are in memory: Policy names [BuiltinKEK], and KMS
// opens it.
func Builtin(name string) (*Set, error) {
	return makeBuiltin(context.Background(), name, DefaultSeed, builtinRecords)
}

func makeBuiltin(ctx context.Context, name string, seed uint64, count int) (*Set, error) {
	all := builtins()
	i := slices.IndexFunc(all, func(b builtin) bool { return b.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no built-in workload has this name; there are %s", strings.Join(Names(), ", "))
	}
	b := all[i]
	policy, err := workloads.ReadFile(path.Join("workloads", b.policy))
	if err != nil {
		return nil, err
	}
	s := &Set{Name: b.name, Topic: b.topic, Policy: policy, Framed: !b.bare}
	if s.Framed {
		s.SchemaID, s.Subject = builtinID, b.topic+"-value"
	}
	if b.fixed != nil {
		err = s.one(b.fixed())
	} else {
		err = s.several(ctx, &b, seed, count)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.Rekey(ctx, kms.Mux{localkms.Scheme: localkms.NewInMemory()}, BuiltinKEK); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.inspect(ctx, func(i int) string { return fmt.Sprintf("%s: record %d", name, i+1) }); err != nil {
		return nil, err
	}
	return s, nil
}

// one takes a fixed case.
func (s *Set) one(c workload.Case) error {
	s.Text = schema.Text{Format: schema.Format(c.Format), Schema: c.Schema}
	head, err := frame(s.SchemaID, s.Text.Format)
	if err != nil {
		return err
	}
	s.Records = []Record{{Key: []byte("3f0c9a52-7d1e-4b86-9c44-e2a1705bd9f3"), Value: append(head, c.Record...)}}
	return nil
}

// several makes records up.
func (s *Set) several(ctx context.Context, b *builtin, seed uint64, count int) error {
	text, err := workloads.ReadFile(path.Join("workloads", b.schema))
	if err != nil {
		return err
	}
	t := schema.Text{Format: formatOf(b.schema), Schema: string(text)}
	if !b.bare {
		s.Text = t
	}
	return s.fill(ctx, t, seed, count, b.spread)
}

// formatOf returns the format of a schema by the name of its file, empty where the
// name does not tell.
func formatOf(file string) schema.Format {
	switch strings.ToLower(path.Ext(file)) {
	case ".avsc":
		return schema.Avro
	case ".json":
		return schema.JSONSchema
	case ".proto":
		return schema.Protobuf
	default:
		return ""
	}
}
