module github.com/fieldveil/fieldveil/sidecar

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
)

require (
	github.com/bufbuild/protocompile v0.14.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/twmb/avro v1.9.0 // indirect
	github.com/twmb/franz-go/pkg/kadm v1.19.0 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.8.0 // indirect
	golang.org/x/text v0.14.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/fieldveil/fieldveil => ../
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt => ../fieldcrypt/kgocrypt
	github.com/fieldveil/fieldveil/schema/jsonschema => ../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../schema/protobuf
)
