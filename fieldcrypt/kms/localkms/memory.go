package localkms

import (
	"fmt"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// memory is a source of KEKs that live as long as the process. They hang on
// pointers, so that printing a KMS shows addresses and not key schedules.
type memory struct {
	mu   sync.Mutex
	keks map[string]*version // by path; guarded by mu
}

func (m *memory) primary(path string) (*version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.keks[path]; ok {
		return v, nil
	}
	key := newKey()
	defer key.Wipe()
	v, err := newVersion(key)
	if err != nil {
		return nil, err
	}
	m.keks[path] = v
	return v, nil
}

func (m *memory) byID(path string, id versionID) (*version, error) {
	m.mu.Lock()
	v, ok := m.keks[path]
	m.mu.Unlock()
	switch {
	case !ok:
		return nil, fmt.Errorf("localkms: %w: nothing was generated under %s:%s in this process, and its KEKs are in memory alone", kms.ErrNotFound, Scheme, shown(path))
	case v.id != id:
		return nil, errUnknownVersion(path, id)
	}
	return v, nil
}
