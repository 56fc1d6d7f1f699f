package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
)

// partDigits is how many digits the number of a renamed file has (FV-117).
const partDigits = 20

// A file is a sink in a file, which it renames when it is full.
type file struct {
	path string
	full int64

	f     *os.File
	end   int64  // of what is durable
	first uint64 // seq of the first line, 0 for none

	// Both are methods of f, but in tests of failing disks.
	write func(f *os.File, b []byte, offset int64) (int, error)
	sync  func(f *os.File) error
}

func newFile(path string, full int64) *file {
	return &file{path: path, full: full, write: (*os.File).WriteAt, sync: (*os.File).Sync}
}

func (s *file) close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// open opens the file, verifies it, and says how it goes on.
func (s *file) open(_ context.Context, durable *Head) (head Head, note *Entry, front []byte, err error) {
	if err := s.close(); err != nil {
		return Head{}, nil, nil, fmt.Errorf("audit: %w", err)
	}
	if s.f, err = openLocked(s.path); err != nil {
		return Head{}, nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	info, err := s.f.Stat()
	if err != nil {
		return Head{}, nil, nil, fmt.Errorf("audit: %w", err)
	}
	size := info.Size()
	lines, err := s.lines(size)
	if err != nil {
		return Head{}, nil, nil, err
	}
	base, err := s.before()
	if err != nil {
		return Head{}, nil, nil, err
	}
	head, cut, err := s.verify(base, lines, durable)
	if err != nil {
		return Head{}, nil, nil, err
	}
	switch {
	case durable != nil:
		// What follows was reported to nobody, and a sync of it failed (FV-113).
		note = &Entry{Action: actionResumed, Outcome: Done, Count: int(size - cut)}
		if err := s.f.Truncate(cut); err != nil {
			return Head{}, nil, nil, fmt.Errorf("audit: %w", err)
		}
		size = cut
	case lines < size:
		if head, note, front, err = s.mend(head, lines, size); err != nil {
			return Head{}, nil, nil, err
		}
		if note == nil { // the line lacked its end, and has it
			size++
		}
	}
	if err := s.again(size); err != nil {
		return Head{}, nil, nil, err
	}
	s.end = size
	return head, note, front, nil
}

var errLocked = errors.New("another process writes it")

// openLocked opens or makes the file at path, under its lock.
func openLocked(path string) (*os.File, error) {
	const private = 0o600
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, private)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		if err := lock(f); err != nil {
			return nil, errors.Join(fmt.Errorf("audit: %s: %w", path, err), f.Close())
		}
		info, err := f.Stat()
		switch {
		case err != nil:
		case !info.Mode().IsRegular():
			err = fmt.Errorf("%s is no regular file: %w", path, ErrDamaged)
		case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
			err = fmt.Errorf("others than its owner may write %s, mode %04o: %w", path, info.Mode().Perm(), ErrDamaged)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("audit: %w", err), f.Close())
		}
		// Its owner may have renamed it between the opening and the lock.
		if now, err := os.Stat(path); err == nil && os.SameFile(now, info) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
}

// lines returns where the last line ends.
func (s *file) lines(size int64) (int64, error) {
	tail := make([]byte, min(size, MaxLine))
	if _, err := s.f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	at := bytes.LastIndexByte(tail, '\n')
	if at < 0 && size >= MaxLine {
		return 0, fmt.Errorf("audit: %s does not end in a line of an audit trail: %w", s.path, ErrDamaged)
	}
	return size - int64(len(tail)) + int64(at) + 1, nil
}

// before returns the end of the file that was renamed last, nil for none.
func (s *file) before() (*Head, error) {
	parts, err := Parts(s.path)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	name := parts[len(parts)-1]
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = f.Close() }()
	first, err := strconv.ParseUint(name[len(name)-partDigits:], 10, 64)
	if err != nil || first == 0 {
		return nil, fmt.Errorf("audit: %s: %w", name, ErrDamaged)
	}
	v := NewVerifier(VerifyConfig{From: Head{Seq: first - 1}})
	if err := v.Read(name, f); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	r := v.Report()
	if len(r.Faults) > 0 {
		return nil, fmt.Errorf("audit: %v: %w", r.Faults[0], ErrDamaged)
	}
	return &r.Last, nil
}

// Parts returns the files that were renamed when they were full, the oldest first.
func Parts(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var parts []string
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		if ok && len(number) == partDigits && strings.Trim(number, "0123456789") == "" {
			parts = append(parts, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	slices.Sort(parts)
	return parts, nil
}

// verify reads the lines up to end. It returns the last one and end, or the
// durable one and where that ends.
func (s *file) verify(base *Head, end int64, durable *Head) (head Head, cut int64, err error) {
	s.first = 0
	if durable != nil {
		if end, err = s.find(base, end, *durable); err != nil {
			return Head{}, 0, err
		}
	}
	switch {
	case end > 0:
	case durable != nil:
		return *durable, 0, nil
	case base != nil:
		return *base, 0, nil
	default:
		return begin(newTrail()), 0, nil
	}
	from, err := s.from(base)
	if err != nil {
		return Head{}, 0, err
	}
	v := NewVerifier(VerifyConfig{From: from})
	if err := v.Read(s.path, io.NewSectionReader(s.f, 0, end)); err != nil {
		return Head{}, 0, fmt.Errorf("audit: %w", err)
	}
	r := v.Report()
	if len(r.Faults) > 0 {
		return Head{}, 0, fmt.Errorf("audit: %v: %w", r.Faults[0], ErrDamaged)
	}
	s.first = from.Seq + 1
	return r.Last, end, nil
}

// from returns what the first line follows. Files before this one may be kept
// elsewhere; then it is what the line says.
func (s *file) from(base *Head) (Head, error) {
	if base != nil {
		return *base, nil
	}
	text, err := bufio.NewReaderSize(io.NewSectionReader(s.f, 0, MaxLine), MaxLine).ReadSlice('\n')
	if err != nil {
		return Head{}, fmt.Errorf("audit: %s: %w", s.path, ErrDamaged)
	}
	l, err := ParseLine(text)
	if err != nil || l.Seq <= 1 {
		return Head{}, nil //nolint:nilerr // the verifier says what is wrong with it
	}
	return Head{Trail: l.Trail, Seq: l.Seq - 1, Hash: l.Prev}, nil
}

// find returns where a line ends.
func (s *file) find(base *Head, end int64, durable Head) (int64, error) {
	cut := int64(-1)
	if (base == nil && durable.Seq == 0) || (base != nil && *base == durable) {
		cut = 0
	}
	v := NewVerifier(VerifyConfig{Many: true})
	v.c.Each = func(_ string, _ int, l *Line) {
		if l.head() == durable {
			cut = v.end
		}
	}
	// What is behind it may be anything.
	if err := v.Read(s.path, io.NewSectionReader(s.f, 0, end)); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	if cut < 0 {
		return 0, fmt.Errorf("audit: %s lacks lines that were written: %w", s.path, ErrDamaged)
	}
	return cut, nil
}

// mend says what becomes of a line that has no end (FV-114).
func (s *file) mend(head Head, lines, size int64) (Head, *Entry, []byte, error) {
	rest := make([]byte, size-lines, size-lines+1)
	if _, err := s.f.ReadAt(rest, lines); err != nil {
		return Head{}, nil, nil, fmt.Errorf("audit: %w", err)
	}
	end := []byte("\n")
	l, err := ParseLine(append(rest, end...))
	if head.Seq == 0 {
		head = begin(l.Trail) // there is no other line that says which trail it is
	}
	if err == nil && l.sum() == l.Hash && l.Trail == head.Trail && l.Seq == head.Seq+1 && l.Prev == head.Hash && l.Action != actionTorn {
		if _, err := s.write(s.f, end, size); err != nil {
			return Head{}, nil, nil, fmt.Errorf("audit: %w", err)
		}
		return l.head(), nil, nil, nil
	}
	if head.Seq == 0 {
		head = begin(newTrail())
	}
	sum := sha256.Sum256(rest)
	return head, &Entry{Action: actionTorn, Outcome: Done, Count: len(rest), Target: hex.EncodeToString(sum[:])}, end, nil
}

// again writes the end of the file as it is, and syncs: another may have failed
// to, and then nobody knows whether it is on the disk (FV-115).
func (s *file) again(size int64) error {
	tail := make([]byte, min(size, maxBatch))
	if _, err := s.f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if len(tail) > 0 {
		if _, err := s.write(s.f, tail, size-int64(len(tail))); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if err := errors.Join(s.sync(s.f), syncDir(s.path)); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// errGone is a file in whose place there is none, or another.
var errGone = errors.New("another wrote, moved or removed the file")

// commit writes a batch behind what is durable, and syncs.
func (s *file) commit(_ context.Context, b *batch) error {
	if s.f == nil {
		return fmt.Errorf("audit: %w", fs.ErrClosed)
	}
	if err := s.mine(); err != nil {
		return err
	}
	if s.end >= s.full && s.first != 0 {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	_, err := s.write(s.f, b.text, s.end)
	if err == nil {
		err = s.sync(s.f)
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	s.end += int64(len(b.text))
	if s.first == 0 {
		s.first = b.first
	}
	return nil
}

// mine tells whether the file is still the one under its name, with nothing in it
// but what was written here.
func (s *file) mine() error {
	opened, err := s.f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	named, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if !os.SameFile(opened, named) || opened.Size() != s.end {
		return fmt.Errorf("audit: %s: %w", s.path, errGone)
	}
	return nil
}

// rotate goes on in another file (FV-117). A crash between its steps leaves no
// file under the name, and the next opening makes it.
func (s *file) rotate() error {
	part := fmt.Sprintf("%s.%0*d", s.path, partDigits, s.first)
	if _, err := os.Lstat(part); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("audit: %s: %w", part, fs.ErrExist), err)
	}
	if err := os.Rename(s.path, part); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	next, err := openLocked(s.path)
	if err != nil {
		return err
	}
	info, err := next.Stat()
	if err == nil && info.Size() != 0 {
		err = fmt.Errorf("%s: %w", s.path, errGone)
	}
	if err == nil {
		err = syncDir(s.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("audit: %w", err), next.Close())
	}
	err = s.f.Close()
	s.f, s.end, s.first = next, 0, 0
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// syncDir makes the name of a file durable.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories have no sync there
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
