package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trail returns the lines of a trail of n, sealed with the key of sealKey.
func trail(t *testing.T, n int) ([][]byte, Key) {
	t.Helper()
	seal, key := sealKey(t)
	return linesOf(t, n, seal), key
}

func linesOf(t *testing.T, n int, seal SealConfig) [][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path, Seal: seal})
	write(t, l, n)
	closeLog(t, l)
	return bytes.SplitAfter(readFile(t, path), []byte("\n"))[:n]
}

// FV-111, FV-116: each way to change one line of a trail is found, at its place
// or at the next one.
func TestEverySingleChangeIsFound(t *testing.T) {
	const n = 4 // each byte of each is changed
	sealed, key := trail(t, n)
	for _, tt := range []struct {
		name  string
		lines [][]byte
		c     VerifyConfig
	}{
		{"sealed", sealed, VerifyConfig{Keys: []Key{key}}},
		{"not sealed", linesOf(t, n, SealConfig{}), VerifyConfig{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole(t, verify(t, tt.c, bytes.Join(tt.lines, nil)), len(tt.lines))
			singleChanges(tt.lines, func(what string, at int, changed [][]byte) {
				r := verify(t, tt.c, bytes.Join(changed, nil))
				if len(r.Faults) == 0 {
					t.Errorf("%s line %d was not found", what, at+1)
				} else if f := r.Faults[0]; f.Line < at || f.Line > at+2 {
					t.Errorf("%s line %d was found in line %d: %v", what, at+1, f.Line, f)
				}
			})
		})
	}
}

// singleChanges calls check with each of them.
func singleChanges(lines [][]byte, check func(what string, at int, changed [][]byte)) {
	n := len(lines)
	for i := range n {
		if i < n-1 { // to leave out the last is the cut that only a mark shows
			check("without", i, slices.Delete(slices.Clone(lines), i, i+1))
			check("swapped", i, slices.Concat(lines[:i], [][]byte{lines[i+1], lines[i]}, lines[i+2:]))
		}
		check("twice", i, slices.Insert(slices.Clone(lines), i, lines[i]))
		check("with an empty line before", i, slices.Insert(slices.Clone(lines), i, []byte("\n")))
		for at := range lines[i] {
			changed := slices.Clone(lines)
			changed[i] = bytes.Clone(lines[i])
			changed[i][at] ^= 1
			check(fmt.Sprintf("byte %d of", at), i, changed)
		}
		for cut := 1; cut < len(lines[i]); cut += 7 {
			check(fmt.Sprintf("cut to %d bytes", cut), i, slices.Concat(lines[:i], [][]byte{lines[i][:cut]}))
			check(fmt.Sprintf("%d bytes short", cut), i, slices.Concat(lines[:i], [][]byte{lines[i][cut:]}, lines[i+1:]))
		}
	}
}

// Who knows the format can make the hashes of a changed line right: then the next
// line does not follow, or, when he goes on to the end, the seals are wrong.
func TestARewrittenTrailIsFoundByItsSeals(t *testing.T) {
	const n = 8
	lines, key := trail(t, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		at := rng.IntN(n)
		forged := slices.Clone(lines)
		var prev *Line
		for i := at; i < n; i++ {
			l, err := ParseLine(lines[i])
			if err != nil {
				t.Fatal(err)
			}
			if i == at {
				l.Actor = "nobody"
			}
			if prev != nil {
				l.Prev = prev.Hash
			}
			l.Hash = l.sum()
			forged[i] = l.append(nil)
			prev = &l
		}
		text := bytes.Join(forged, nil)
		whole(t, verify(t, VerifyConfig{}, text), n) // the chain alone shows nothing
		r := verify(t, VerifyConfig{Keys: []Key{key}}, text)
		if len(r.Faults) == 0 || r.Faults[0].Line != at+1 || r.Sealed != at {
			t.Errorf("forged from line %d: %d sealed, %v", at+1, r.Sealed, r.Faults)
		}
	}
}

func TestALineWithoutSealIsFoundWhereKeysAreGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	l := openFile(t, Config{Path: path})
	write(t, l, 2)
	closeLog(t, l)
	_, key := sealKey(t)
	r := verify(t, VerifyConfig{Keys: []Key{key}}, readFile(t, path))
	if len(r.Faults) != 2 || !strings.Contains(r.Faults[0].Text, "not sealed") {
		t.Errorf("faults %v", r.Faults)
	}
}

func TestACutEndIsFoundByAMark(t *testing.T) {
	lines, _ := trail(t, 5)
	last, err := ParseLine(lines[4])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]VerifyConfig{
		"by seq": {ExpectSeq: 5}, "by hash": {ExpectHash: last.Hash}, "by both": {ExpectSeq: 5, ExpectHash: last.Hash},
	} {
		whole(t, verify(t, c, bytes.Join(lines, nil)), 5)
		if r := verify(t, c, bytes.Join(lines[:4], nil)); len(r.Faults) != 1 || r.Faults[0].Line != 0 {
			t.Errorf("%s: %v", name, r.Faults)
		}
	}
	if r := verify(t, VerifyConfig{ExpectSeq: 4, ExpectHash: last.Hash}, bytes.Join(lines, nil)); len(r.Faults) != 1 {
		t.Errorf("a hash of another line: %v", r.Faults)
	}
	if r := verify(t, VerifyConfig{}, nil); len(r.Faults) != 1 {
		t.Errorf("an empty trail: %v", r.Faults)
	}
}

func TestATrailMayBeginWhereEarlierFilesEnded(t *testing.T) {
	lines, _ := trail(t, 6)
	before, err := ParseLine(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	rest := bytes.Join(lines[3:], nil)
	if r := verify(t, VerifyConfig{}, rest); len(r.Faults) != 1 || !strings.Contains(r.Faults[0].Text, "lines 1 to 3 are missing") {
		t.Errorf("without their end: %v", r.Faults)
	}
	whole(t, verify(t, VerifyConfig{From: before.head()}, rest), 3)
	whole(t, verify(t, VerifyConfig{From: Head{Seq: 3}}, rest), 3)
	wrong := before.head()
	wrong.Hash[0] ^= 1
	if r := verify(t, VerifyConfig{From: wrong}, rest); len(r.Faults) != 1 {
		t.Errorf("behind another end: %v", r.Faults)
	}
}

func TestLinesOfAnotherTrailAreFoundUnlessManyAreAllowed(t *testing.T) {
	one, _ := trail(t, 3)
	two, _ := trail(t, 3)
	mixed := bytes.Join([][]byte{one[0], two[0], one[1], two[1], two[2], one[2]}, nil)
	if r := verify(t, VerifyConfig{}, mixed); len(r.Faults) != 1 || r.Faults[0].Line != 2 || r.Trails != 2 {
		t.Errorf("%d trails, faults %v", r.Trails, r.Faults)
	}
	whole(t, verify(t, VerifyConfig{Many: true}, mixed), 6)
	if r := verify(t, VerifyConfig{Many: true}, mixed, one[1]); len(r.Faults) != 1 {
		t.Errorf("a line again: %v", r.Faults)
	}
}

// FV-114
func TestARemnantStandsBeforeItsLineOnly(t *testing.T) {
	lines, _ := trail(t, 3)
	path := filepath.Join(t.TempDir(), "audit")
	write(t, openAfter(t, path, append(bytes.Join(lines[:2], nil), lines[2][:40]...)), 1)
	got := bytes.SplitAfter(readFile(t, path), []byte("\n"))
	r := verify(t, VerifyConfig{}, bytes.Join(got, nil))
	whole(t, r, 4)
	if r.Torn != 1 {
		t.Fatalf("%d remnants", r.Torn)
	}
	for name, changed := range map[string][][]byte{
		"without it":             {got[0], got[1], got[3], got[4]},
		"changed":                {got[0], got[1], []byte("x\n"), got[3], got[4]},
		"without what it is":     {got[0], got[1], got[2]},
		"before another line":    {got[0], got[2], got[1], got[3], got[4]},
		"with another before it": {got[0], got[1], []byte("x\n"), got[2], got[3], got[4]},
		"in two":                 {got[0], got[1], got[2][:5], []byte("\n"), got[2][5:], got[3], got[4]},
	} {
		if r := verify(t, VerifyConfig{}, bytes.Join(changed, nil)); len(r.Faults) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}
