package datakey

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/invariants"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/tokenize"
)

// residueChild names the directory of the child's heap dumps, in its environment.
const residueChild = "FIELDVEIL_TEST_RESIDUE_CHILD"

// seedKMS makes each data key of its number and never holds one: what is found
// in memory was left by somebody else. A wrapped key is the number.
type seedKMS struct {
	seed [aes.BlockSize]byte
	next uint64
}

func (k *seedKMS) key(n uint64) []byte {
	out := make([]byte, kms.DataKeySize)
	block, err := aes.NewCipher(k.seed[:])
	if err != nil {
		panic(err)
	}
	for i := range 2 {
		part := out[i*aes.BlockSize : (i+1)*aes.BlockSize]
		binary.BigEndian.PutUint64(part, n)
		part[aes.BlockSize-1] = byte(i)
		block.Encrypt(part, part)
	}
	return out
}

func (k *seedKMS) Generate(context.Context, string, kms.EncryptionContext) (plain, wrapped []byte, err error) {
	k.next++
	return k.key(k.next), binary.BigEndian.AppendUint64(nil, k.next), nil
}

func (k *seedKMS) Unwrap(_ context.Context, _ string, wrapped []byte, _ kms.EncryptionContext) ([]byte, error) {
	if len(wrapped) != 8 {
		return nil, kms.ErrInvalid
	}
	return k.key(binary.BigEndian.Uint64(wrapped)), nil
}

// needles are the keys that come of a data key, by name.
func needles(t *testing.T, dataKey []byte) map[string][]byte {
	t.Helper()
	derive := func(key []byte, info string, n int) []byte {
		out, err := hkdf.Key(sha256.New, key, nil, info, n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	derivation := derive(dataKey, infoDerive, valueKeySize)
	siv := derive(dataKey, infoSeal+"\x03", 64)
	value := func(place [32]byte) []byte { return derive(derivation, infoValueKey+string(place[:]), valueKeySize) }
	return map[string][]byte{
		"data key":          dataKey,
		"seal key, GCM":     derive(dataKey, infoSeal+"\x01", 32),
		"seal key, XAES":    derive(dataKey, infoSeal+"\x02", 32),
		"seal key, SIV mac": siv[:32], "seal key, SIV ctr": siv[32:],
		"derivation key":   derivation,
		"value key, hash":  value(residuePlace(1)),
		"value key, FF1":   value(residuePlace(2)),
		"value key, index": value(residuePlace(3)),
		"value key, row":   value(residuePlace(4)),
	}
}

func residuePlace(n byte) [32]byte { return [32]byte{n} }

// counts are how often each needle was found, summed over all data keys.
type counts map[string]int

// search looks for the needles of the first n data keys in what r holds.
func search(t *testing.T, r io.Reader, found counts, all map[string][][]byte) {
	t.Helper()
	const overlap = 64
	buf := make([]byte, 0, 1<<20+overlap)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		kept := len(buf)
		buf = buf[:kept+n]
		for name, keys := range all {
			for _, key := range keys {
				for at := 0; ; {
					i := bytes.Index(buf[at:], key)
					if i < 0 {
						break
					}
					// What lies wholly in the part that was there before was counted.
					if at+i+len(key) > kept {
						found[name]++
					}
					at += i + 1
				}
			}
		}
		if err != nil {
			return
		}
		buf = buf[:copy(buf, buf[len(buf)-overlap:])]
	}
}

// memoryOf looks through the writable memory of a process.
func memoryOf(t *testing.T, pid int, all map[string][][]byte) counts {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("this system lets no process read its child's memory: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	found := counts{}
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatal(err)
		}
		// The race detector maps terabytes for its own books.
		if strings.HasPrefix(mode, "rw") && to <= math.MaxInt64 && to-from < 1<<30 {
			search(t, io.NewSectionReader(mem, int64(from), int64(to-from)), found, all)
		}
	}
	return found
}

func dumpOf(t *testing.T, dir, stage string, all map[string][][]byte) counts {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, stage))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := counts{}
	search(t, f, found, all)
	return found
}

// TestWhatIsLeftOfKeysInMemory looks at another process from outside, in three
// moments: before it has keys, while it uses them, and after Close.
func TestWhatIsLeftOfKeysInMemory(t *testing.T) {
	if dir := os.Getenv(residueChild); dir != "" {
		leaveResidue(t, dir)
		return
	}
	if invariants.Enabled {
		t.Skip("the race detector multiplies the memory to look through: not tested in this build")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), residueChild+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := map[string][][]byte{}
	source := &seedKMS{seed: residueSeed()}
	for n := range uint64(residueKeys) {
		for name, key := range needles(t, source.key(n+1)) {
			all[name] = append(all[name], key)
		}
	}
	heap, memory := map[string]counts{}, map[string]counts{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		stage, ok := strings.CutPrefix(lines.Text(), "stage ")
		if !ok {
			continue
		}
		heap[stage] = dumpOf(t, dir, stage, all)
		memory[stage] = memoryOf(t, cmd.Process.Pid, all)
		if _, err := in.Write([]byte{'\n'}); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"before", "in use", "closed"} {
		t.Logf("%-7s in reach: %v", stage, heap[stage])
		t.Logf("%-7s anywhere: %v", stage, memory[stage])
	}
	if len(memory["before"]) != 0 {
		t.Errorf("keys before there were any: %v", memory["before"])
	}
	// The test sees what is there: the ciphers of the standard library keep a key
	// schedule whose first words are the key.
	for _, name := range []string{"seal key, GCM", "seal key, XAES", "seal key, SIV mac", "seal key, SIV ctr", "derivation key", "value key, row"} {
		if heap["in use"][name] == 0 {
			t.Errorf("in use: the test does not find the %s", name)
		}
	}
	for _, stage := range []string{"in use", "closed"} {
		if n := heap[stage]["data key"]; n != 0 {
			t.Errorf("%s: %d data keys are in reach", stage, n)
		}
	}
	for name, n := range heap["closed"] {
		t.Errorf("closed: %d times the %s is in reach", n, name)
	}
	// What the standard library copied for itself, nobody can wipe: the buffers of
	// its HMAC and the schedules of its ciphers stay until their memory is used
	// again, except in the build that erases them.
	if secret.Erases {
		for name, n := range memory["closed"] {
			t.Errorf("closed: %d times the %s is in memory", n, name)
		}
	}
}

const residueKeys = 8

func residueSeed() [aes.BlockSize]byte { return [aes.BlockSize]byte{1, 1, 2, 3, 5, 8, 13, 21, 34} }

// leaveResidue is the child: it does what a producer and a reader do.
func leaveResidue(t *testing.T, dir string) {
	t.Helper()
	source := &seedKMS{seed: residueSeed()}
	stage := func(name string) {
		runtime.GC()
		runtime.GC() // what pools kept is gone with the second
		runtime.GC()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		debug.WriteHeapDump(f.Fd())
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Println("stage " + name)
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
	stage("before")
	inUse := useKeys(t, source)
	stage("in use")
	inUse.close()
	inUse.made = nil
	stage("closed")
	runtime.KeepAlive(inUse)
	if source.next > residueKeys {
		t.Errorf("%d data keys were made", source.next)
	}
}

// residueUse holds what a process holds while it works, and what of it lasts
// longer than the keys.
type residueUse struct {
	caches []*Cache
	lasts  []any
	made   []any
}

func (u *residueUse) close() {
	for _, c := range u.caches {
		c.Close()
	}
}

func useKeys(t *testing.T, source *seedKMS) *residueUse {
	t.Helper()
	u := &residueUse{}
	cache := func() *Cache {
		c, err := New(source)
		if err != nil {
			t.Fatal(err)
		}
		u.caches = append(u.caches, c)
		return c
	}
	writer, reader := cache(), cache()
	for _, suite := range []Suite{AES256GCM, XAES256GCM} {
		spec := ScopeSpec{Name: fmt.Sprint("k", suite), KEKs: []string{testKEK}, Suite: suite}
		s, err := writer.Scope(spec)
		if err != nil {
			t.Fatal(err)
		}
		w := s.NewSealer()
		env := sealOne(t, w, "jane@example.com")
		v, err := ParseValue(env)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Reserve(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		block := bytes.Clone(w.KeyBlock())
		w.Done()
		r, err := reader.Scope(spec)
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.Opener(t.Context(), v.KeyID(), [][]byte{block})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openWith(o, env); err != nil || got != "jane@example.com" {
			t.Fatal(got, err)
		}
		u.lasts = append(u.lasts, s, r)
		u.made = append(u.made, w, o) // a Sealer keeps its key until it is let go
	}
	block, err := CreateDomainBlock(t.Context(), source, testKEK, "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := writer.Domain(DomainSpec{Name: "ids", KEKs: []string{testKEK}, Blocks: [][]byte{block}})
	if err != nil {
		t.Fatal(err)
	}
	w := d.NewSealer()
	if err := w.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(nil, []byte("x"), w.Head(testPlace)); err != nil {
		t.Fatal(err)
	}
	o := w.Opener()
	w.Done()
	h, err := o.Hash(residuePlace(1), tokenize.HashHex)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Append(nil, []byte("value")); err != nil {
		t.Fatal(err)
	}
	digits, err := tokenize.NewAlphabet("0123456789")
	if err != nil {
		t.Fatal(err)
	}
	ff1, err := o.FF1(residuePlace(2), tokenize.FF1Options{Alphabet: digits})
	if err != nil {
		t.Fatal(err)
	}
	vault, err := d.VaultKey(t.Context(), residuePlace(3), residuePlace(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Seal(nil, []byte("value"), nil); err != nil {
		t.Fatal(err)
	}
	u.lasts = append(u.lasts, d, w)
	u.made = append(u.made, o, h, ff1, vault)
	return u
}
