module github.com/fieldveil/fieldveil/schema/protobuf

go 1.26.0

require github.com/fieldveil/fieldveil v0.0.0

replace github.com/fieldveil/fieldveil => ../..
