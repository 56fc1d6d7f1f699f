package localkms

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/secret"
)

const (
	// maxFile bounds what is read, and so the number of versions: some 400.
	maxFile = 64 << 10
	// fileMode lets the owner alone read and write.
	fileMode fs.FileMode = 0o600
	// foreign are the permissions that nobody else may have.
	foreign fs.FileMode = 0o066
	// nextSuffix names the file in which AddVersion writes. There is at most
	// one, which is what keeps two rotations apart.
	nextSuffix = ".new"
)

// A Version tells about one version of a KEK, and not its key.
type Version struct {
	// ID is the id of the version in hex, as wrapped keys name it.
	ID string
	// Created is when the version was made, to the second.
	Created time.Time
}

// Create makes a KEK file with one random key, mode 0600, and sees to it that
// the file survives a crash. It never overwrites: where there is something at
// path, a dangling symbolic link included, the error wraps fs.ErrExist.
func Create(path string) (err error) {
	if !hasModes {
		return errNoModes
	}
	e, err := newEntry()
	if err != nil {
		return err
	}
	defer e.key.Wipe()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("localkms: create: %s exists already, and is never overwritten: %w", shown(path), fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("localkms: create: %w", err)
	}
	defer func() {
		if err != nil {
			// Half a file would only be in the way of the next try.
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if err := write(f, []entry{e}); err != nil {
		return fmt.Errorf("localkms: create: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("localkms: create: %w", err)
	}
	return nil
}

// AddVersion gives a KEK file a new version, which wraps from then on, and
// keeps all the others, which go on unwrapping. The file changes at once or not
// at all, keeps its owner and has mode 0600. A symbolic link stays one: the
// file that it names changes.
//
// Only one AddVersion works on a file at a time: a second one fails with an
// error that wraps fs.ErrExist, so that no version gets lost. It fails with the
// classes of [KMS.Generate] when the file cannot be read.
func AddVersion(path string) (err error) {
	if !hasModes {
		return errNoModes
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return openError(path, err)
	}
	next := target + nextSuffix
	// The lock comes before the reading: what two would read at the same time,
	// the later of them would put back.
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("localkms: rotate: %s exists: another rotation is under way, or one was interrupted; when none is running, remove it with: rm %s: %w", shown(next), shown(next), fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("localkms: rotate: %w", err)
	}
	defer func() {
		if err != nil {
			// Fails where write has closed it, which is fine.
			_ = f.Close()
			err = errors.Join(err, os.Remove(next))
		}
	}()

	entries, info, err := read(target)
	if err != nil {
		return err
	}
	defer func() { wipe(entries) }()
	e, err := newEntry()
	if err != nil {
		return err
	}
	entries = append(entries, e)
	if err := keepOwner(f, info); err != nil {
		return fmt.Errorf("localkms: rotate: keep the owner of %s: %w", shown(target), err)
	}
	if err := write(f, entries); err != nil {
		return fmt.Errorf("localkms: rotate: %w", err)
	}
	if err := os.Rename(next, target); err != nil {
		return fmt.Errorf("localkms: rotate: %w", err)
	}
	// From here on the new version may be in use: nothing is taken back.
	if err := syncDir(filepath.Dir(target)); err != nil {
		return fmt.Errorf("localkms: rotate: %s has its new version, which may not survive a crash: %w", shown(target), err)
	}
	return nil
}

// Versions lists the versions of a KEK file, oldest first: the last one wraps.
// It fails with the classes of [KMS.Generate].
func Versions(path string) ([]Version, error) {
	entries, _, err := read(path)
	if err != nil {
		return nil, err
	}
	defer wipe(entries)
	versions := make([]Version, len(entries))
	for i, e := range entries {
		versions[i] = Version{ID: e.id.String(), Created: e.created}
	}
	return versions, nil
}

// files is the source of KEKs that are files.
type files struct{}

func (files) primary(path string) (*version, error) {
	entries, _, err := read(path)
	if err != nil {
		return nil, err
	}
	defer wipe(entries)
	return newVersion(entries[len(entries)-1].key)
}

func (files) byID(path string, id versionID) (*version, error) {
	entries, _, err := read(path)
	if err != nil {
		return nil, err
	}
	defer wipe(entries)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.id == id })
	if i < 0 {
		return nil, errUnknownVersion(path, id)
	}
	return newVersion(entries[i].key)
}

// read returns the entries of a KEK file, at least one, for the caller to wipe.
func read(path string) ([]entry, fs.FileInfo, error) {
	if !hasModes {
		return nil, nil, errNoModes
	}
	f, err := os.OpenFile(path, openToRead, 0)
	if err != nil {
		return nil, nil, openError(path, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	// The mode is that of the open file: the path may name another one by now.
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("localkms: %w: %w", kms.ErrUnavailable, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("localkms: %s is not a file: %w", shown(path), kms.ErrInvalid)
	}
	if info.Mode().Perm()&foreign != 0 {
		return nil, nil, fmt.Errorf("localkms: %s has mode %04o, which lets others than its owner in; run: chmod 600 %s: %w",
			shown(path), info.Mode().Perm(), shown(path), kms.ErrDenied)
	}
	// One fixed buffer: one that grows would leave copies of the keys behind.
	buf := make([]byte, maxFile+1)
	defer secret.Wipe(buf)
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		return nil, nil, fmt.Errorf("localkms: %s is longer than %d bytes: %w", shown(path), maxFile, kms.ErrInvalid)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, fmt.Errorf("localkms: %w: %w", kms.ErrUnavailable, err)
	}
	entries, err := parseContent(buf[:n])
	if err != nil {
		return nil, nil, fmt.Errorf("localkms: %s is no KEK file: %w: %w", shown(path), err, kms.ErrInvalid)
	}
	return entries, info, nil
}

// openError gives a failure to open a KEK file its class and its remedy.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("localkms: there is no %s; create it with: fieldveil kek create %s: %w", shown(path), shown(path), kms.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("localkms: this process may not read %s: %w", shown(path), kms.ErrDenied)
	case isBadPath(err):
		return fmt.Errorf("localkms: %w: %w", kms.ErrInvalid, err)
	}
	return fmt.Errorf("localkms: %w: %w", kms.ErrUnavailable, err)
}

// errNoModes: where files have no modes, nobody can tell that one is safe.
var errNoModes = fmt.Errorf("localkms: KEK files need file modes, which %s has not: %w", runtime.GOOS, kms.ErrInvalid)

func newEntry() (entry, error) {
	key := newKey()
	id, err := idOf(key)
	if err != nil {
		key.Wipe()
		return entry{}, err
	}
	return entry{id: id, created: time.Now().UTC().Truncate(time.Second), key: key}, nil
}

// write fills f with entries, makes it durable and closes it.
func write(f *os.File, entries []entry) error {
	// Sized so that it never grows: growing would leave copies of the keys.
	content := appendContent(make([]byte, 0, 64+160*len(entries)), entries)
	defer secret.Wipe(content)
	err := private(f)
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("a KEK file holds at most %d bytes: start a new one", maxFile)
	}
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// private fails where the file system does not keep modes, before a key is
// written to it.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&foreign != 0 {
		return fmt.Errorf("the file system of %s keeps no file modes, so it cannot hold a KEK file: %w", shown(f.Name()), kms.ErrDenied)
	}
	return nil
}

// shown returns a path for messages and commands: quoted unless it is plain,
// so that no path can break a line of a log.
func shown(path string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+@:,~=%", c)
	}
	for _, c := range path {
		if !plain(c) {
			return strconv.Quote(path)
		}
	}
	return path
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
