package scenario

import "os"

// A folder is a temporary one.
type folder struct{ path string }

func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", "fieldveil-bench")
	if err != nil {
		return nil, err
	}
	return &folder{path}, nil
}

func (f *folder) remove() error { return os.RemoveAll(f.path) }
