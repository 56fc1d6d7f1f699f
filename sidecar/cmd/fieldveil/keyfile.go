package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// A keyFile holds what the headers of records hold elsewhere, beside a file of
// records: see section 13 of docs/format.md. As a store it holds the key blocks.
// It is safe for concurrent use.
type keyFile struct {
	datakey.MemStore

	mu    sync.Mutex // guards the rest
	f     *os.File   // nil for a file that is read only
	metas []metaFrom // of a file that was read, by their records
	last  []byte     // the meta that was written last
}

// A metaFrom is the fv-meta of the records from a number on.
type metaFrom struct {
	from uint64
	meta []byte
}

const (
	keyFileHeader  = `{"fieldveil_keys":1}` + "\n"
	maxKeyFileLine = 64 << 10
)

var errKeyFile = errors.New("not a key file of this version, or damaged")

// createKeyFile makes a key file, which must not exist.
func createKeyFile(path string) (*keyFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	k := &keyFile{f: f}
	if err := errors.Join(k.write([]byte(keyFileHeader)), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return k, nil
}

// syncDir makes the names in a folder durable, where the system can do that.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	// Some file systems refuse to sync a folder, and have nothing to sync there.
	_ = d.Sync()
	return d.Close()
}

func (k *keyFile) write(line []byte) error {
	if _, err := k.f.Write(line); err != nil {
		return err
	}
	return k.f.Sync()
}

// Put appends a block, and returns when it is durable.
func (k *keyFile) Put(ctx context.Context, id datakey.ID, block []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f == nil {
		return errors.New("the key file is read only")
	}
	if err := k.write(keyLine(block)); err != nil {
		return err
	}
	return k.MemStore.Put(ctx, id, block)
}

// put makes meta durable as that of record n, unless it was that of the record
// before.
func (k *keyFile) put(n uint64, meta []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && bytes.Equal(k.last, meta) {
		return nil
	}
	if err := k.write(metaLine(n, meta)); err != nil {
		return err
	}
	k.last = bytes.Clone(meta)
	return nil
}

// meta returns the fv-meta of record n, nil for none.
func (k *keyFile) meta(n uint64) []byte {
	i, found := slices.BinarySearchFunc(k.metas, n, func(m metaFrom, n uint64) int {
		switch {
		case m.from < n:
			return -1
		case m.from > n:
			return 1
		default:
			return 0
		}
	})
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return k.metas[i].meta
}

// Close closes the file.
func (k *keyFile) Close() error {
	if k.f == nil {
		return nil
	}
	return k.f.Close()
}

func keyLine(block []byte) []byte {
	return fmt.Appendf(nil, `{"key":"%s"}`+"\n", base64.StdEncoding.EncodeToString(block))
}

func metaLine(from uint64, meta []byte) []byte {
	return fmt.Appendf(nil, `{"from":%d,"meta":"%s"}`+"\n", from, base64.StdEncoding.EncodeToString(meta))
}

// openKeyFile reads a key file.
func openKeyFile(ctx context.Context, path string) (*keyFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	k, err := readKeyFile(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

func readKeyFile(ctx context.Context, r io.Reader) (*keyFile, error) {
	k := &keyFile{}
	in := bufio.NewReaderSize(r, maxKeyFileLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && n > 1:
			return k, nil // what may be left is no line
		case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d: %w", n, errKeyFile)
		case err != nil:
			return nil, err
		}
		if n == 1 {
			if string(line) != keyFileHeader {
				return nil, fmt.Errorf("line 1: %w", errKeyFile)
			}
			continue
		}
		if err := k.add(ctx, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// add takes one line behind the header.
func (k *keyFile) add(ctx context.Context, line []byte) error {
	var entry struct {
		Key  []byte `json:"key"`
		From uint64 `json:"from"`
		Meta []byte `json:"meta"`
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return errKeyFile // the text of err may hold what stands there
	}
	if bytes.Equal(line, keyLine(entry.Key)) {
		id, err := datakey.CheckBlock(entry.Key)
		if err != nil {
			return errKeyFile
		}
		if _, err := k.Get(ctx, id); err == nil {
			return fmt.Errorf("a key id twice: %w", errKeyFile)
		}
		return k.MemStore.Put(ctx, id, entry.Key)
	}
	after := uint64(0)
	if len(k.metas) > 0 {
		after = k.metas[len(k.metas)-1].from
	}
	if entry.From <= after || !bytes.Equal(line, metaLine(entry.From, entry.Meta)) {
		return errKeyFile
	}
	k.metas = append(k.metas, metaFrom{entry.From, entry.Meta})
	return nil
}
