module github.com/fieldveil/fieldveil/internal/formats

go 1.26.0

require (
	github.com/bufbuild/protocompile v0.14.1
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
	github.com/twmb/avro v1.9.0
	google.golang.org/protobuf v1.36.12
)

replace (
	github.com/fieldveil/fieldveil => ../../
	github.com/fieldveil/fieldveil/schema/jsonschema => ../../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../../schema/protobuf
)
