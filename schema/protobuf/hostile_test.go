package protobuf

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// everyEdit are sets of edits under which hostile records are tried.
func everyEdit() []string {
	return []string{
		"",
		"replace /s replace /b replace /rs/[] replace /ms/{} replace /n/s replace /g/s replace /rn/[]/s replace /mn/{}/s replace /os",
		"nullify /s nullify /i nullify /n nullify /g nullify /rs nullify /ri nullify /rn nullify /ms nullify /mn nullify /self nullify /f32 nullify /f64 nullify /rf nullify /rd",
		"wrap /i wrap /f32 wrap /f64 wrap /n wrap /g wrap /rs wrap /ri wrap /rf wrap /rd wrap /rn wrap /rg wrap /ms wrap /mi wrap /mn wrap /self wrap /q",
	}
}

func nested(depth int, wrap func(inner string) string, inner string) string {
	for range depth {
		inner = wrap(inner)
	}
	return inner
}

func open(n int) string { return strings.Repeat(tag(7, 3), n) }

func TestHostileRecords(t *testing.T) {
	const (
		padded0 = "\x80\x00"
		ten     = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	)
	self := func(inner string) string { return str(22, inner) }
	unknownGroup := func(inner string) string { return grp(99, inner) }
	tests := []struct{ name, in, reason string }{
		{"a tag without a value", tag(1, 2), reasonTruncated},
		{"a tag of a number without the number", tag(3, 0), reasonTruncated},
		{"a string that ends early", tag(1, 2) + "\x05abc", reasonLength},
		{"a length of 2^31", tag(1, 2) + varint(1<<31), reasonLength},
		{"a length of 2^31-1 in a message", str(6, tag(1, 2)+varint(1<<31-1)), reasonLength},
		{"a length of 2^63", tag(1, 2) + varint(1<<63), reasonLength},
		{"a length of 2^64-1", tag(1, 2) + varint(1<<64-1), reasonLength},
		{"a length of 65 bits", tag(1, 2) + ten[:9] + "\x02", reasonVarint},
		{"a length of 11 bytes", tag(1, 2) + ten + "\x01", reasonVarint},
		{"a length without an end", tag(1, 2) + "\x80\x80", reasonTruncated},
		{"a length of zero in two bytes", tag(1, 2) + padded0, reasonPadded},
		{"a length of one in two bytes", tag(1, 2) + "\x81\x00a", reasonPadded},
		{"a length of a message in three bytes", tag(6, 2) + "\x80\x80\x00", reasonPadded},
		{"a length of a packed run in two bytes", tag(9, 2) + "\x81\x00\x01", reasonPadded},
		{"a message with a length beyond its parent", str(6, tag(3, 2)+"\x05"+str(1, "a")), reasonLength},
		{"a string that reaches behind its message", tag(6, 2) + "\x03" + tag(1, 2) + "\x05" + "abcdef", reasonLength},
		{"a number that reaches behind its message", tag(6, 2) + "\x02" + tag(2, 0) + "\x80\x01", reasonTruncated},
		{"a tag that reaches behind its message", tag(6, 2) + "\x01" + "\x8a\x01", reasonTruncated},

		{"a number of 11 bytes", tag(3, 0) + ten + "\x01", reasonVarint},
		{"a number of 65 bits", tag(3, 0) + ten[:9] + "\x02", reasonVarint},
		{"a number that ends in its middle", tag(3, 0) + "\x80\x80", reasonTruncated},
		{"a number of nothing but continuations", tag(3, 0) + strings.Repeat("\x80", 1000), reasonVarint},
		{"three of four bytes", tag(4, 5) + "abc", reasonTruncated},
		{"seven of eight bytes", tag(5, 1) + "abcdefg", reasonTruncated},

		{"field number 0", "\x00\x01", reasonNumber},
		{"field number 0 with a string", "\x02\x01a", reasonNumber},
		{"field number 0 in a group", grp(7, "\x00\x01"), reasonNumber},
		{"field number 2^29", varint(1<<32) + "\x01", reasonNumber},
		{"field number 2^61-1", varint(1<<64-8) + "\x01", reasonNumber},
		{"a field number that is another one when it is cut to 32 bits", varint(1<<32|10) + "\x01a", reasonNumber},
		{"a tag of 11 bytes", ten + "\x01", reasonNumber},
		{"a tag of five bytes with a sixth", "\x88\x80\x80\x80\x80\x00\x01", reasonNumber},
		{"a tag in two bytes where one does", "\x8a\x00\x01a", reasonPadded},
		{"a tag in five bytes where one does", "\x8a\x80\x80\x80\x00\x01a", reasonPadded},
		{"a tag in three bytes where two do", "\x80\x80\x00", reasonPadded},
		{"a tag that ends in its middle", "\x8a", reasonTruncated},
		{"wire type 6", tag(1, 6) + "a", reasonWire},
		{"wire type 7", tag(1, 7) + "a", reasonWire},
		{"wire type 6 of an unknown field", tag(99, 6) + "a", reasonWire},

		{"a number where a string belongs", num(1, 1), reasonMismatch},
		{"a string where a number belongs", str(3, "\x01"), reasonMismatch},
		{"four bytes where eight belong", f32(5, 1), reasonMismatch},
		{"eight bytes where a number belongs", f64(3, 1), reasonMismatch},
		{"a group where a message belongs", grp(6, str(1, "a")), reasonMismatch},
		{"a message where a group belongs", str(7, str(1, "a")), reasonMismatch},
		{"a packed run in a field that is not repeated", str(18, "\x01"), reasonMismatch},
		{"eight bytes in a list of numbers", f64(9, 1), reasonMismatch},
		{"a number in a list of four bytes each", num(10, 1), reasonMismatch},
		{"a number in a list of strings", num(8, 1), reasonMismatch},
		{"a number where the entry of a map belongs", num(14, 1), reasonMismatch},
		{"a number as the key of strings", str(14, num(1, 1), str(2, "v")), reasonMismatch},
		{"a string as the value of numbers", str(15, str(1, "k"), str(2, "v")), reasonMismatch},
		{"a packed run as the value of numbers", str(15, str(1, "k"), str(2, "\x01")), reasonMismatch},

		{"a packed run with half a number", str(9, "\x01\x80"), reasonTruncated},
		{"a packed run with a number of 11 bytes", str(9, ten, "\x01"), reasonVarint},
		{"a packed run of five bytes where four are one", str(10, "aaaab"), reasonTruncated},
		{"a packed run of nine bytes where eight are one", str(11, "aaaaaaaab"), reasonTruncated},

		{"the end of a group where none began", tag(7, 4), reasonGroup},
		{"the end of another group", tag(7, 3) + tag(8, 4), reasonGroup},
		{"the end of the outer group first", tag(7, 3) + tag(3, 2) + "\x01" + tag(7, 4) + tag(7, 4), reasonGroup},
		{"the end of a group in a message in it", tag(7, 3) + str(3, tag(7, 4)), reasonGroup},
		{"a group without an end", tag(7, 3) + str(1, "a"), reasonOpenGroup},
		{"10^5 groups without an end", open(100_000), reasonAnyOfThem},
		{"a group in a message that ends outside of it", tag(7, 3) + tag(3, 2) + "\x02" + tag(7, 3) + tag(7, 4), reasonAnyOfThem},

		{"a message 65 levels deep", nested(65, self, ""), reasonDepth},
		{"a message 10^4 levels deep", nested(10_000, self, ""), reasonDepth},
		{"a message 10^4 levels deep in another", str(6, nested(10_000, func(in string) string { return str(3, in) }, "")), reasonDepth},
		{"an unknown group", nested(10_000, unknownGroup, ""), reasonUnknown},
		{"a message in a list in a message, without end", nested(70, func(in string) string { return str(3, in) }, ""), reasonMismatch},
	}
	s := parse(t, wideText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, edits := range everyEdit() {
				visits := 0
				count := func(_ int, dst, value []byte) ([]byte, error) {
					visits++
					return append(dst, value...), nil
				}
				reason := tt.reason
				if reason == reasonAnyOfThem {
					reason = ""
				}
				wantMalformed(t, compile(t, s, edits), tt.in, reason, count)
				if visits > len(tt.in) {
					t.Errorf("%d visits for %d bytes", visits, len(tt.in))
				}
				// With unknown fields kept, everything but those is refused too.
				if reason != reasonUnknown {
					wantMalformed(t, compile(t, s, edits, schema.KeepUnknown), tt.in, reason, identity)
				}
			}
		})
	}
}

// reasonAnyOfThem stands for any reason.
const reasonAnyOfThem = "any"

func TestUnknownFieldsThatAreKeptAreChecked(t *testing.T) {
	s := parse(t, wideText)
	p := compile(t, s, "replace /s", schema.KeepUnknown)
	tests := []struct{ name, in, reason string }{
		{"a number that ends early", tag(99, 0) + "\x80", reasonTruncated},
		{"a string that ends early", tag(99, 2) + "\x02a", reasonLength},
		{"a padded length", tag(99, 2) + "\x80\x00", reasonPadded},
		{"four bytes that end early", tag(99, 5) + "abc", reasonTruncated},
		{"eight bytes that end early", tag(99, 1) + "abc", reasonTruncated},
		{"a group without an end", tag(99, 3), reasonOpenGroup},
		{"a group with the end of another", tag(99, 3) + tag(98, 4), reasonGroup},
		{"a group with field number 0", grp(99, "\x00\x01"), reasonNumber},
		{"a group with a padded tag", grp(99, "\x8a\x00\x01a"), reasonPadded},
		{"a group with wire type 7", grp(99, tag(1, 7)), reasonWire},
		{"a group that reaches behind its message", str(6, tag(99, 3)) + tag(99, 4), reasonOpenGroup},
		{"groups 65 levels deep", nested(65, func(in string) string { return grp(99, in) }, ""), reasonDepth},
		{"groups 10^5 levels deep", strings.Repeat(tag(99, 3), 100_000), reasonDepth},
		{"groups in messages, 65 levels together", nested(32, func(in string) string { return str(22, in) }, nested(33, func(in string) string { return grp(99, in) }, "")), reasonDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantMalformed(t, p, tt.in, tt.reason, identity) })
	}
	fine := nested(32, func(in string) string { return str(22, in) }, nested(32, func(in string) string { return grp(99, in) }, ""))
	if got := rewrite(t, p, []byte(fine), identity); string(got) != fine {
		t.Error("64 levels do not come back")
	}
}

// bombs are records of at most a megabyte that would cost much more than their
// size if anything in them were believed.
func bombs() map[string]string {
	rep := strings.Repeat
	self := func(in string) string { return str(22, in) }
	shifted := str(1, rep("x", 120))
	return map[string]string{
		"a length of 2^31 in a short record":       tag(1, 2) + varint(1<<31),
		"a length of 2^62 in each field":           rep(tag(1, 2)+varint(1<<62), 1000),
		"empty strings":                            rep(str(1), 500_000),
		"empty messages":                           rep(str(6), 500_000),
		"empty groups":                             rep(grp(7), 500_000),
		"empty packed runs":                        rep(str(9), 500_000),
		"empty entries of maps":                    rep(str(14), 500_000),
		"empty messages inside themselves":         rep(str(22), 500_000),
		"one packed run of a million numbers":      str(9, rep("\x01", 1_000_000)),
		"a packed run of continuations":            str(9, rep("\x80", 1_000_000)),
		"numbers of ten bytes":                     rep(num(3, 1<<64-1), 90_000),
		"a string of a megabyte":                   str(1, rep("x", 1_000_000)),
		"64 levels around a megabyte":              nested(64, self, str(1, rep("x", 1_000_000))),
		"65 levels around a megabyte":              nested(65, self, str(1, rep("x", 1_000_000))),
		"10^4 levels":                              nested(10_000, self, ""),
		"10^5 levels of groups":                    rep(tag(7, 3), 100_000),
		"10^5 ends of groups":                      rep(tag(7, 4), 100_000),
		"10^5 groups of unknown numbers":           rep(tag(99, 3), 100_000),
		"64 levels many times over":                rep(nested(64, self, str(1, "x")), 3000),
		"lengths that all grow by a byte":          rep(nested(60, self, shifted), 1000),
		"64 levels around lengths that all grow":   nested(62, self, rep(str(6, shifted), 7000)),
		"every level a string and a level":         nested(64, func(in string) string { return str(22, str(1, "x"), in) }, ""),
		"strings in messages in lists":             rep(str(12, str(1, "x"), str(3, str(1, "y"))), 50_000),
		"entries with a thousand values":           rep(str(14, rep(str(2, "v"), 1000)), 200),
		"unknown fields of all kinds":              rep(num(99, 1)+str(98, "x")+f32(97, 1)+f64(96, 1)+grp(95), 20_000),
		"a megabyte of zeros":                      rep("\x00", 1_000_000),
		"a megabyte of ones":                       rep("\xff", 1_000_000),
		"the highest field number again and again": rep(str(536870911, "x"), 100_000),
		"members of a oneof again and again":       rep(str(17, "x")+num(18, 1), 100_000),
		"numbers where strings belong at the end":  rep(str(1, "x"), 100_000) + num(1, 1),
	}
}

// allocated runs f and returns the bytes that it took from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBombsTakeNoMoreMemoryThanTheyAreWorth(t *testing.T) {
	s := parse(t, wideText)
	for name, in := range bombs() {
		t.Run(name, func(t *testing.T) {
			src := []byte(in)
			for _, edits := range everyEdit() {
				for _, unknown := range []schema.Unknown{schema.RejectUnknown, schema.KeepUnknown} {
					p, back := compile(t, s, edits, unknown), compile(t, s, edits, unknown)
					if !strings.Contains(edits, "nullify") {
						back = restore(t, s, edits, unknown)
					}
					visits := 0
					v := visit(func(_ int, dst, value []byte) ([]byte, error) {
						visits++
						return append(append(dst, "s:"...), value...), nil
					})
					for _, p := range []schema.Program{p, back} {
						got := allocated(func() { _, _ = p.Rewrite(nil, src, v) })
						if limit := uint64(64*len(src) + 1<<20); got > limit {
							t.Errorf("%q: %d bytes from the heap for a record of %d, want at most %d", edits, got, len(src), limit)
						}
					}
					if visits > 2*len(src) {
						t.Errorf("%d visits for %d bytes", visits, len(src))
					}
				}
			}
		})
	}
}

func TestTruncationAtEveryByte(t *testing.T) {
	s := parse(t, wideText)
	whole := str(1, "ab") + str(2, "\xff") + num(3, 300) + f32(4, 1) + f64(5, 1) + str(6, str(1, "a"), num(2, 1), str(3, str(1, "b"))) +
		grp(7, str(1, "a"), num(2, 1)) + str(8, "a") + str(9, "\x01\x02") + num(9, 3) + str(12, str(1, "a")) + grp(13, str(1, "a")) +
		str(14, str(1, "k"), str(2, "v")) + str(15, str(1, "k"), num(2, 5)) + str(22, str(1, strings.Repeat("x", 200))) + str(536870911, "far")
	for _, edits := range everyEdit() {
		p := compile(t, s, edits)
		full := rewrite(t, p, []byte(whole), identity)
		// A record that ends between two fields is a record. All others are not.
		ends := 0
		for n := range whole {
			out, err := p.Rewrite(nil, []byte(whole[:n]), visit(identity))
			if err != nil {
				wantMalformed(t, p, whole[:n], "", identity)
				continue
			}
			ends++
			if !bytes.HasPrefix(full, out) {
				t.Fatalf("%d bytes became % x", n, out)
			}
		}
		if ends != 16 {
			t.Errorf("%q: %d prefixes are records, want 16", edits, ends)
		}
	}
}

func TestRewriteDoesNotAllocate(t *testing.T) {
	s := parse(t, wideText)
	src := []byte(str(1, "ab") + num(3, 300) + str(6, str(1, "a"), num(2, 1)) + grp(7, str(1, "a"), num(2, 1)) + str(8, "a") + str(9, "\x01\x02") +
		grp(13, str(1, "a")) + str(14, str(1, "k"), str(2, "v")) + str(22, str(1, strings.Repeat("x", 200))))
	for _, edits := range everyEdit() {
		p := compile(t, s, edits)
		dst := make([]byte, 0, 4096)
		var v schema.Visitor = visit(padded)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := p.Rewrite(dst, src, v); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", edits, n)
		}
		if strings.Contains(edits, "nullify") {
			continue
		}
		sealed := rewrite(t, p, src, padded)
		back := restore(t, s, edits)
		v = visit(unpadded)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := back.Rewrite(dst, sealed, v); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations on the way back", edits, n)
		}
	}
}
