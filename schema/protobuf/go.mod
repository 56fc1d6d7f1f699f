module github.com/fieldveil/fieldveil/schema/protobuf

go 1.26.0

require (
	github.com/bufbuild/protocompile v0.14.1
	github.com/fieldveil/fieldveil v0.0.0
	google.golang.org/protobuf v1.36.12
)

require golang.org/x/sync v0.8.0 // indirect

replace github.com/fieldveil/fieldveil => ../..
