module github.com/fieldveil/fieldveil/tools

go 1.26.0
