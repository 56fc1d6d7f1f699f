module github.com/fieldveil/fieldveil/benchmarks/compare/kroxylicious

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/benchmarks v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt v0.0.0
	github.com/fieldveil/fieldveil/internal/conformance v0.0.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
)

require (
	github.com/bufbuild/protocompile v0.14.1 // indirect
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0 // indirect
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0 // indirect
	github.com/fieldveil/fieldveil/sidecar v0.0.0
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/twmb/avro v1.9.0 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/fieldveil/fieldveil => ../../../
	github.com/fieldveil/fieldveil/benchmarks => ../../
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore => ../../../fieldcrypt/keystore/boltstore
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore => ../../../fieldcrypt/keystore/pgstore
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt => ../../../fieldcrypt/kgocrypt
	github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms => ../../../fieldcrypt/kms/awskms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms => ../../../fieldcrypt/kms/azurekms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms => ../../../fieldcrypt/kms/gcpkms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms => ../../../fieldcrypt/kms/tinkkms
	github.com/fieldveil/fieldveil/internal/conformance => ../../../internal/conformance
	github.com/fieldveil/fieldveil/schema/glueregistry => ../../../schema/glueregistry
	github.com/fieldveil/fieldveil/schema/jsonschema => ../../../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../../../schema/protobuf
	github.com/fieldveil/fieldveil/sidecar => ../../../sidecar
	github.com/fieldveil/fieldveil/sidecar/api => ../../../sidecar/api
	github.com/fieldveil/fieldveil/tokenize/boltvault => ../../../tokenize/boltvault
	github.com/fieldveil/fieldveil/tokenize/dynamovault => ../../../tokenize/dynamovault
	github.com/fieldveil/fieldveil/tokenize/pgvault => ../../../tokenize/pgvault
	github.com/fieldveil/fieldveil/tokenize/redisvault => ../../../tokenize/redisvault
)
