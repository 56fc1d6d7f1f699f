module github.com/fieldveil/fieldveil/sidecar

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/fieldveil/fieldveil v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms v0.0.0
	github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms v0.0.0
	github.com/fieldveil/fieldveil/schema/jsonschema v0.0.0
	github.com/fieldveil/fieldveil/schema/protobuf v0.0.0
)

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.23.3 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.15.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.13.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys v1.5.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/internal v1.2.0 // indirect
	github.com/AzureAD/microsoft-authentication-library-for-go v1.10.1 // indirect
	github.com/bufbuild/protocompile v0.14.1 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/tink-crypto/tink-go/v2 v2.9.0 // indirect
	github.com/twmb/avro v1.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/fieldveil/fieldveil => ../
	github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms => ../fieldcrypt/kms/azurekms
	github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms => ../fieldcrypt/kms/tinkkms
	github.com/fieldveil/fieldveil/schema/jsonschema => ../schema/jsonschema
	github.com/fieldveil/fieldveil/schema/protobuf => ../schema/protobuf
)
