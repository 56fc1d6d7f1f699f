package glueregistry

import (
	"bytes"
	"compress/zlib"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

var testGUID = [16]byte{0x5a, 0xf4, 0xe1, 0x5b, 0xee, 0xd0, 0x47, 0x82, 0xa2, 0x7a, 0x56, 0xcd, 0x2b, 0xa1, 0x53, 0x6a}

const testGUIDText = "5af4e15b-eed0-4782-a27a-56cd2ba1536a"

// pack makes a zlib stream.
func pack(tb testing.TB, payload []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(payload); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// random returns bytes that do not compress.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return b
}

// packed makes a compressed frame by hand.
func packed(tb testing.TB, payload []byte) []byte {
	tb.Helper()
	return append(append([]byte{3, 5}, testGUID[:]...), pack(tb, payload)...)
}

func TestFrameIsWhatGlueWrites(t *testing.T) {
	got := AppendFrame([]byte("before"), testGUID, []byte("record"))
	want := "before\x03\x00\x5a\xf4\xe1\x5b\xee\xd0\x47\x82\xa2\x7a\x56\xcd\x2b\xa1\x53\x6arecord"
	if string(got) != want {
		t.Fatalf("AppendFrame = %q, want %q", got, want)
	}
	f, err := ParseFrame(got[len("before"):])
	if err != nil || f.GUID != testGUID || f.Compressed || string(f.Payload) != "record" {
		t.Fatalf("ParseFrame = %+v, %v", f, err)
	}
	var c Codec
	out, err := c.AppendPayload([]byte("dst "), f)
	if err != nil || string(out) != "dst record" {
		t.Fatalf("AppendPayload = %q, %v", out, err)
	}
}

func TestParseFrameRefusesEverythingElse(t *testing.T) {
	good := AppendFrame(nil, testGUID, []byte("x"))
	change := func(i int, b byte) []byte {
		out := bytes.Clone(good)
		out[i] = b
		return out
	}
	for _, test := range []struct {
		name, reason string
		src          []byte
		offset       int
	}{
		{"nothing", "empty, without a Glue header", nil, 0},
		{"Confluent's magic byte", "not framed for the Glue Schema Registry", change(0, 0), 0},
		{"Confluent's magic byte for GUIDs", "not framed for the Glue Schema Registry", change(0, 1), 0},
		{"a version to come", "not framed for the Glue Schema Registry", change(0, 4), 0},
		{"only the version", "truncated Glue header", good[:1], 1},
		{"a header that lacks one byte", "truncated Glue header", good[:HeaderLen-1], HeaderLen - 1},
		{"an unknown compression", "unknown compression in the Glue header", change(1, 1), 1},
		{"another unknown compression", "unknown compression in the Glue header", change(1, 4), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseFrame(test.src)
			bad, ok := errors.AsType[*schema.MalformedError](err)
			if !ok || bad.Reason != test.reason || bad.Offset != test.offset {
				t.Errorf("ParseFrame: %#v, want %q at %d", err, test.reason, test.offset)
			}
		})
	}
	if f, err := ParseFrame(good[:HeaderLen]); err != nil || len(f.Payload) != 0 {
		t.Errorf("a record without bytes: %+v, %v; it is a legal one", f, err)
	}
}

func TestCompressedRecordsComeBack(t *testing.T) {
	noise := random(1, 100_000)
	var c Codec
	for _, payload := range [][]byte{nil, {0}, []byte("record"), noise, bytes.Repeat([]byte("abc"), 100_000)} {
		frame, err := c.AppendCompressed([]byte("head"), testGUID, payload)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFrame(frame[len("head"):])
		if err != nil || !f.Compressed || f.GUID != testGUID {
			t.Fatalf("ParseFrame = %v, %v", f, err)
		}
		out, err := c.AppendPayload([]byte("dst"), f)
		if err != nil || string(out) != "dst"+string(payload) {
			t.Fatalf("%d bytes do not come back: %v", len(payload), err)
		}
	}
}

func TestDamagedStreamsAreRefused(t *testing.T) {
	good := packed(t, []byte(strings.Repeat("some record ", 50)))
	withDictionary := func() []byte {
		var b bytes.Buffer
		w, err := zlib.NewWriterLevelDict(&b, zlib.BestCompression, []byte("a dictionary"))
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("a dictionary")) //nolint:errcheck // to memory
		w.Close()
		return append(append([]byte{3, 5}, testGUID[:]...), b.Bytes()...)
	}
	flip := func(i int) []byte {
		out := bytes.Clone(good)
		out[i] ^= 0x10
		return out
	}
	var c Codec
	for _, test := range []struct {
		name, reason string
		src          []byte
	}{
		{"no stream at all", "damaged compressed record", good[:HeaderLen]},
		{"half a header of zlib", "damaged compressed record", good[:HeaderLen+1]},
		{"cut in the middle", "damaged compressed record", good[:len(good)-10]},
		{"without the checksum", "damaged compressed record", good[:len(good)-4]},
		{"with another checksum", "damaged compressed record", flip(len(good) - 1)},
		{"with another header", "damaged compressed record", flip(HeaderLen)},
		{"with a dictionary nobody has", "damaged compressed record", withDictionary()},
		{"with a byte behind it", "bytes behind the compressed record", append(bytes.Clone(good), 0)},
		{"with a second stream behind it", "bytes behind the compressed record", append(bytes.Clone(good), good[HeaderLen:]...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := ParseFrame(test.src)
			if err != nil {
				t.Fatal(err)
			}
			dst := []byte("dst")
			out, err := c.AppendPayload(dst, f)
			bad, ok := errors.AsType[*schema.MalformedError](err)
			if !ok || bad.Reason != test.reason || string(out) != "dst" {
				t.Errorf("AppendPayload = %q, %v, want %q", out, err, test.reason)
			}
			if ok && (bad.Offset < HeaderLen || bad.Offset > len(test.src)) {
				t.Errorf("offset %d is not in the stream", bad.Offset)
			}
			// What a refused stream leaves in the pool must not harm the next.
			f, err = ParseFrame(good)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.AppendPayload(nil, f); err != nil {
				t.Errorf("the next record: %v", err)
			}
		})
	}
}

func TestLimitsOfAnUnpackedRecord(t *testing.T) {
	zeros := func(n int) []byte { return packed(t, make([]byte, n)) }
	noise := random(2, 3000)
	for _, test := range []struct {
		name  string
		codec *Codec
		src   []byte
		limit int // that is passed, or 0
	}{
		{"small records may shrink as they like", &Codec{}, zeros(1 << 20), 0},
		{"a larger one that was zeros", &Codec{}, zeros(1<<20 + 1), 1 << 20},
		{"a bomb of 16 KiB", &Codec{}, zeros(16 << 20), 1 << 20},
		{"a ratio of the caller's", &Codec{MaxRatio: 2000}, zeros(4 << 20), 0},
		{"a ratio that would overflow", &Codec{MaxRatio: int(^uint(0) >> 1)}, zeros(4 << 20), 0},
		{"and still the greatest size", &Codec{MaxRatio: 2000}, zeros(16<<20 + 1), 16 << 20},
		{"the greatest size of the caller", &Codec{MaxRecord: 2999}, packed(t, noise), 2999},
		{"exactly the greatest size", &Codec{MaxRecord: 3000}, packed(t, noise), 0},
		{"the greatest size, not compressed", &Codec{MaxRecord: 2999}, AppendFrame(nil, testGUID, noise), 2999},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := ParseFrame(test.src)
			if err != nil {
				t.Fatal(err)
			}
			out, err := test.codec.AppendPayload([]byte("dst"), f)
			if test.limit == 0 {
				if err != nil {
					t.Errorf("AppendPayload: %v", err)
				}
				return
			}
			large, ok := errors.AsType[*TooLargeError](err)
			if !ok || large.Limit != test.limit || string(out) != "dst" {
				t.Errorf("AppendPayload = %d bytes, %v, want a limit of %d", len(out), err, test.limit)
			}
		})
	}
}

// A refused record must not cost memory in proportion to what it claims.
func TestBombsCostNoMemory(t *testing.T) {
	f, err := ParseFrame(packed(t, make([]byte, 16<<20)))
	if err != nil {
		t.Fatal(err)
	}
	var c Codec
	got := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.AppendPayload(nil, f); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	if most := int64(64*len(f.Payload) + 1<<20); got.AllocedBytesPerOp() > most {
		t.Errorf("%d bytes for a bomb of %d, want at most %d", got.AllocedBytesPerOp(), len(f.Payload), most)
	}
	t.Logf("%v and %d bytes for a bomb of %d bytes", got.NsPerOp(), got.AllocedBytesPerOp(), len(f.Payload))
}

func TestPlainFramesAllocateNothing(t *testing.T) {
	buf := make([]byte, 0, 256)
	out := make([]byte, 0, 256)
	payload := []byte("some record")
	var c Codec
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendFrame(buf[:0], testGUID, payload)
		f, err := ParseFrame(buf)
		if err != nil {
			t.Fatal(err)
		}
		if out, err = c.AppendPayload(out[:0], f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGUIDs(t *testing.T) {
	if got := FormatGUID(testGUID); got != testGUIDText {
		t.Errorf("FormatGUID = %s", got)
	}
	if got, err := ParseGUID(testGUIDText); err != nil || got != testGUID {
		t.Errorf("ParseGUID = %x, %v", got, err)
	}
	for _, bad := range []string{
		"", "5af4e15b", strings.ToUpper(testGUIDText), "{" + testGUIDText + "}", testGUIDText + "0",
		strings.ReplaceAll(testGUIDText, "-", ""), strings.ReplaceAll(testGUIDText, "-", "0"),
		strings.Replace(testGUIDText, "5", "x", 1),
	} {
		if _, err := ParseGUID(bad); err == nil {
			t.Errorf("ParseGUID(%q) succeeds", bad)
		}
	}
}

func BenchmarkAppendPayload(b *testing.B) {
	for _, test := range []struct {
		name    string
		payload []byte
	}{
		{"record of 1 KiB", bytes.Repeat([]byte(`{"name":"Zq Testperson","id":17}`), 32)},
		{"record of 16 MiB", bytes.Repeat([]byte(`{"name":"Zq Testperson","id":17}`), 16<<20/32)},
	} {
		b.Run(test.name, func(b *testing.B) {
			f, err := ParseFrame(packed(b, test.payload))
			if err != nil {
				b.Fatal(err)
			}
			c := Codec{MaxRatio: 2000}
			b.ReportAllocs()
			b.SetBytes(int64(len(test.payload)))
			var dst []byte
			for b.Loop() {
				if dst, err = c.AppendPayload(dst[:0], f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
