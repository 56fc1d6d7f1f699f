module github.com/fieldveil/fieldveil

go 1.26.0

require (
	github.com/twmb/avro v1.9.0
	go.yaml.in/yaml/v3 v3.0.5
)
