module github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
)

replace github.com/fieldveil/fieldveil => ../../
