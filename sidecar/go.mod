module github.com/fieldveil/fieldveil/sidecar

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/fieldveil/fieldveil v0.0.0
)

replace github.com/fieldveil/fieldveil => ../
