module github.com/fieldveil/fieldveil/benchmarks/compare/awsesdk

go 1.26.0

require (
	github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl v0.4.0
	github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk v0.4.0
	github.com/fieldveil/fieldveil/benchmarks v0.0.0
)

require github.com/stretchr/testify v1.12.1 // indirect

require (
	github.com/aws/aws-cryptographic-material-providers-library/releases/go/dynamodb v0.4.0 // indirect
	github.com/aws/aws-cryptographic-material-providers-library/releases/go/kms v0.4.0 // indirect
	github.com/aws/aws-cryptographic-material-providers-library/releases/go/primitives v0.4.0 // indirect
	github.com/aws/aws-cryptographic-material-providers-library/releases/go/smithy-dafny-standard-library v0.4.0 // indirect
	github.com/aws/aws-sdk-go-v2 v1.47.6 // indirect
	github.com/aws/aws-sdk-go-v2/config v1.33.14 // indirect
	github.com/aws/aws-sdk-go-v2/credentials v1.20.14 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.6 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.9 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.9 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/dynamodb v1.73.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.24 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/endpoint-discovery v1.13.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/kms v1.62.3 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.12.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.39.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.44.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/sts v1.51.7 // indirect
	github.com/aws/smithy-go v1.28.8 // indirect
	github.com/bufbuild/protocompile v0.14.1 // indirect
	github.com/dafny-lang/DafnyRuntimeGo/v4 v4.11.3 // indirect
	github.com/fieldveil/fieldveil v0.0.0 // indirect
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0 // indirect
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0 // indirect
	github.com/fieldveil/fieldveil/sidecar v0.0.0
	github.com/google/uuid v1.6.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/twmb/avro v1.9.0 // indirect
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
