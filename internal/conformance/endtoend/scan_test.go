package endtoend

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A sought value is one that must not be on the disk, or one that must.
type sought struct {
	what    string
	control bool
}

// prefix is what needles are sorted by.
const prefix = 3

// scanFor looks for every value that was protected, and for clear ones of the
// same encodings, in every byte of the broker's disk.
func scanFor(t *testing.T, dir string, runs []*run) {
	t.Helper()
	needles := make(map[string]sought)
	lengths := make(map[int]bool)
	starts := make([]bool, 1<<(8*prefix))
	protected, controls := 0, make(map[string]int)
	for _, r := range runs {
		rules := r.actions()
		for i := range stays {
			for _, l := range leaves(leaf{value: r.stay(i)}, nil) {
				a, _ := l.ruled(rules)
				n := r.needle(l.value)
				if a == masked {
					n = n[1:]
				}
				control := a == clearText
				if len(n) < prefix || control && !unique(l.path) {
					continue
				}
				s := sought{r.name + " " + l.path, control}
				if old, twice := needles[string(n)]; twice {
					t.Fatalf("a value of %s is also one of %s", s.what, old.what)
				}
				if control {
					controls[s.what]++
				} else {
					protected++
				}
				needles[string(n)] = s
				lengths[len(n)] = true
				starts[index(n)] = true
			}
		}
	}
	size, found, leaks := 0, make(map[string]bool), make(map[string]int)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		disk, err := os.ReadFile(path)
		size += len(disk)
		for at := 0; at+prefix <= len(disk); at++ {
			if !starts[index(disk[at:])] {
				continue
			}
			for n := range lengths {
				if at+n > len(disk) {
					continue
				}
				s, ok := needles[string(disk[at:at+n])]
				switch {
				case ok && s.control:
					found[string(disk[at:at+n])] = true
				case ok:
					leaks[s.what]++
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range leaks {
		t.Errorf("%s: %d protected values are on the disk in clear", what, n)
	}
	met := make(map[string]int)
	for n := range found {
		met[needles[n].what]++
	}
	total := 0
	for what, n := range controls {
		total += met[what]
		if met[what] != n {
			t.Errorf("%s: the scan found %d of %d clear values, so it proves nothing", what, met[what], n)
		}
	}
	t.Logf("%d bytes on disk, %d protected values: %d kinds found; %d clear values of %d kinds found",
		size, protected, len(leaks), total, len(controls))
}

// unique tells whether a clear field has another value in each record.
func unique(path string) bool {
	return path == "/id" || path == "/serial" || path == "/score" || path == "/label"
}

func index(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
