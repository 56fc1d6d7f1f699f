module github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore

go 1.26.0

require (
	github.com/fieldveil/fieldveil v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.45.0 // indirect

replace github.com/fieldveil/fieldveil => ../../..
