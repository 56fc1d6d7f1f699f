module github.com/fieldveil/fieldveil/benchmarks

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
	github.com/twmb/avro v1.9.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace (
	github.com/fieldveil/fieldveil => ../
	github.com/fieldveil/fieldveil/schema/jsonschema => ../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../schema/protobuf
)
