package glue

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/avro"
	"github.com/fieldveil/fieldveil/schema/glueregistry"
)

const customer = `{"type":"record","name":"Customer","namespace":"com.example","fields":[{"name":"id","type":"long"},{"name":"email","type":"string","confluent:tags":["PII"]}]}`

func api(m *Moto) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(m.URL), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
}

func client(t *testing.T, m *Moto, cfg glueregistry.Config) *glueregistry.Client {
	t.Helper()
	cfg.API = api(m)
	c, err := glueregistry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clinic starts a Glue that has an empty registry.
func clinic(t *testing.T) *Moto {
	t.Helper()
	m := StartMoto(t)
	if _, err := api(m).CreateRegistry(t.Context(), &sdk.CreateRegistryInput{RegistryName: aws.String("clinic")}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSchemasOfEveryFormatComeBack(t *testing.T) {
	m := clinic(t)
	c := client(t, m, glueregistry.Config{Registry: "clinic", CreateSchemas: true, IgnoreTags: true})
	for name, text := range map[string]schema.Text{
		"avro":  {Format: schema.Avro, Schema: customer},
		"json":  {Format: schema.JSONSchema, Schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"email":{"type":"string"}}}`},
		"proto": {Format: schema.Protobuf, Schema: "syntax = \"proto3\";\nmessage Customer { string email = 1; }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := c.Register(t.Context(), name+"-value", text)
			if err != nil {
				t.Fatal(err)
			}
			// A client that knows nothing yet.
			got, err := client(t, m, glueregistry.Config{IgnoreTags: true}).SchemaByGUID(t.Context(), id)
			if err != nil || !reflect.DeepEqual(got, text) {
				t.Errorf("SchemaByGUID = %+v, %v", got, err)
			}
			again, err := client(t, m, glueregistry.Config{Registry: "clinic"}).Register(t.Context(), name+"-value", text)
			if err != nil || again != id {
				t.Errorf("Register again = %x, %v, want %x", again, err, id)
			}
		})
	}
}

func TestVersionsOfOneSchema(t *testing.T) {
	m := clinic(t)
	c := client(t, m, glueregistry.Config{Registry: "clinic", CreateSchemas: true})
	first, err := c.Register(t.Context(), "s", schema.Text{Format: schema.Avro, Schema: customer})
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(customer, `"PII"`, `"PII","EMAIL"`, 1)
	second, err := c.Register(t.Context(), "s", schema.Text{Format: schema.Avro, Schema: more})
	if err != nil || second == first {
		t.Errorf("a text with another tag: %x, %v; the first was %x", second, err, first)
	}
}

func TestFaultsAreOfTheirKind(t *testing.T) {
	m := clinic(t)
	c := client(t, m, glueregistry.Config{Registry: "clinic", IgnoreTags: true})
	if _, err := c.SchemaByGUID(t.Context(), [16]byte{1}); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("an id that does not exist: %v", err)
	}
	text := schema.Text{Format: schema.Avro, Schema: customer}
	if _, err := c.Register(t.Context(), "s", text); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("a schema that may not be created: %v", err)
	}
	elsewhere := client(t, m, glueregistry.Config{Registry: "missing", CreateSchemas: true})
	if _, err := elsewhere.Register(t.Context(), "s", text); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("a registry that does not exist: %v", err)
	}
	frozen := client(t, m, glueregistry.Config{Registry: "clinic", CreateSchemas: true, Compatibility: types.CompatibilityDisabled})
	if _, err := frozen.Register(t.Context(), "frozen", text); err != nil {
		t.Fatal(err)
	}
	_, err := frozen.Register(t.Context(), "frozen", schema.Text{Format: schema.Avro, Schema: `"string"`})
	if e, ok := errors.AsType[*glueregistry.APIError](err); !ok || e.Code != "InvalidInputException" || e.Status != 400 {
		t.Errorf("a second version where there may be one: %#v", err)
	}
	_, err = frozen.Register(t.Context(), "broken", schema.Text{Format: schema.Avro, Schema: `{"type":`})
	if e, ok := errors.AsType[*glueregistry.APIError](err); !ok || e.Code != "InvalidInputException" {
		t.Errorf("a text that is no schema: %#v", err)
	}
}

func TestTagsGoIntoTheMetadata(t *testing.T) {
	m := clinic(t)
	text := schema.Text{Format: schema.Avro, Schema: customer, Tags: []schema.TagRule{
		{Pattern: "/cards/[]/pan", Tags: []string{"PCI", "PII"}}, {Pattern: "com.example.*.email", Tags: []string{"PII"}},
	}}
	id, err := client(t, m, glueregistry.Config{Registry: "clinic", CreateSchemas: true}).Register(t.Context(), "s", text)
	if err != nil {
		t.Fatal(err)
	}
	// What is there already is no fault for the next one who registers.
	if again, err := client(t, m, glueregistry.Config{Registry: "clinic"}).Register(t.Context(), "s", text); err != nil || again != id {
		t.Errorf("Register again = %x, %v", again, err)
	}
	// It really is there: Glue refuses the same pair a second time.
	_, err = api(m).PutSchemaVersionMetadata(t.Context(), &sdk.PutSchemaVersionMetadataInput{
		SchemaVersionId:  aws.String(glueregistry.FormatGUID(id)),
		MetadataKeyValue: &types.MetadataKeyValuePair{MetadataKey: aws.String(glueregistry.TagKey), MetadataValue: aws.String("/cards/=5B=5D/pan@PCI+PII")},
	})
	if _, ok := errors.AsType[*types.AlreadyExistsException](err); !ok {
		t.Errorf("the value is not in the metadata: %v", err)
	}
	// A reader that cannot get the tags must not do without them.
	got, err := client(t, m, glueregistry.Config{}).SchemaByGUID(t.Context(), id)
	if _, refused := errors.AsType[*glueregistry.APIError](err); !refused && !reflect.DeepEqual(got.Tags, text.Tags) {
		t.Errorf("SchemaByGUID = %+v, %v", got, err)
	}
}

// The whole way: Python's library registers a schema and writes records, ours
// finds the tagged field and rewrites it, and Python reads what comes out.
func TestRecordsOfThePythonLibrary(t *testing.T) {
	m := clinic(t)
	c := client(t, m, glueregistry.Config{IgnoreTags: true})
	var codec glueregistry.Codec
	for _, compression := range []string{"none", "zlib"} {
		t.Run("compression "+compression, func(t *testing.T) {
			job, err := json.Marshal(map[string]any{"topic": "customers", "schema": customer, "record": map[string]any{"id": 17, "email": "zq@example.com"}})
			if err != nil {
				t.Fatal(err)
			}
			framed, err := base64.StdEncoding.DecodeString(m.Python(t, string(job), "write", compression))
			if err != nil {
				t.Fatal(err)
			}
			frame, err := glueregistry.ParseFrame(framed)
			if err != nil || frame.Compressed != (compression == "zlib") {
				t.Fatalf("ParseFrame = %+v, %v", frame, err)
			}
			record, err := codec.AppendPayload(nil, frame)
			if err != nil {
				t.Fatal(err)
			}
			text, err := c.SchemaByGUID(t.Context(), frame.GUID)
			if err != nil {
				t.Fatal(err)
			}
			out, err := rewrite(text, record)
			if err != nil {
				t.Fatal(err)
			}
			if frame.Compressed {
				framed, err = codec.AppendCompressed(nil, frame.GUID, out)
			} else {
				framed = glueregistry.AppendFrame(nil, frame.GUID, out)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := m.Python(t, base64.StdEncoding.EncodeToString(framed), "read")
			if want := `{"id": 17, "email": "<zq@example.com>"}`; got != want {
				t.Errorf("Python reads %s, want %s", got, want)
			}
		})
	}
}

// rewrite puts brackets around every tagged field.
func rewrite(text schema.Text, record []byte) ([]byte, error) {
	s, err := avro.Parse(text)
	if err != nil {
		return nil, err
	}
	var edits []schema.Edit
	for i, f := range s.Fields() {
		if len(f.Tags) > 0 {
			edits = append(edits, schema.Edit{Field: i, Op: schema.Replace})
		}
	}
	p, err := s.Compile(edits, schema.RejectUnknown)
	if err != nil {
		return nil, err
	}
	return p.Rewrite(nil, record, brackets{})
}

type brackets struct{}

func (brackets) Visit(_ int, dst, value []byte) ([]byte, error) {
	return append(append(append(dst, '<'), value...), '>'), nil
}
