package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func wantMalformed(t *testing.T, err error) {
	t.Helper()
	if _, ok := err.(*schema.MalformedError); !ok { //nolint:errorlint // wrapping is not wanted here
		t.Errorf("want a MalformedError, got %v", err)
	}
}

func TestFrame(t *testing.T) {
	for id, want := range map[int]string{1: "0000000001", 0x1020304: "0001020304", math.MaxInt32: "007fffffff"} {
		b, err := AppendFrame([]byte{0xaa}, id)
		if err != nil || hex.EncodeToString(b) != "aa"+want {
			t.Errorf("AppendFrame(%d) = %x, %v", id, b, err)
		}
		got, n, err := ParseFrame(append(b[1:], "rest"...))
		if got != id || n != FrameSize || err != nil {
			t.Errorf("ParseFrame(%x) = %d, %d, %v", b[1:], got, n, err)
		}
	}
	for _, id := range []int{0, -1, math.MaxInt32 + 1, math.MinInt64, math.MaxInt64} {
		if b, err := AppendFrame([]byte{0xaa}, id); err == nil || len(b) != 1 {
			t.Errorf("AppendFrame(%d) = %x, %v", id, b, err)
		}
	}
	for _, b := range []string{"", "00", "00000000", "0100000001", "0300000001", "0000000000", "0080000000", "00ffffffff"} {
		id, n, err := ParseFrame(unhex(t, b))
		wantMalformed(t, err)
		if id != 0 || n != 0 {
			t.Errorf("ParseFrame(%s) = %d, %d", b, id, n)
		}
	}
}

func TestGUID(t *testing.T) {
	const text = "89791762-2336-4186-9674-000000000001"
	guid, err := ReadGUID(text)
	if err != nil || FormatGUID(guid) != text {
		t.Fatalf("%x, %v", guid, err)
	}
	framed := AppendGUID(nil, guid)
	if want := "0189791762233641869674000000000001"; hex.EncodeToString(framed) != want {
		t.Errorf("%x", framed)
	}
	got, rest, err := ParseGUID(append(framed, 2, 2))
	if got != guid || !bytes.Equal(rest, []byte{2, 2}) || err != nil {
		t.Errorf("%x, %x, %v", got, rest, err)
	}
	for _, b := range [][]byte{nil, {1}, framed[:16], append([]byte{0}, guid[:]...), append([]byte{2}, guid[:]...), append([]byte{1}, make([]byte, 16)...)} {
		got, rest, err := ParseGUID(b)
		wantMalformed(t, err)
		if rest != nil || got != ([16]byte{}) {
			t.Errorf("ParseGUID(%x) = %x, %x", b, got, rest)
		}
	}
	for _, s := range []string{
		"", "89791762233641869674000000000001", "89791762-2336-4186-9674-00000000000", "89791762-2336-4186-9674-0000000000010",
		"89791762_2336-4186-9674-000000000001", "8979176A-2336-4186-9674-000000000001", "8979176x-2336-4186-9674-000000000001",
		"{9791762-2336-4186-9674-00000000000}",
	} {
		if g, err := ReadGUID(s); err == nil || g != ([16]byte{}) {
			t.Errorf("ReadGUID(%q) = %x, %v", s, g, err)
		}
	}
}

// The first four are what Confluent's Go client writes.
func TestIndexes(t *testing.T) {
	deep := make([]int, MaxIndexes)
	for _, tt := range []struct {
		indexes []int
		want    string
	}{
		{[]int{0}, "00"},
		{[]int{1}, "0202"},
		{[]int{1, 1}, "040202"},
		{[]int{1, 2, 0}, "06020400"},
		{[]int{0, 0}, "040000"},
		{[]int{63, 64, 8191, 8192}, "08" + "7e" + "8001" + "fe7f" + "808001"},
		{[]int{math.MaxInt32}, "02feffffff0f"},
		{deep, "40" + fmt.Sprintf("%064d", 0)},
	} {
		b, err := AppendIndexes([]byte{0xaa}, tt.indexes)
		if err != nil || hex.EncodeToString(b) != "aa"+tt.want {
			t.Errorf("AppendIndexes(%d) = %x, %v", tt.indexes, b, err)
		}
		got, n, err := ParseIndexes(append(unhex(t, tt.want), 0xff, 0xff))
		if err != nil || n != len(tt.want)/2 || !slices.Equal(got, tt.indexes) {
			t.Errorf("ParseIndexes(%s) = %d, %d, %v", tt.want, got, n, err)
		}
	}
	for _, indexes := range [][]int{nil, {-1}, {0, -1}, {math.MaxInt32 + 1}, make([]int, MaxIndexes+1)} {
		if b, err := AppendIndexes([]byte{0xaa}, indexes); err == nil || len(b) != 1 {
			t.Errorf("AppendIndexes(%d) = %x, %v", indexes, b, err)
		}
	}
}

func TestIndexesThatAreRefused(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":                          "",
		"a count without indexes":          "02",
		"fewer indexes than counted":       "0402",
		"a cut varint":                     "0280",
		"a negative count":                 "01",
		"a negative index":                 "0201",
		"the long form of the first":       "0200",
		"a count of zero in two bytes":     "8000",
		"a count in more bytes than need":  "8200",
		"an index in more bytes than need": "028200",
		"33 indexes":                       "42",
		"2^30 indexes":                     "8080808008",
		"an index over 31 bits":            "028080808010",
		"a varint of six bytes":            "02808080808001",
		"a varint of eleven bytes":         "02ffffffffffffffffffff01",
	} {
		t.Run(name, func(t *testing.T) {
			got, n, err := ParseIndexes(unhex(t, b))
			wantMalformed(t, err)
			if got != nil || n != 0 {
				t.Errorf("%d, %d", got, n)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	for _, tt := range []struct {
		strategy SubjectStrategy
		key      bool
		want     string
	}{
		{TopicName, true, "orders-key"},
		{TopicName, false, "orders-value"},
		{RecordName, true, "com.acme.Order"},
		{RecordName, false, "com.acme.Order"},
		{TopicRecordName, true, "orders-com.acme.Order"},
		{TopicRecordName, false, "orders-com.acme.Order"},
	} {
		if got := tt.strategy("orders", tt.key, "com.acme.Order"); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Framings are read for every record: only the indexes are allocated.
func TestParsingAllocatesNothing(t *testing.T) {
	frame, guid := unhex(t, "0000000001ff"), unhex(t, "0189791762233641869674000000000001ff")
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := ParseFrame(frame); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseGUID(guid); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse checks that whatever is accepted has that one spelling.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"00", "0202", "040202", "06020400", "02feffffff0f", "0000000001", "0189791762233641869674000000000001", "8080808080"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if id, n, err := ParseFrame(b); err == nil {
			if again, err := AppendFrame(nil, id); err != nil || !bytes.Equal(again, b[:n]) {
				t.Errorf("frame %x: %x, %v", b, again, err)
			}
		}
		if guid, rest, err := ParseGUID(b); err == nil {
			if again := AppendGUID(nil, guid); !bytes.Equal(append(again, rest...), b) {
				t.Errorf("GUID %x: %x", b, again)
			}
			if back, err := ReadGUID(FormatGUID(guid)); err != nil || back != guid {
				t.Errorf("GUID %x: %x, %v", guid, back, err)
			}
		}
		if indexes, n, err := ParseIndexes(b); err == nil {
			if again, err := AppendIndexes(nil, indexes); err != nil || !bytes.Equal(again, b[:n]) {
				t.Errorf("indexes %x: %x, %v", b, again, err)
			}
		}
		if !bytes.Equal(b, before) {
			t.Error("the input was written to")
		}
	})
}
