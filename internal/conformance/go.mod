module github.com/fieldveil/fieldveil/internal/conformance

go 1.26.0

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.23.3
	github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.15.0
	github.com/aws/aws-sdk-go-v2 v1.47.6
	github.com/aws/aws-sdk-go-v2/credentials v1.20.14
	github.com/aws/aws-sdk-go-v2/service/glue v1.172.3
	github.com/bufbuild/protocompile v0.14.1
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms v0.0.0
	github.com/fieldveil/fieldveil/schema/glueregistry v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
	github.com/fieldveil/fieldveil/sidecar/api v0.0.0
	github.com/fieldveil/fieldveil/tokenize/boltvault v0.0.0
	github.com/fieldveil/fieldveil/tokenize/dynamovault v0.0.0
	github.com/fieldveil/fieldveil/tokenize/pgvault v0.0.0
	github.com/fieldveil/fieldveil/tokenize/redisvault v0.0.0
	github.com/hamba/avro/v2 v2.31.0
	github.com/jackc/pgx/v5 v5.12.0
	github.com/tink-crypto/tink-go/v2 v2.9.0
	github.com/twmb/avro v1.9.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
	golang.org/x/net v0.60.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.13.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys v1.5.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/internal v1.2.0 // indirect
	github.com/AzureAD/microsoft-authentication-library-for-go v1.10.1 // indirect
	github.com/aws/aws-sdk-go-v2/config v1.33.14 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.6 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.12.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.39.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.44.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/sts v1.51.7 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c // indirect
)

require (
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.9 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/dynamodb v1.73.0
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.24 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/endpoint-discovery v1.13.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/kms v1.62.3
	github.com/aws/smithy-go v1.28.8
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms v0.0.0
	github.com/go-viper/mapstructure/v2 v2.4.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/redis/go-redis/v9 v9.23.0
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)

replace (
	github.com/fieldveil/fieldveil => ../../
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore => ../../fieldcrypt/keystore/pgstore
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt => ../../fieldcrypt/kgocrypt
	github.com/fieldveil/fieldveil/schema/glueregistry => ../../schema/glueregistry
	github.com/fieldveil/fieldveil/schema/jsonschema => ../../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../../schema/protobuf
	github.com/fieldveil/fieldveil/sidecar/api => ../../sidecar/api
	github.com/fieldveil/fieldveil/tokenize/boltvault => ../../tokenize/boltvault
	github.com/fieldveil/fieldveil/tokenize/dynamovault => ../../tokenize/dynamovault
	github.com/fieldveil/fieldveil/tokenize/pgvault => ../../tokenize/pgvault
	github.com/fieldveil/fieldveil/tokenize/redisvault => ../../tokenize/redisvault
)

replace github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms => ../../fieldcrypt/kms/awskms

replace github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms => ../../fieldcrypt/kms/azurekms
