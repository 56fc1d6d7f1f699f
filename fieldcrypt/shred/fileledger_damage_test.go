package shred

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newLedgerFile(t testing.TB) (*FileLedger, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := CreateFileLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}

func openLedgerFile(t testing.TB, path string) *FileLedger {
	t.Helper()
	l, err := OpenFileLedger(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func testEntry(n int) Entry {
	return Entry{
		Time: time.Date(2026, 11, 21, 14, 4, 10, 0, time.UTC), Tenant: "acme", Person: PersonID{byte(n), byte(n >> 8), 1},
		By: "privacy desk", Reason: fmt.Sprintf("request %d", n),
	}
}

func appendEntries(t testing.TB, l *FileLedger, n int) []Entry {
	t.Helper()
	entries := make([]Entry, n)
	for i := range entries {
		e, err := l.Append(t.Context(), testEntry(i))
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = e
	}
	return entries
}

func readEntries(t testing.TB, l *FileLedger) []Entry {
	t.Helper()
	entries, err := l.Read(t.Context(), 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func overwrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// FV-105, FV-106: what the file looks like to a program that is not this one.
func TestFV106ALineIsWhatTheSpecificationSays(t *testing.T) {
	l, path := newLedgerFile(t)
	e := testEntry(7)
	e.Tenant, e.By, e.Reason = "a\x00\n\"\\/<é", "é<>&\u2028", `"why"`
	first, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	e.Tenant = "\xff\x00"
	second, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	id, prev := l.id, FirstPrev(l.id)
	want := fmt.Sprintf(`{"fieldveil_ledger":1,"id":"%s"}
{"seq":1,"time":"2026-11-21T14:04:10Z","tenant":"a\u0000\u000a\"\\/<é","person":"%s","by":"é<>&%s","reason":"\"why\"","prev":"%x","hash":"%x"}
{"seq":2,"time":"2026-11-21T14:04:10Z","tenant_hex":"ff00","person":"%s","by":"é<>&%s","reason":"\"why\"","prev":"%x","hash":"%x"}
`, id, e.Person, "\u2028", prev, first.Hash, e.Person, "\u2028", first.Hash, second.Hash)
	if got := string(content(t, path)); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	for i, line := range strings.Split(strings.TrimSuffix(want, "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("line %d is no JSON", i)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// FV-106: the longest entry fits.
func TestFV106TheLongestEntryFitsALine(t *testing.T) {
	l, path := newLedgerFile(t)
	e := testEntry(1)
	e.Tenant, e.By, e.Reason = strings.Repeat("\x01", MaxTenant), strings.Repeat(`"`, MaxNote), strings.Repeat(`\`, MaxNote)
	e.Time = time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC)
	for i := range byte(32) {
		e.Person[i] = 0xff
	}
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if all := readEntries(t, openLedgerFile(t, path)); !slices.Equal(all, []Entry{got}) {
		t.Error("another process reads another entry")
	}
	got.Seq = 1<<64 - 1
	if n := len(appendLine(nil, &got)); n > maxLine {
		t.Errorf("the longest line has %d bytes", n)
	}
}

func TestATimeThatCannotBeWrittenIsRefused(t *testing.T) {
	l, path := newLedgerFile(t)
	before := content(t, path)
	for _, at := range []time.Time{
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("west", -2*3600)),
	} {
		e := testEntry(1)
		e.Time = at
		if got, err := l.Append(t.Context(), e); !errors.Is(err, ErrInvalid) || got != (Entry{}) {
			t.Errorf("%s: %v", at, err)
		}
	}
	if !bytes.Equal(content(t, path), before) {
		t.Error("the file has changed")
	}
	e := testEntry(1)
	e.Time = time.Time{}
	if got, err := l.Append(t.Context(), e); err != nil || readEntries(t, openLedgerFile(t, path))[0] != got || !got.Time.IsZero() {
		t.Errorf("the zero time: %v", err)
	}
}

// FV-105, FV-106, FV-107: a change of any byte but the last line feed is found
// when the ledger is opened, and when it is read.
func TestFV107EveryChangedByteIsFound(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 3)
	sound := content(t, path)
	header := len(headerLine(l.id))
	for i := range sound {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			damaged := bytes.Clone(sound)
			damaged[i] ^= flip
			overwrite(t, path, damaged)
			if other, err := OpenFileLedger(t.Context(), path); !errors.Is(err, ErrLedger) {
				if err == nil {
					_ = other.Close()
				}
				t.Fatalf("byte %d of %d with %#x: opened, %v", i, len(sound), flip, err)
			}
			if !bytes.Equal(content(t, path), damaged) {
				t.Fatalf("byte %d of %d: a damaged file was changed", i, len(sound))
			}
			// The one who has it open reads entries, and not the header again.
			if _, err := l.Read(t.Context(), 0, 10); !errors.Is(err, ErrLedger) && i >= header {
				t.Fatalf("byte %d of %d: read, %v", i, len(sound), err)
			}
		}
	}
	overwrite(t, path, sound)
	if entries := readEntries(t, l); len(entries) != 3 {
		t.Errorf("%d entries when the file is as it was", len(entries))
	}
}

func TestFV107LinesThatAreMissingMovedOrAddedAreFound(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 4)
	lines := bytes.SplitAfter(content(t, path), []byte("\n"))
	other, otherPath := newLedgerFile(t)
	appendEntries(t, other, 4)
	foreign := bytes.SplitAfter(content(t, otherPath), []byte("\n"))
	for name, changed := range map[string][][]byte{
		"the first entry is missing":      {lines[0], lines[2], lines[3], lines[4]},
		"an entry is missing":             {lines[0], lines[1], lines[3], lines[4]},
		"two are swapped":                 {lines[0], lines[2], lines[1], lines[3], lines[4]},
		"one stands twice":                {lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]},
		"the header is another's":         {foreign[0], lines[1], lines[2], lines[3], lines[4]},
		"one is another's":                {lines[0], lines[1], foreign[2], lines[3], lines[4]},
		"the header stands twice":         {lines[0], lines[0], lines[1], lines[2], lines[3], lines[4]},
		"no header":                       lines[1:],
		"an empty line":                   {lines[0], []byte("\n"), lines[1]},
		"an empty line at the end":        {lines[0], lines[1], []byte("\n")},
		"a space before an entry":         {lines[0], []byte(" "), lines[1]},
		"a carriage return":               {lines[0], bytes.TrimSuffix(lines[1], []byte("\n")), []byte("\r\n")},
		"two entries in a line":           {lines[0], bytes.TrimSuffix(lines[1], []byte("\n")), lines[2]},
		"a member more":                   {lines[0], bytes.Replace(lines[1], []byte(`{"seq"`), []byte(`{"x":1,"seq"`), 1)},
		"a member twice":                  {lines[0], bytes.Replace(lines[1], []byte(`{"seq"`), []byte(`{"seq":1,"seq"`), 1)},
		"a member in capitals":            {lines[0], bytes.Replace(lines[1], []byte(`"seq"`), []byte(`"SEQ"`), 1)},
		"a digit that is no hex":          {lines[0], bytes.Replace(lines[1], []byte(`"person":"0000`), []byte(`"person":"000O`), 1)},
		"another spelling of a character": {lines[0], bytes.Replace(lines[1], []byte(`acme`), []byte(`\u0061cme`), 1)},
		"another spelling of a time":      {lines[0], bytes.Replace(lines[1], []byte(`10Z`), []byte(`10+00:00`), 1)},
		"a line beyond all bounds":        {lines[0], bytes.Repeat([]byte("x"), 2*maxLine), []byte("\n")},
		"an end beyond all bounds":        {lines[0], bytes.Repeat([]byte("x"), maxLine+1)},
		"nothing":                         {nil},
		"half a header":                   {lines[0][:20]},
		"a header without its end":        {bytes.TrimSuffix(lines[0], []byte("\n"))},
		"a later version":                 {bytes.Replace(lines[0], []byte(`ledger":1`), []byte(`ledger":2`), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Join(changed, nil)
			at := filepath.Join(t.TempDir(), "ledger")
			overwrite(t, at, b)
			if l, err := OpenFileLedger(t.Context(), at); !errors.Is(err, ErrLedger) || l != nil {
				t.Errorf("opened: %v", err)
			}
			if !bytes.Equal(content(t, at), b) {
				t.Error("a damaged file was changed")
			}
		})
	}
}

// FV-109: the file of a process that died in the midst of an Append, at any
// byte of the line.
func TestFV109TheBeginningOfALineIsCutOffAndAWholeOneStays(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 2)
	before := content(t, path)
	third := appendEntries(t, l, 1)[0]
	after := content(t, path)
	for n := len(before); n <= len(after); n++ {
		at := filepath.Join(t.TempDir(), "ledger")
		overwrite(t, at, after[:n])
		l := openLedgerFile(t, at)
		want := 2
		if n >= len(after)-1 { // it lacks its line feed at most
			want = 3
		}
		entries := readEntries(t, l)
		if len(entries) != want || want == 3 && entries[2] != third {
			t.Fatalf("cut to %d of %d bytes: %d entries", n, len(after), len(entries))
		}
		stands := map[int][]byte{2: before, 3: after}[want]
		if !bytes.Equal(content(t, at), stands) {
			t.Fatalf("cut to %d of %d bytes: the file is another one", n, len(after))
		}
		if e, err := l.Append(t.Context(), testEntry(9)); err != nil || e.Seq != uint64(want)+1 {
			t.Fatalf("the next entry: %d, %v", e.Seq, err)
		}
	}
}

// FV-109: it is cut off by one who has the ledger open as well.
func TestFV109AnotherProcessThatDiedIsCleanedUpAfter(t *testing.T) {
	l, path := newLedgerFile(t)
	want := appendEntries(t, l, 2)
	sound := content(t, path)
	overwrite(t, path, append(bytes.Clone(sound), `{"seq":3,"ti`...))
	if got := readEntries(t, l); !slices.Equal(got, want) {
		t.Errorf("%d entries", len(got))
	}
	if !bytes.Equal(content(t, path), sound) {
		t.Error("the beginning of a line is still there")
	}
}

func TestAnEndThatWasCutOffIsFoundByWhoKnewIt(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 3)
	sound := content(t, path)
	for _, n := range []int{len(sound) - 1, len(sound) - 300, 50, 0} {
		if err := os.Truncate(path, int64(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(t.Context(), 3, 1); !errors.Is(err, ErrLedger) {
			t.Errorf("cut to %d bytes: Read: %v", n, err)
		}
		if _, err := l.Append(t.Context(), testEntry(4)); !errors.Is(err, ErrLedger) {
			t.Errorf("cut to %d bytes: Append: %v", n, err)
		}
	}
}

func TestAnotherFileInItsPlaceIsFound(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 2)
	yesterday := content(t, path)
	appendEntries(t, l, 1)
	restored := filepath.Join(t.TempDir(), "copy")
	overwrite(t, restored, yesterday)
	if err := os.Rename(restored, path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), testEntry(4)); !errors.Is(err, ErrLedger) {
		t.Errorf("Append: %v", err)
	}
	if _, err := l.Read(t.Context(), 0, 9); !errors.Is(err, ErrLedger) {
		t.Errorf("Read: %v", err)
	}
	if !bytes.Equal(content(t, path), yesterday) {
		t.Error("the other file was changed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), testEntry(4)); err == nil {
		t.Error("an entry was added to a file that is gone")
	}
}

func TestALedgerIsMadeByCreateOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	if l, err := OpenFileLedger(t.Context(), path); !errors.Is(err, fs.ErrNotExist) || l != nil {
		t.Errorf("Open of none: %v", err)
	}
	l, err := CreateFileLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 1)
	before := content(t, path)
	if again, err := CreateFileLedger(path); !errors.Is(err, fs.ErrExist) || again != nil {
		t.Errorf("Create where there is one: %v", err)
	}
	if !bytes.Equal(content(t, path), before) {
		t.Error("the ledger was changed")
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("%d files are left, %v", len(names), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), testEntry(1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Append to a closed ledger: %v", err)
	}
	if _, err := l.Read(t.Context(), 0, 1); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read of a closed ledger: %v", err)
	}
	if err := l.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFileLedger(t.Context(), path); !errors.Is(err, ErrLedger) {
		t.Errorf("one that its group may write: %v", err)
	}
	if _, err := OpenFileLedger(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory is no ledger")
	}
}

var errDisk = errors.New("input/output error")

// FV-108: an entry whose sync failed was never there, and the next one takes
// its place.
func TestFV108AnEntryThatCouldNotBeSyncedIsTakenBack(t *testing.T) {
	l, path := newLedgerFile(t)
	want := appendEntries(t, l, 2)
	before := content(t, path)
	sync, fail := l.sync, true
	l.sync = func() error {
		if fail {
			fail = false
			return errDisk
		}
		return sync()
	}
	if e, err := l.Append(t.Context(), testEntry(3)); !errors.Is(err, errDisk) || e != (Entry{}) {
		t.Fatalf("%d, %v", e.Seq, err)
	}
	if !bytes.Equal(content(t, path), before) {
		t.Error("the entry is still there")
	}
	want = append(want, appendEntries(t, l, 1)...)
	if got := readEntries(t, openLedgerFile(t, path)); !slices.Equal(got, want) {
		t.Errorf("%d entries", len(got))
	}
}

// FV-108: a writer failed to sync and died before he took his entry back.
// Whoever finds it must have it on the disk before he says so.
func TestFV108WhoFindsAnEntryMakesItDurableFirst(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 1)
	reader := openLedgerFile(t, path)
	entry := appendEntries(t, l, 1)[0]
	line := appendLine(nil, &entry)
	var written []byte
	syncs, fail := 0, true
	write, sync := reader.write, reader.sync
	reader.write = func(b []byte, at int64) (int, error) { written = bytes.Clone(b); return write(b, at) }
	reader.sync = func() error {
		syncs++
		if fail {
			return errDisk
		}
		return sync()
	}
	for range 3 {
		if got, err := reader.Read(t.Context(), 0, 9); !errors.Is(err, errDisk) || got != nil {
			t.Fatalf("%d entries, %v", len(got), err)
		}
		if _, err := reader.Append(t.Context(), testEntry(5)); !errors.Is(err, errDisk) {
			t.Fatalf("Append: %v", err)
		}
	}
	fail = false
	if got, err := reader.Read(t.Context(), 1, 9); err != nil || len(got) != 1 || got[0] != entry {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if !bytes.Equal(written, line) {
		t.Error("the line was synced and not written again: the system may hold it as clean")
	}
	before := syncs
	readEntries(t, reader)
	if syncs != before {
		t.Error("it goes on to sync what is durable")
	}
}

// A write that the disk has no room for.
func TestAnEntryThatWasWrittenInPartIsTakenBack(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 1)
	before := content(t, path)
	write := l.write
	l.write = func(b []byte, at int64) (int, error) {
		n, _ := write(b[:40], at)
		return n, errDisk
	}
	if _, err := l.Append(t.Context(), testEntry(3)); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, path), before) {
		t.Error("a part of the entry is still there")
	}
	l.write = write
	appendEntries(t, l, 1)
	if n := len(readEntries(t, openLedgerFile(t, path))); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// A Read of what is new does not read the file from its beginning.
func TestReadingGoesOnWhereItEnded(t *testing.T) {
	l, path := newLedgerFile(t)
	entries := appendEntries(t, l, 5*stride)
	line := int64(len(appendLine(nil, &entries[0])))
	for _, after := range []uint64{0, 1, stride - 1, stride, stride + 1, 3 * stride, 5*stride - 1} {
		got, err := l.Read(t.Context(), after, 3)
		if want := entries[after:min(int(after)+3, len(entries))]; err != nil || !slices.Equal(got, want) {
			t.Errorf("after %d: %d entries, %v", after, len(got), err)
		}
		// The place where it begins to read is at most a stride before.
		if p := l.back[after/stride]; p.seq > after || after-p.seq >= stride || p.offset > 64+int64(after)*(line+8) {
			t.Errorf("after %d it reads from entry %d", after, p.seq)
		}
	}
	if n := len(l.back); n != 6 {
		t.Errorf("%d places are remembered", n)
	}
	// What stood at the beginning may be gone for all that it looks at.
	b := content(t, path)
	copy(b[len(b)/2:], "damage")
	overwrite(t, path, b)
	if got, err := l.Read(t.Context(), 5*stride-2, 9); err != nil || len(got) != 2 {
		t.Errorf("at the end: %d entries, %v", len(got), err)
	}
	if _, err := l.Read(t.Context(), 0, 1<<30); !errors.Is(err, ErrLedger) {
		t.Errorf("from the beginning: %v", err)
	}
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	l, path := newLedgerFile(t)
	appendEntries(t, l, 1)
	other := openLedgerFile(t, path)
	err := l.locked(t.Context(), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := other.Append(ctx, testEntry(2))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Append: %v", err)
		}
		// What is known and not new takes no lock.
		if got, err := other.Read(t.Context(), 0, 9); err != nil || len(got) != 1 {
			t.Errorf("Read: %d entries, %v", len(got), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	appendEntries(t, other, 1)
}

// Whatever is accepted has one spelling only.
func FuzzLedgerLine(f *testing.F) {
	e := testEntry(1)
	e.chain(1, [32]byte{1})
	f.Add(appendLine(nil, &e))
	e.Tenant = "\xff"
	f.Add(appendLine(nil, &e))
	e.Tenant, e.Time = "a\x00\"", time.Time{}
	f.Add(appendLine(nil, &e))
	f.Add(headerLine(LedgerID{1}))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := parseLine(line); err == nil {
			if again := appendLine(nil, &e); !bytes.Equal(again, line) {
				t.Errorf("%q is written as %q", line, again)
			}
			if err := errors.Join(e.Check(), checkTime(e.Time)); err != nil {
				t.Errorf("%q is accepted: %v", line, err)
			}
		} else if !errors.Is(err, ErrLedger) {
			t.Errorf("%v", err)
		}
		if id, err := parseHeader(line); err == nil {
			if again := headerLine(id); !bytes.Equal(again, line) {
				t.Errorf("%q is written as %q", line, again)
			}
		}
	})
}

// Whatever stands after some sound lines and a part of the next one: what opens
// is a chain of no fewer entries, and opens again alike.
func FuzzLedgerFile(f *testing.F) {
	const most = 4
	id, prev := LedgerID{1, 2, 3}, FirstPrev(LedgerID{1, 2, 3})
	lines := [][]byte{headerLine(id)}
	for i := range most {
		e := testEntry(i)
		e.chain(uint64(i)+1, prev)
		prev = e.Hash
		lines = append(lines, appendLine(nil, &e))
	}
	f.Add(uint8(0), uint16(0), []byte(nil))
	f.Add(uint8(1), uint16(50), []byte(nil))
	f.Add(uint8(2), uint16(len(lines[3])-1), []byte(nil))
	f.Add(uint8(2), uint16(len(lines[3])-1), []byte("\r\n"))
	f.Add(uint8(3), uint16(0), []byte("\n"))
	f.Add(uint8(1), uint16(9), []byte("{\x00\x00"))
	f.Add(uint8(0), uint16(0), bytes.Repeat([]byte("x"), maxLine))
	path := filepath.Join(f.TempDir(), "ledger")
	f.Fuzz(func(t *testing.T, sound uint8, cut uint16, tail []byte) {
		n := int(sound % most)
		next := lines[n+1]
		b := slices.Concat(bytes.Join(lines[:n+1], nil), next[:int(cut)%len(next)], tail)
		overwrite(t, path, b)
		l, err := OpenFileLedger(t.Context(), path)
		if err != nil {
			if !errors.Is(err, ErrLedger) {
				t.Error(err)
			}
			if !bytes.Equal(content(t, path), b) {
				t.Error("a damaged file was changed")
			}
			return
		}
		entries := readEntries(t, l)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if len(entries) < n {
			t.Errorf("%d entries of %d are left", len(entries), n)
		}
		stands := content(t, path)
		switch {
		case bytes.Equal(stands, append(bytes.Clone(b), '\n')):
		case !bytes.HasPrefix(b, stands) || bytes.IndexByte(b[len(stands):], '\n') >= 0:
			t.Error("more was changed than an unfinished line")
		}
		again := openLedgerFile(t, path)
		if !slices.Equal(readEntries(t, again), entries) || !bytes.Equal(content(t, path), stands) {
			t.Error("the file is another one when it is opened again")
		}
	})
}
