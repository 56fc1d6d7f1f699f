package glueregistry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/glueregistry"
)

var guid = [16]byte{0x5a, 0xf4, 0xe1, 0x5b, 0xee, 0xd0, 0x47, 0x82, 0xa2, 0x7a, 0x56, 0xcd, 0x2b, 0xa1, 0x53, 0x6a}

func ExampleParseFrame() {
	var codec glueregistry.Codec
	record, err := codec.AppendCompressed(nil, guid, []byte("the encoded record"))
	if err != nil {
		fmt.Println(err)
		return
	}

	frame, err := glueregistry.ParseFrame(record)
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := codec.AppendPayload(nil, frame)
	fmt.Println(glueregistry.FormatGUID(frame.GUID), frame.Compressed)
	fmt.Printf("%s %v\n", payload, err)
	// Output:
	// 5af4e15b-eed0-4782-a27a-56cd2ba1536a true
	// the encoded record <nil>
}

func ExampleAppendFrame() {
	fmt.Printf("%x\n", glueregistry.AppendFrame(nil, guid, []byte{0xca, 0xfe}))
	// Output: 03005af4e15beed04782a27a56cd2ba1536acafe
}

func ExampleAppendTagRules() {
	value, err := glueregistry.AppendTagRules(nil,
		schema.TagRule{Pattern: "com.acme.Customer.email", Tags: []string{"PII", "EMAIL"}},
		schema.TagRule{Pattern: "/cards/[]/pan", Tags: []string{"PCI"}})
	fmt.Println(string(value), err)
	// Output: com.acme.Customer.email@PII+EMAIL@@/cards/=5B=5D/pan@PCI <nil>
}

func ExampleParseTagRules() {
	rules, err := glueregistry.ParseTagRules("/cards/=5B=5D/pan@PCI+PII")
	fmt.Println(rules, err)
	// Output: [{/cards/[]/pan [PCI PII]}] <nil>
}

func ExampleParseGUID() {
	_, err := glueregistry.ParseGUID("5AF4E15B-EED0-4782-A27A-56CD2BA1536A")
	fmt.Println(err)
	// Output: glueregistry: not a GUID
}

// A program makes its API with glue.NewFromConfig and the configuration of the
// AWS SDK.
func ExampleNew() {
	client, err := glueregistry.New(glueregistry.Config{API: memory{}, Registry: "clinic", CreateSchemas: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := client.SchemaByGUID(context.Background(), guid)
	fmt.Println(text.Format, text.Tags, err)

	_, err = client.SchemaByGUID(context.Background(), [16]byte{1})
	fmt.Println(errors.Is(err, schema.ErrNotFound))

	id, err := client.Register(context.Background(), "patients-value", schema.Text{Format: schema.Avro, Schema: `"string"`})
	fmt.Println(glueregistry.FormatGUID(id), err)
	// Output:
	// AVRO [{/name [PHI]}] <nil>
	// true
	// 5af4e15b-eed0-4782-a27a-56cd2ba1536a <nil>
}

// memory stands for Glue: it has one version.
type memory struct{ glueregistry.API }

func (memory) GetSchemaVersion(_ context.Context, in *glue.GetSchemaVersionInput, _ ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error) {
	if *in.SchemaVersionId != glueregistry.FormatGUID(guid) {
		return nil, &types.EntityNotFoundException{}
	}
	return &glue.GetSchemaVersionOutput{
		SchemaVersionId: in.SchemaVersionId, SchemaDefinition: aws.String(`"string"`),
		DataFormat: types.DataFormatAvro, Status: types.SchemaVersionStatusAvailable,
	}, nil
}

func (memory) QuerySchemaVersionMetadata(context.Context, *glue.QuerySchemaVersionMetadataInput, ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error) {
	return &glue.QuerySchemaVersionMetadataOutput{MetadataInfoMap: map[string]types.MetadataInfo{
		glueregistry.TagKey: {MetadataValue: aws.String("/name@PHI")},
	}}, nil
}

func (memory) RegisterSchemaVersion(context.Context, *glue.RegisterSchemaVersionInput, ...func(*glue.Options)) (*glue.RegisterSchemaVersionOutput, error) {
	return &glue.RegisterSchemaVersionOutput{SchemaVersionId: aws.String(glueregistry.FormatGUID(guid))}, nil
}
