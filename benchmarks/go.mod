module github.com/fieldveil/fieldveil/benchmarks

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/internal/conformance v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
	github.com/fieldveil/fieldveil/sidecar v0.0.0-00010101000000-000000000000
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	google.golang.org/grpc v1.85.0
)

require (
	cloud.google.com/go/auth v0.24.3 // indirect
	cloud.google.com/go/compute/metadata v0.10.0 // indirect
	cloud.google.com/go/kms v1.36.1 // indirect
	cloud.google.com/go/longrunning v1.3.0 // indirect
	connectrpc.com/connect v1.21.1 // indirect
	connectrpc.com/grpcreflect v1.3.1 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.23.3 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.15.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.13.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys v1.5.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/internal v1.2.0 // indirect
	github.com/AzureAD/microsoft-authentication-library-for-go v1.10.1 // indirect
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
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
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/bufbuild/protocompile v0.14.1 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/coreos/go-oidc/v3 v3.21.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms v0.0.0 // indirect
	github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms v0.0.0 // indirect
	github.com/fieldveil/fieldveil/sidecar/api v0.0.0 // indirect
	github.com/fieldveil/fieldveil/tokenize/boltvault v0.0.0 // indirect
	github.com/fieldveil/fieldveil/tokenize/dynamovault v0.0.0 // indirect
	github.com/fieldveil/fieldveil/tokenize/pgvault v0.0.0 // indirect
	github.com/fieldveil/fieldveil/tokenize/redisvault v0.0.0 // indirect
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	github.com/go-jose/go-jose/v4 v4.1.4 // indirect
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/pprof v0.0.0-20260906184651-6331bc6350fe // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/googleapis/enterprise-certificate-proxy v0.3.23 // indirect
	github.com/googleapis/gax-go/v2 v2.27.0 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.30.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/tink-crypto/tink-go/v2 v2.9.0 // indirect
	github.com/twmb/avro v1.9.0 // indirect
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.47.0 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.47.0 // indirect
	go.opentelemetry.io/otel/log v1.47.0 // indirect
	go.opentelemetry.io/otel/metric v1.47.0 // indirect
	go.opentelemetry.io/otel/sdk v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	go.opentelemetry.io/proto/otlp v1.11.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/oauth2 v0.37.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/fieldveil/fieldveil => ../
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore => ../fieldcrypt/keystore/boltstore
	github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore => ../fieldcrypt/keystore/pgstore
	github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt => ../fieldcrypt/kgocrypt
	github.com/fieldveil/fieldveil/fieldcrypt/kms/awskms => ../fieldcrypt/kms/awskms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms => ../fieldcrypt/kms/azurekms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms => ../fieldcrypt/kms/gcpkms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms => ../fieldcrypt/kms/tinkkms
	github.com/fieldveil/fieldveil/internal/conformance => ../internal/conformance
	github.com/fieldveil/fieldveil/schema/glueregistry => ../schema/glueregistry
	github.com/fieldveil/fieldveil/schema/jsonschema => ../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../schema/protobuf
	github.com/fieldveil/fieldveil/sidecar => ../sidecar
	github.com/fieldveil/fieldveil/sidecar/api => ../sidecar/api
	github.com/fieldveil/fieldveil/tokenize/boltvault => ../tokenize/boltvault
	github.com/fieldveil/fieldveil/tokenize/dynamovault => ../tokenize/dynamovault
	github.com/fieldveil/fieldveil/tokenize/pgvault => ../tokenize/pgvault
	github.com/fieldveil/fieldveil/tokenize/redisvault => ../tokenize/redisvault
)
