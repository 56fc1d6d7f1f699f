package layertest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers gives each package its layer. A package imports packages of lower
// layers only, so that the primitives know nothing of policies, and the sidecar
// can be tested without either.
func layers() map[string]int {
	return map[string]int{
		"internal/secret":     0,
		"internal/invariants": 0,
		"internal/vectors":    0,
		"internal/layertest":  0,
		"fieldcrypt/hygiene":  0,

		"internal/envelope": 1,
		"internal/aead":     1,
		"mask":              1,
		"schema":            1,
		"fieldcrypt/kms":    1,

		"internal/siv": 1,
		"internal/ff1": 1,
		"schema/wire":  2,

		"schema/avro":                  2,
		"schema/jsondoc":               2,
		"schema/jsonschema":            3,
		"schema/protobuf":              2,
		"schema/registry":              2,
		"schema/registry/registrytest": 3,
		"schema/glueregistry":          2,

		"tokenize":             2,
		"tokenize/vaulttest":   3,
		"tokenize/boltvault":   3,
		"tokenize/pgvault":     3,
		"tokenize/redisvault":  3,
		"tokenize/dynamovault": 3,

		"fieldcrypt/kms/localkms":          2,
		"fieldcrypt/kms/awskms":            2,
		"fieldcrypt/kms/azurekms":          2,
		"fieldcrypt/kms/gcpkms":            2,
		"fieldcrypt/kms/gcpkms/gcpkmstest": 3,
		"fieldcrypt/kms/tinkkms":           2,
		"fieldcrypt/kms/vaultkms":          2,
		"fieldcrypt/kms/kmstest":           2,

		"fieldcrypt/shred":                 2,
		"fieldcrypt/datakey":               3,
		"fieldcrypt/keystore/keystoretest": 4,
		"fieldcrypt/keystore/boltstore":    4,
		"fieldcrypt/keystore/pgstore":      4,
		"fieldcrypt/keyops":                4,

		"fieldcrypt": 4,

		"fieldcrypt/fieldcrypttest": 5,
		"fieldcrypt/tagmemory":      5,
		"fieldcrypt/kgocrypt":       5,

		"sidecar/api": 5,

		"sidecar/api/fieldveilv1":                    5,
		"sidecar/api/fieldveilv1/fieldveilv1connect": 6,

		"sidecar/secret":  5,
		"sidecar/audit":   6,
		"sidecar/auth":    6,
		"sidecar/kafka":   6,
		"sidecar/produce": 6,

		"sidecar/internal/arrivals": 6,

		"sidecar/serde":     6,
		"sidecar/telemetry": 6,
		"sidecar/config":    7,
		"sidecar/engine":    7,
		"sidecar/rest":      7,
		"sidecar/rpc":       7,
		"sidecar":           8,
		"sidecar/serve":     9,
		"sidecar/demo":      10,

		"sidecar/bench/workload": 0,
		"sidecar/bench/ratio":    0,
		"sidecar/bench/report":   1,
		"sidecar/bench/load":     2,
		"sidecar/bench/input":    7,
		"sidecar/bench/tune":     2,
		"sidecar/bench/scenario": 10,
		"sidecar/bench":          11,
	}
}

// free are the directories that wire things together, or try them out: they
// import any layer.
func free() []string {
	return []string{"sidecar/cmd/fieldveil", "examples", "benchmarks", "tools", "internal/conformance", "internal/formats"}
}

// unreleased are the modules that are never tagged. Only they and the root may
// use the internal packages of the root, which have no versions.
func unreleased() []string {
	return []string{"examples", "benchmarks", "tools", "internal/conformance", "internal/formats"}
}

// forTests are the packages that only tests and unreleased modules import, and
// other packages of this list.
func forTests() []string {
	return []string{
		"internal/vectors", "fieldcrypt/kms/kmstest", "fieldcrypt/kms/gcpkms/gcpkmstest", "fieldcrypt/fieldcrypttest",
		"fieldcrypt/keystore/keystoretest", "tokenize/vaulttest",
	}
}

// rootMayImport is what the code of the root links beside the standard library:
// modules that require nothing themselves.
func rootMayImport() []string {
	return []string{
		"github.com/twmb/avro", "go.yaml.in/yaml/v3", "google.golang.org/protobuf", "github.com/go-json-experiment/json",
	}
}

func inAny(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return within(name, d) })
}

// breaches lists what is wrong with the imports of f.
func breaches(f file) []string {
	table := layers()
	var out []string
	report := func(format string, args ...any) { out = append(out, f.path+": "+fmt.Sprintf(format, args...)) }
	layer, known := table[f.pkg]
	if !known && !inAny(f.pkg, free()) {
		report("package %s has no layer: add it to the table", f.pkg)
		return out
	}
	for _, imported := range f.imports {
		dir, ours := ".", imported == root
		if rest, ok := strings.CutPrefix(imported, root+"/"); ok {
			dir, ours = rest, true
		}
		if !ours {
			if f.module == "." && !f.test && thirdParty(imported) && !inAny(imported, rootMayImport()) {
				report("the root module must not link %s", imported)
			}
			continue
		}
		if f.module != "." && !inAny(f.module, unreleased()) && ofRootInternal(dir) {
			report("a released module must not use %s", imported)
		}
		if inAny(dir, forTests()) && !f.test && !inAny(f.pkg, forTests()) && !inAny(f.module, unreleased()) {
			report("only tests may import %s", imported)
		}
		if inAny(dir, unreleased()) && !inAny(f.module, unreleased()) {
			report("only unreleased modules may import %s", imported)
		}
		// Tests and their examples look at a package together with others. Go
		// itself refuses cycles.
		if f.test || inAny(f.pkg, free()) {
			continue
		}
		below, ok := table[dir]
		switch {
		case !ok:
			report("%s has no layer: add it to the table", imported)
		case below >= layer:
			report("layer %d must not import %s of layer %d", layer, imported, below)
		case within(f.pkg, "sidecar/produce") && dir == "fieldcrypt":
			report("the pipeline must not know what protects the records")
		}
	}
	return out
}

// thirdParty tells paths that begin with a host name from the standard library.
func thirdParty(imported string) bool {
	host, _, _ := strings.Cut(imported, "/")
	return strings.Contains(host, ".")
}

// ofRootInternal tells whether dir is an internal package of the root module.
// Nested modules may have their own.
func ofRootInternal(dir string) bool { return within(dir, "internal") }

func TestPackagesImportOnlyLowerLayers(t *testing.T) {
	all := files(t)
	seen := map[string]bool{}
	for _, f := range all {
		seen[f.pkg] = true
		for _, b := range breaches(f) {
			t.Error(b)
		}
	}
	for _, pkg := range []string{"internal/envelope", "fieldcrypt", "fieldcrypt/kgocrypt", "sidecar/cmd/fieldveil"} {
		if !seen[pkg] {
			t.Errorf("package %s was not found: the walk does not reach all modules", pkg)
		}
	}
}

func TestBreachesAreFound(t *testing.T) {
	tests := []struct {
		name, path, module, imports string
		want                        string // part of the report; empty where all is well
	}{
		{name: "a lower layer is fine", path: "fieldcrypt/a.go", imports: root + "/internal/envelope"},
		{name: "the standard library is fine", path: "mask/a.go", imports: "crypto/sha256"},
		{name: "an allowed module is fine", path: "schema/avro/a.go", imports: "github.com/twmb/avro"},
		{name: "a package of an allowed module is fine", path: "schema/a.go", imports: "google.golang.org/protobuf/encoding/protowire"},
		{name: "a higher layer", path: "internal/envelope/a.go", imports: root + "/fieldcrypt", want: "layer 1 must not import"},
		{name: "a neighbour", path: "internal/aead/a.go", imports: root + "/internal/envelope", want: "layer 1 must not import"},
		{name: "a package that is not in the table", path: "newthing/a.go", imports: "fmt", want: "add it to the table"},
		{name: "a package below one in the table", path: "mask/deeper/a.go", imports: "fmt", want: "add it to the table"},
		{name: "an import that is not in the table", path: "fieldcrypt/a.go", imports: root + "/mask/deeper", want: "add it to the table"},
		{name: "an SDK in the root", path: "fieldcrypt/a.go", imports: "github.com/twmb/franz-go/pkg/kgo", want: "must not link"},
		{name: "a module whose name begins like an allowed one", path: "schema/avro/a.go", imports: "github.com/twmb/avrox", want: "must not link"},
		{name: "an SDK in a nested module is fine", path: "fieldcrypt/kgocrypt/a.go", module: "fieldcrypt/kgocrypt", imports: "github.com/twmb/franz-go/pkg/kgo"},
		{name: "internals in a released module", path: "fieldcrypt/kgocrypt/a.go", module: "fieldcrypt/kgocrypt", imports: root + "/internal/secret", want: "released module"},
		{name: "internals in a test of a released module", path: "sidecar/produce/a_test.go", module: "sidecar", imports: root + "/internal/secret", want: "released module"},
		{name: "internals in a program of a released module", path: "sidecar/cmd/fieldveil/a.go", module: "sidecar", imports: root + "/internal/secret", want: "released module"},
		{name: "internals in benchmarks are fine", path: "benchmarks/cmd/a.go", module: "benchmarks", imports: root + "/internal/envelope"},
		{name: "a test helper in code", path: "fieldcrypt/a.go", imports: root + "/fieldcrypt/kms/kmstest", want: "only tests"},
		{name: "a test helper in the program", path: "sidecar/cmd/fieldveil/a.go", module: "sidecar", imports: root + "/fieldcrypt/fieldcrypttest", want: "only tests"},
		{name: "a test helper in a test is fine", path: "fieldcrypt/a_test.go", imports: root + "/fieldcrypt/kms/kmstest"},
		{name: "a test helper in another is fine", path: "fieldcrypt/fieldcrypttest/a.go", imports: root + "/fieldcrypt/kms/kmstest"},
		{name: "a higher layer in a test is fine", path: "fieldcrypt/kms/a_test.go", imports: root + "/fieldcrypt/kms/localkms"},
		{name: "fieldcrypt in the pipeline", path: "sidecar/produce/a.go", module: "sidecar", imports: root + "/fieldcrypt", want: "must not know"},
		{name: "wiring imports everything", path: "sidecar/cmd/fieldveil/a.go", module: "sidecar", imports: root + "/fieldcrypt"},
		{name: "an example in code", path: "fieldcrypt/kgocrypt/a.go", module: "fieldcrypt/kgocrypt", imports: root + "/examples/internal/customers", want: "only unreleased"},
		{name: "an example in an example is fine", path: "examples/demo/a.go", module: "examples", imports: root + "/examples/internal/customers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := file{path: tt.path, pkg: path.Dir(tt.path), module: tt.module, test: strings.HasSuffix(tt.path, "_test.go"), imports: []string{tt.imports}}
			if f.module == "" {
				f.module = "."
			}
			got := strings.Join(breaches(f), "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("reported %q, want %q", got, tt.want)
			}
		})
	}
}
