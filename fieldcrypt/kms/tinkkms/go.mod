module github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	github.com/tink-crypto/tink-go/v2 v2.9.0
)

require (
	golang.org/x/crypto v0.53.0 // indirect
	golang.org/x/sys v0.46.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/fieldveil/fieldveil => ../../..
