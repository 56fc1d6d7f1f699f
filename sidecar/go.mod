module github.com/fieldveil/fieldveil/sidecar

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/fieldveil/fieldveil v0.0.0
)

require (
	github.com/twmb/avro v1.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/fieldveil/fieldveil => ../
