package avro

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"maps"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// rewrites are runs that must not allocate when dst has room.
func rewrites(t testing.TB) map[string]func(dst []byte) ([]byte, error) {
	t.Helper()
	runs := make(map[string]func(dst []byte) ([]byte, error))
	maps.Copy(runs, numberRewrites(t))
	add := func(name, text string, src []byte) {
		s := parse(t, text)
		for edits, program := range map[string]schema.Program{
			"none": compile(t, s), "replace": compile(t, s, replaceAll(s)...), "nullify": compile(t, s, nullifyAll(s)...), "numbers": compile(t, s, numberAll(s)...),
		} {
			// The interface is made once, as an engine does.
			var v schema.Visitor = visit(identity)
			runs["record="+name+"/edits="+edits] = func(dst []byte) ([]byte, error) { return program.Rewrite(dst, src, v) }
		}
	}
	add("rich", richText, rich())
	add("list", listText, list(64))
	// The new operations, and the way back.
	for name, src := range map[string][]byte{richText: rich(), strings.Replace(listText, `"string"`, `"int"`, 1): bytes.Repeat([]byte{2, 2}, 63)} {
		s, label := parse(t, name), "rich"
		if name != richText {
			src, label = append(src, 2, 0), "numbers"
		}
		for how, containers := range map[string]bool{"leaves": false, "containers": true} {
			edits := wrapEach(s, containers)
			p := forth(t, s, edits...)
			var v, back schema.Visitor = visit(bracketed), visit(unbracketed)
			protected, err := p.Rewrite(nil, src, v)
			if err != nil {
				t.Fatal(err)
			}
			restored := restore(t, s, edits...)
			runs["record="+label+"/edits=wrap-"+how] = func(dst []byte) ([]byte, error) { return p.Rewrite(dst, src, v) }
			runs["record="+label+"/edits=unwrap-"+how] = func(dst []byte) ([]byte, error) { return restored.Rewrite(dst, protected, back) }
		}
	}
	block := []byte(zigzag(-2, 6) + "\x00\x02a\x00\x02b")
	add("blocks", `{"type":"array","items":["string","null"]}`, append(bytes.Repeat(block, 50), 0))
	return runs
}

// numberRewrites are runs over one number each, there and back.
func numberRewrites(t testing.TB) map[string]func(dst []byte) ([]byte, error) {
	t.Helper()
	runs := make(map[string]func(dst []byte) ([]byte, error))
	for name, n := range map[string]struct{ typ, value string }{
		"int": {`"int"`, zigzag(-123456)}, "long": {`"long"`, zigzag(1_700_000_000_000)},
		"float": {`"float"`, float32le(12.5)}, "double": {`"double"`, float64le(-1.2345678901234567e-300)},
		"decimal9": {money, "\x04\x04\xd2"}, "decimal38": {account, "\xb4\xc4\xb3\x57\xa5\x79\x3b\x85\xf6\x75\xdd\xc0\x00\x00\x00\x01"},
		"decimal1024": {`{"type":"bytes","logicalType":"decimal","precision":1024,"scale":512}`, lengthed(strings.Repeat("\x3b", 425))},
	} {
		s, src := parse(t, n.typ), []byte(n.value)
		edit := schema.Edit{Field: 0, Op: schema.Number}
		var v schema.Visitor = visit(identity)
		for way, p := range map[string]schema.Program{"number": compile(t, s, edit), "number-back": restore(t, s, edit)} {
			runs["record="+name+"/edits="+way] = func(dst []byte) ([]byte, error) { return p.Rewrite(dst, src, v) }
		}
	}
	return runs
}

func TestRewriteDoesNotAllocate(t *testing.T) {
	for name, run := range rewrites(t) {
		t.Run(name, func(t *testing.T) {
			dst := make([]byte, 0, 4096)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := run(dst); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkRewrite(b *testing.B) {
	for name, run := range rewrites(b) {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 4096)
			out, err := run(dst)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(out)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run(dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFloor is what the others are measured by: one bare seal of 32 bytes.
func BenchmarkFloor(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce, text, dst := make([]byte, aead.NonceSize()), make([]byte, 32), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		aead.Seal(dst, nonce, text, nil)
	}
}
