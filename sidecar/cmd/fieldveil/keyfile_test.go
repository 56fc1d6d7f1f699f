package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// testBlock returns the key block of a key that nobody needs.
func testBlock(tb testing.TB) []byte {
	tb.Helper()
	kek := filepath.Join(tb.TempDir(), "kek")
	if err := localkms.Create(kek); err != nil {
		tb.Fatal(err)
	}
	block, err := datakey.CreateDomainBlock(tb.Context(), localkms.New(), localkms.Scheme+":"+kek, "")
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

// FV-119: a key file that was there before is not written into.
func TestKeyFilesComeBackAsTheyWereWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	k, err := createKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := [][]byte{testBlock(t), testBlock(t)}
	for i, b := range blocks {
		id, err := datakey.CheckBlock(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Put(t.Context(), id, b); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(3) { // records 1 to 3, 11 to 13
			if err := k.put(uint64(10*i)+n+1, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got, err := openKeyFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		id, _ := datakey.CheckBlock(b)
		if back, err := got.Get(t.Context(), id); err != nil || !bytes.Equal(back, b) {
			t.Errorf("block %v: %v", id, err)
		}
	}
	for n, want := range map[uint64]string{0: "", 1: "\x00", 10: "\x00", 11: "\x01", 1000: "\x01"} {
		if meta := got.meta(n); string(meta) != want {
			t.Errorf("record %d has meta %x", n, meta)
		}
	}
	id, _ := datakey.CheckBlock(blocks[0])
	if err := got.Put(t.Context(), id, blocks[0]); err == nil {
		t.Error("a file that is read took a block")
	}
	if _, err := createKeyFile(path); err == nil {
		t.Error("the file was overwritten")
	}
}

// FV-120.
func TestKeyFilesAreReadStrictly(t *testing.T) {
	key := string(keyLine(testBlock(t)))
	meta := func(n uint64) string { return string(metaLine(n, []byte("m"))) }
	for name, tt := range map[string]struct {
		text string
		good bool
	}{
		"a header alone":                {keyFileHeader, true},
		"a key and metas":               {keyFileHeader + key + meta(1) + meta(2), true},
		"metas first":                   {keyFileHeader + meta(7) + key, true},
		"a last line that is cut":       {keyFileHeader + key + key[:20], true},
		"a last line without line feed": {keyFileHeader + key + strings.TrimSuffix(meta(1), "\n"), true},
		"nothing":                       {"", false},
		"a header that is cut":          {strings.TrimSuffix(keyFileHeader, "\n"), false},
		"no header":                     {key, false},
		"another version":               {strings.Replace(keyFileHeader, "1", "2", 1), false},
		"a header twice":                {keyFileHeader + keyFileHeader, false},
		"a key twice":                   {keyFileHeader + key + key, false},
		"a block that is none":          {keyFileHeader + `{"key":"AAAA"}` + "\n", false},
		"no block":                      {keyFileHeader + `{"key":""}` + "\n", false},
		"a space":                       {keyFileHeader + strings.Replace(key, ":", ": ", 1), false},
		"a line end of another kind":    {keyFileHeader + strings.Replace(key, "\n", "\r\n", 1), false},
		"an empty line":                 {keyFileHeader + "\n" + key, false},
		"a member more":                 {keyFileHeader + strings.Replace(key, "}", `,"x":1}`, 1), false},
		"record zero":                   {keyFileHeader + meta(0), false},
		"metas out of order":            {keyFileHeader + meta(2) + meta(1), false},
		"a meta twice":                  {keyFileHeader + meta(2) + meta(2), false},
		"a line that is too long":       {keyFileHeader + `{"key":"` + strings.Repeat("A", maxKeyFileLine) + `"}` + "\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readKeyFile(t.Context(), strings.NewReader(tt.text)); (err == nil) != tt.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzKeyFile checks that what is read is written the same way.
func FuzzKeyFile(f *testing.F) {
	block := testBlock(f)
	f.Add([]byte(keyFileHeader))
	f.Add([]byte(keyFileHeader + string(keyLine(block)) + string(metaLine(1, []byte("m")))))
	f.Add([]byte(keyFileHeader + string(metaLine(1, nil)) + string(metaLine(18446744073709551615, []byte("m")))))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := readKeyFile(t.Context(), bytes.NewReader(text))
		if err != nil {
			return
		}
		lines := []byte(keyFileHeader)
		want := bytes.SplitAfter(text, []byte("\n"))
		size := len(want[len(want)-1]) // behind the last line feed
		err = k.Each(t.Context(), func(_ datakey.ID, b []byte) error {
			lines = append(lines, keyLine(b)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range k.metas {
			lines = append(lines, metaLine(m.from, m.meta)...)
		}
		if len(lines)+size != len(text) {
			t.Fatalf("%q became %q", text, lines)
		}
	})
}

// FuzzContainer checks that no file makes its reader fail in another way than with
// an error, and that it comes to an end.
func FuzzContainer(f *testing.F) {
	for _, n := range []int{0, 4} {
		f.Add(containerSeed(f, n))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := openContainer(bytes.NewReader(text))
		if err != nil {
			return
		}
		defer c.Close()
		for {
			if _, err := c.next(); err != nil {
				return
			}
		}
	})
}

// An interrupted run ends behind a record, and leaves no file.
func TestAnInterruptedRunLeavesNothingBehind(t *testing.T) {
	inFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	keys, err := createKeyFile("records.keys")
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	var out, errs bytes.Buffer
	in := &lineThen{line: `{"user":{"email":"ann@example.com"}}` + "\n", then: cancel}
	c := protectCmd{fileFlags{Policy: "policy.yaml", Topic: "clicks", Format: "jsonl", Keys: "records.keys", Out: "out.jsonl", MaxRecord: 1 << 10}}
	o := c.operation(&terminal{in: in, out: &out, err: &errs}, keys)
	if err := o.run(ctx); err == nil || !strings.Contains(err.Error(), "interrupted behind record ") {
		t.Errorf("got %v", err)
	}
	if got := folder(t); got != "dev.kek policy.yaml records.keys" || out.Len() != 0 {
		t.Errorf("left behind: %s, %q", got, out.String())
	}
}

// lineThen reads as the same line without end, and calls then with the third.
type lineThen struct {
	line string
	then func()
	n    int
}

func (l *lineThen) Read(b []byte) (int, error) {
	l.n++
	if l.n == 3 {
		l.then()
	}
	return copy(b, l.line), nil
}
