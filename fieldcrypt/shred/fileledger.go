package shred

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// stride is after how many entries their place in the file is remembered.
const stride = 128

// A FileLedger is a [Ledger] in a file of lines, one for each entry. It is made
// by [CreateFileLedger] or [OpenFileLedger] and safe for concurrent use; the
// processes of a host share the file by locks on it.
//
// What Append and Read returned is on the disk. A crash in the midst of an
// Append leaves the entry there or not; the beginning of a line that it leaves
// is cut off when the file is used next, as nobody was told of it. Any other
// damage is [ErrLedger], and stays: an entry that was changed, a line that is
// missing before others, an end that was cut off while the ledger was open, a
// file that another was put in the place of.
//
// It promises nothing against those who may write the file: they can cut off
// its end while nobody has it open, which only the marks of the stores and the
// copies of the ledger show. It does not work on network file systems without
// locks, nor on systems other than Unix.
type FileLedger struct {
	path string
	id   LedgerID
	turn chan struct{} // held to use what is below
	file *os.File
	at   position
	back []position // every stride entries, the first before the first entry
	over bool       // it was closed

	// Both are methods of file, but in tests of failing disks.
	write func(b []byte, offset int64) (int, error)
	sync  func() error
}

// A position is before a line of the file.
type position struct {
	offset int64
	seq    uint64   // of the entry before
	hash   [32]byte // of that one
}

var _ Ledger = (*FileLedger)(nil)

// CreateFileLedger writes an empty ledger with a new id to path, and opens it.
// It fails with an error that wraps [fs.ErrExist] when there is a file, and
// leaves that as it is.
func CreateFileLedger(path string) (l *FileLedger, err error) {
	var id LedgerID
	_, _ = rand.Read(id[:]) // never fails
	// A name that stands for the whole file at once: a crash leaves no ledger
	// without its header.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return nil, fmt.Errorf("shred: create the ledger: %w", err)
	}
	_, err = f.Write(headerLine(id))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if err = errors.Join(err, os.Remove(f.Name())); err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("shred: create the ledger: %w", err)
	}
	return OpenFileLedger(context.Background(), path)
}

// OpenFileLedger opens the ledger at path and reads all of it. It fails with an
// error that wraps [fs.ErrNotExist] when there is none: a ledger that is missing
// has forgotten nobody, so it is made by [CreateFileLedger] only. It fails with
// [ErrLedger] when the file is damaged, or when others than its owner may write
// it. ctx ends the waiting for a lock and the reading.
func OpenFileLedger(ctx context.Context, path string) (*FileLedger, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("shred: open the ledger: %w", err)
	}
	l := &FileLedger{path: path, turn: make(chan struct{}, 1), file: f, write: f.WriteAt, sync: f.Sync}
	if err := l.begin(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *FileLedger) begin(ctx context.Context) error {
	info, err := l.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("shred: open the ledger: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("shred: the ledger is no regular file: %w", ErrLedger)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("shred: others than its owner may write the ledger, mode %04o: %w", info.Mode().Perm(), ErrLedger)
	}
	line, err := readLine(bufio.NewReader(io.NewSectionReader(l.file, 0, maxLine)))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("shred: open the ledger: %w", err)
	}
	if l.id, err = parseHeader(line); err != nil {
		return err
	}
	l.at = position{offset: int64(len(line)), hash: FirstPrev(l.id)}
	l.back = []position{l.at}
	return l.locked(ctx, func() error { return l.catchUp(ctx) })
}

// Close closes the file. Calls after it fail with [fs.ErrClosed].
func (l *FileLedger) Close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.over = true
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("shred: close the ledger: %w", err)
	}
	return nil
}

// take waits for the turn of the caller.
func (l *FileLedger) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("shred: ledger: %w", err)
	}
	select {
	case l.turn <- struct{}{}:
		if l.over {
			<-l.turn
			return fmt.Errorf("shred: ledger: %w", fs.ErrClosed)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shred: ledger: %w", ctx.Err())
	}
}

// locked runs f while no other process uses the file.
func (l *FileLedger) locked(ctx context.Context, f func() error) (err error) {
	unlock, err := lockFile(ctx, l.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return f()
}

// ID returns the id in the header of the file.
func (l *FileLedger) ID(ctx context.Context) (LedgerID, error) {
	if err := ctx.Err(); err != nil {
		return LedgerID{}, fmt.Errorf("shred: ledger: %w", err)
	}
	return l.id, nil
}

// Append adds an entry. Its time must be in the years 0 to 9999.
func (l *FileLedger) Append(ctx context.Context, e Entry) (Entry, error) {
	if err := errors.Join(e.Check(), checkTime(e.Time)); err != nil {
		return Entry{}, err
	}
	if err := l.take(ctx); err != nil {
		return Entry{}, err
	}
	defer func() { <-l.turn }()
	err := l.locked(ctx, func() error {
		if err := l.catchUp(ctx); err != nil {
			return err
		}
		e.chain(l.at.seq+1, l.at.hash)
		return l.add(&e)
	})
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// add writes the next entry. The lock is held.
func (l *FileLedger) add(e *Entry) error {
	line := appendLine(nil, e)
	_, err := l.write(line, l.at.offset)
	if err == nil {
		err = l.sync()
	}
	if err != nil {
		// Nobody is told of the entry, so nobody shall find it. If that fails too,
		// whoever has the lock next finds a part of it, which he cuts off, or all
		// of it, which he makes durable.
		if errCut := l.file.Truncate(l.at.offset); errCut == nil {
			_ = l.sync() // the first error counts
		}
		return fmt.Errorf("shred: write the ledger: %w", err)
	}
	// What was written to a file that nobody will open again is not durable.
	if err := l.inPlace(); err != nil {
		return err
	}
	l.advance(e, int64(len(line)))
	return nil
}

// inPlace tells whether the file is still the one with its name.
func (l *FileLedger) inPlace() error {
	here, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("shred: ledger: %w", err)
	}
	named, err := os.Stat(l.path)
	if err != nil {
		return fmt.Errorf("shred: ledger: %w", err)
	}
	if !os.SameFile(here, named) {
		return fmt.Errorf("shred: another file was put in the place of the ledger: %w", ErrLedger)
	}
	return nil
}

// advance goes behind an entry whose line has n bytes.
func (l *FileLedger) advance(e *Entry, n int64) {
	l.at = position{offset: l.at.offset + n, seq: e.Seq, hash: e.Hash}
	if e.Seq%stride == 0 {
		l.back = append(l.back, l.at)
	}
}

// catchUp reads what others have added. The lock is held, so that nobody is in
// the midst of an Append.
func (l *FileLedger) catchUp(ctx context.Context) error {
	size, err := l.size()
	if err != nil || size == l.at.offset {
		return err
	}
	before, known := l.at, len(l.back)
	if err := l.readOn(ctx, size); err != nil {
		l.at, l.back = before, l.back[:known]
		return err
	}
	return nil
}

// size returns the length of the file.
func (l *FileLedger) size() (int64, error) {
	if err := l.inPlace(); err != nil {
		return 0, err
	}
	info, err := l.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("shred: ledger: %w", err)
	}
	if info.Size() < l.at.offset {
		return 0, fmt.Errorf("shred: the end of the ledger was cut off: %w", ErrLedger)
	}
	return info.Size(), nil
}

// readOn reads the lines up to size, and makes them durable: whoever wrote the
// last one may have died, or failed, before he synced it.
func (l *FileLedger) readOn(ctx context.Context, size int64) error {
	r := bufio.NewReader(io.NewSectionReader(l.file, l.at.offset, size-l.at.offset))
	var last []byte
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("shred: ledger: %w", err)
		}
		line, err := readLine(r)
		switch {
		case errors.Is(err, io.EOF):
			whole, err := l.end(line)
			if err != nil {
				return err
			}
			if whole != nil {
				last = whole
			}
			return l.settle(last)
		case err != nil:
			return err
		}
		e, err := l.at.parse(line)
		if err != nil {
			return err
		}
		last = line
		l.advance(&e, int64(len(line)))
	}
}

// settle writes the last line once more, as it is, and syncs. After a failed
// sync the system may hold it as clean though the disk has it not: a sync alone
// would succeed and do nothing. Lines before it were settled by the one who
// wrote it.
func (l *FileLedger) settle(last []byte) error {
	_, err := l.write(last, l.at.offset-int64(len(last)))
	if err == nil {
		err = l.sync()
	}
	if err != nil {
		return fmt.Errorf("shred: sync the ledger: %w", err)
	}
	return nil
}

// end takes care of what stands after the last line feed: the beginning of an
// entry whose writer died, of which nobody was told. Only that is cut off. An
// entry that lacks nothing but its line feed stays, and is returned to be
// written with it; one whose line feed was changed is damage.
func (l *FileLedger) end(tail []byte) (whole []byte, err error) {
	if len(tail) == 0 {
		return nil, nil
	}
	if _, err := parseLine(slices.Concat(tail[:len(tail)-1], []byte("\n"))); err == nil || len(tail) >= maxLine {
		return nil, fmt.Errorf("shred: the last line of the ledger has no end: %w", ErrLedger)
	}
	whole = slices.Concat(tail, []byte("\n"))
	if e, err := l.at.parse(whole); err == nil {
		l.advance(&e, int64(len(whole)))
		return whole, nil
	}
	if err := l.file.Truncate(l.at.offset); err != nil {
		return nil, fmt.Errorf("shred: cut off the end of the ledger: %w", err)
	}
	return nil, nil
}

// parse reads the line at p, which must go on with the chain.
func (p position) parse(line []byte) (Entry, error) {
	e, err := parseLine(line)
	switch {
	case err != nil:
		return Entry{}, fmt.Errorf("after entry %d: %w", p.seq, err)
	case e.Seq != p.seq+1 || e.Prev != p.hash || e.Hash != e.Sum():
		return Entry{}, fmt.Errorf("shred: the chain of the ledger is broken after entry %d: %w", p.seq, ErrLedger)
	}
	return e, nil
}

// readLine returns the next line with its line feed, or io.EOF with what stands
// after the last one.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("shred: a line of the ledger is longer than %d bytes: %w", maxLine, ErrLedger)
		case err == nil, errors.Is(err, io.EOF):
			return line, err
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("shred: read the ledger: %w", err)
		}
	}
}

// Read returns entries that are durable, and checks them anew each time. It
// reads what is new since the last call, and what it returns.
func (l *FileLedger) Read(ctx context.Context, after uint64, limit int) ([]Entry, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-l.turn }()
	size, err := l.size()
	if err == nil && size != l.at.offset {
		err = l.locked(ctx, func() error { return l.catchUp(ctx) })
	}
	if err != nil || after >= l.at.seq || limit <= 0 {
		return nil, err
	}
	p := l.back[after/stride]
	r := bufio.NewReader(io.NewSectionReader(l.file, p.offset, l.at.offset-p.offset))
	var entries []Entry
	for len(entries) < limit && p.seq < l.at.seq {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("shred: ledger: %w", err)
		}
		line, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		e, err := p.parse(line)
		if err != nil {
			return nil, err
		}
		p = position{offset: p.offset + int64(len(line)), seq: e.Seq, hash: e.Hash}
		if e.Seq > after {
			entries = append(entries, e)
		}
	}
	if p.seq == l.at.seq && !bytes.Equal(p.hash[:], l.at.hash[:]) {
		return nil, fmt.Errorf("shred: an entry of the ledger was changed: %w", ErrLedger)
	}
	return entries, nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot, and need not
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
