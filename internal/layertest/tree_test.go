package layertest

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const root = "github.com/fieldveil/fieldveil"

// A file is one Go file of the repository and what it imports.
type file struct {
	path    string // from the top of the repository, with slashes
	pkg     string // directory of the package, "." for the top
	module  string // directory of the module
	test    bool
	imports []string
}

// top returns the top of the repository: the directory of go.work.
func top(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.work"))
		if err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			t.Fatalf("no go.work above this package: %v", err)
		}
		dir = parent
	}
}

// walk calls visit for the regular files that belong to the repository, with
// their paths from its top.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(top(t)), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// files parses the imports of every Go file, of all modules and build tags.
func files(t *testing.T) []file {
	t.Helper()
	var names, modules []string
	walk(t, func(name string) {
		switch {
		case path.Base(name) == "go.mod":
			modules = append(modules, path.Dir(name))
		case strings.HasSuffix(name, ".go") && !strings.HasPrefix(path.Base(name), "."):
			names = append(names, name)
		}
	})
	out := make([]file, 0, len(names))
	dir := top(t)
	for _, name := range names {
		src, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, filepath.FromSlash(name)), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		f := file{path: name, pkg: path.Dir(name), module: moduleOf(name, modules), test: strings.HasSuffix(name, "_test.go")}
		for _, i := range src.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			f.imports = append(f.imports, p)
		}
		out = append(out, f)
	}
	return out
}

// moduleOf returns the innermost module around the file.
func moduleOf(name string, modules []string) string {
	best := "."
	for _, m := range modules {
		if within(name, m) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// within tells whether the path is the directory or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
