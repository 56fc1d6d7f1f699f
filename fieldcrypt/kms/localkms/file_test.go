//go:build unix

package localkms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

type content struct {
	Format int `json:"fieldveil_kek"`
	Keys   []struct {
		ID      string    `json:"id"`
		Created time.Time `json:"created"`
		Key     []byte    `json:"key"`
	} `json:"keys"`
}

func load(t *testing.T, path string) content {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c content
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestFV50CreateWritesAPrivateFileOfOneKey(t *testing.T) {
	old := syscall.Umask(0) // nothing but Create keeps the mode closed
	defer syscall.Umask(old)
	path := create(t)
	if m := mode(t, path); m != 0o600 {
		t.Errorf("mode %v, want 0600", m)
	}
	c := load(t, path)
	if c.Format != 1 || len(c.Keys) != 1 || len(c.Keys[0].Key) != 32 || len(c.Keys[0].ID) != 16 {
		t.Errorf("content: format %d, %d keys", c.Format, len(c.Keys))
	}
	if bytes.Equal(c.Keys[0].Key, make([]byte, 32)) {
		t.Error("the key is zeros")
	}
	if bytes.Equal(c.Keys[0].Key, load(t, create(t)).Keys[0].Key) {
		t.Error("two files have the same key")
	}
	if n := names(t, filepath.Dir(path)); n != "dev.kek" {
		t.Errorf("directory holds %q", n)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	file, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "dangling")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, dangling, dir} {
		if err := localkms.Create(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err = %v", path, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
	if n := names(t, dir); n != "dangling file" {
		t.Errorf("directory holds %q", n)
	}
}

func TestOfManyCreatesOneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev.kek")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = localkms.Create(path) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d wins", won)
	}
	if _, err := localkms.Versions(path); err != nil {
		t.Error(err)
	}
}

func TestCreateFailsWhereItCannotWrite(t *testing.T) {
	if err := localkms.Create(filepath.Join(t.TempDir(), "absent", "dev.kek")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}

func TestFV50OpenModesAreRefused(t *testing.T) {
	path := create(t)
	k := localkms.New()
	_, wrapped := generate(t, k, "local:"+path)
	for m := range fs.FileMode(0o1000) {
		if m&0o400 == 0 {
			continue // the owner's own permission depends on who runs the test
		}
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
		_, err := k.Unwrap(t.Context(), "local:"+path, wrapped, context1())
		if m&0o066 == 0 {
			if err != nil {
				t.Errorf("mode %04o: %v", m, err)
			}
			continue
		}
		if !errors.Is(err, kms.ErrDenied) || !strings.Contains(err.Error(), "chmod 600 "+path) || !strings.Contains(err.Error(), fmt.Sprintf("%04o", m)) {
			t.Errorf("mode %04o: %v", m, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Generate(t.Context(), "local:"+path, nil); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("Generate: %v", err)
	}
	if err := localkms.AddVersion(path); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("AddVersion: %v", err)
	}
	if _, err := localkms.Versions(path); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("Versions: %v", err)
	}
	if n := names(t, filepath.Dir(path)); n != "dev.kek" {
		t.Errorf("directory holds %q after a refused rotation", n)
	}
}

// FV-50: the mode of the file counts, and not that of a link to it.
func TestFV50ALinkIsJudgedByItsTarget(t *testing.T) {
	path := create(t)
	link := filepath.Join(t.TempDir(), "link.kek")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	k := localkms.New()
	if _, _, err := k.Generate(t.Context(), "local:"+link, nil); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Generate(t.Context(), "local:"+link, nil); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("err = %v", err)
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	path := create(t)
	dir := filepath.Dir(path)
	pipe, loop := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		class      error
		says       string
	}{
		{"an absent file, with the command that makes it", filepath.Join(dir, "absent"), kms.ErrNotFound, "fieldveil kek create " + filepath.Join(dir, "absent")},
		{"an absent file with a name that a shell would split", filepath.Join(dir, "a b"), kms.ErrNotFound, `fieldveil kek create "` + filepath.Join(dir, "a b") + `"`},
		{"an absent file with a line break in its name", dir + "/a\nb", kms.ErrNotFound, `a\nb"`},
		{"a directory", dir, kms.ErrInvalid, "is not a file"},
		{"a named pipe without a writer, and does not wait for one", pipe, kms.ErrInvalid, "is not a file"},
		{"a device", "/dev/null", kms.ErrInvalid, "is not a file"},
		{"a file in place of a directory", filepath.Join(path, "x"), kms.ErrInvalid, "not a directory"},
		{"a link to itself", loop, kms.ErrInvalid, "symbolic links"},
		{"a name that is too long", filepath.Join(dir, strings.Repeat("x", 300)), kms.ErrInvalid, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := localkms.New().Generate(t.Context(), "local:"+tt.path, nil)
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err = %v, want %v that says %q", err, tt.class, tt.says)
			}
		})
	}
}

func TestAFileOfSomebodyElseIsDenied(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read every file")
	}
	path := create(t)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	_, _, err := localkms.New().Generate(t.Context(), "local:"+path, nil)
	if !errors.Is(err, kms.ErrDenied) || !strings.Contains(err.Error(), "may not read") {
		t.Errorf("err = %v", err)
	}
}

// ownProcess runs the test again in a process of its own, and tells whether this
// is it. A limit holds for a whole process, and go test writes files from the
// one that it started.
func ownProcess(t *testing.T) bool {
	t.Helper()
	const mark = "FIELDVEIL_TEST_OWN_PROCESS"
	if os.Getenv(mark) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in a process of its own: %v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("in a process of its own:\n%s", out)
	}
	return false
}

func TestAnEndedDeviceOfFilesIsUnavailable(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	// A process without free file descriptors cannot tell what is in a file.
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	path := create(t)
	none := old
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skipf("the limit of open files cannot be set: %v", err)
	}
	_, _, err := localkms.New().Generate(t.Context(), "local:"+path, nil)
	if rerr := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); rerr != nil {
		t.Fatal(rerr)
	}
	if !errors.Is(err, kms.ErrUnavailable) || !kms.Retryable(err) {
		t.Errorf("err = %v", err)
	}
}

func TestALongFileIsRefused(t *testing.T) {
	path := create(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		size int
		ok   bool
	}{{64 << 10, true}, {64<<10 + 1, false}, {1 << 20, false}} {
		if err := os.WriteFile(path, append(bytes.Clone(b), bytes.Repeat([]byte{' '}, tt.size-len(b))...), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = localkms.Versions(path)
		if tt.ok != (err == nil) || !tt.ok && (!errors.Is(err, kms.ErrInvalid) || !strings.Contains(err.Error(), "65536")) {
			t.Errorf("%d bytes: %v", tt.size, err)
		}
	}
}

func TestAddVersionWrapsWithTheNewAndKeepsTheOld(t *testing.T) {
	path := create(t)
	k, kek := localkms.New(), "local:"+path
	plain1, wrapped1 := generate(t, k, kek)
	before := load(t, path)
	if err := localkms.AddVersion(path); err != nil {
		t.Fatal(err)
	}
	plain2, wrapped2 := generate(t, k, kek)
	after := load(t, path)
	if len(after.Keys) != 2 || after.Keys[0].ID != before.Keys[0].ID || !bytes.Equal(after.Keys[0].Key, before.Keys[0].Key) || !after.Keys[0].Created.Equal(before.Keys[0].Created) {
		t.Error("the old version did not stay as it was")
	}
	for i, w := range [][]byte{wrapped1, wrapped2} {
		if got := hex.EncodeToString(w[1:9]); got != after.Keys[i].ID {
			t.Errorf("key %d was wrapped by version %s, want %s", i, got, after.Keys[i].ID)
		}
	}
	for i, pair := range [][2][]byte{{plain1, wrapped1}, {plain2, wrapped2}} {
		if got, err := k.Unwrap(t.Context(), kek, pair[1], context1()); err != nil || !bytes.Equal(got, pair[0]) {
			t.Errorf("key %d: %v", i, err)
		}
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("mode %v, want 0600", m)
	}
	if n := names(t, filepath.Dir(path)); n != "dev.kek" {
		t.Errorf("directory holds %q", n)
	}
	versions, err := localkms.Versions(path)
	if err != nil || len(versions) != 2 || versions[1].ID != after.Keys[1].ID || !versions[1].Created.Equal(after.Keys[1].Created) {
		t.Errorf("Versions = %v, %v", versions, err)
	}
}

func TestAddVersionChangesTheTargetOfALink(t *testing.T) {
	path := create(t)
	link := filepath.Join(t.TempDir(), "link.kek")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := localkms.AddVersion(link); err != nil {
		t.Fatal(err)
	}
	if mode(t, link)&fs.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if n := len(load(t, path).Keys); n != 2 {
		t.Errorf("the target has %d versions", n)
	}
}

func TestAddVersionKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone may give a file away")
	}
	path := create(t)
	if err := os.Chown(path, 12345, 23456); err != nil {
		t.Skipf("files cannot be given away here: %v", err)
	}
	if err := localkms.AddVersion(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 12345 || st.Gid != 23456 {
		t.Errorf("owner %+v", info.Sys())
	}
}

func TestRotationsAtTheSameTimeLoseNoVersion(t *testing.T) {
	path := create(t)
	const workers = 8
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { errs[i] = localkms.AddVersion(path) })
	}
	wg.Wait()
	added := 0
	for _, err := range errs {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if n := len(load(t, path).Keys); added == 0 || n != 1+added {
		t.Errorf("%d versions after %d rotations", n, added)
	}
}

func TestAnInterruptedRotationIsNotSteppedOver(t *testing.T) {
	path := create(t)
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := localkms.AddVersion(path)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "rm "+path+".new") {
		t.Errorf("err = %v", err)
	}
	if b, err := os.ReadFile(path + ".new"); err != nil || string(b) != "half" {
		t.Errorf("the other file was touched: %q, %v", b, err)
	}
	if n := len(load(t, path).Keys); n != 1 {
		t.Errorf("%d versions", n)
	}
}

func TestAddVersionLeavesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if err := localkms.AddVersion(filepath.Join(dir, "absent")); !errors.Is(err, kms.ErrNotFound) || !strings.Contains(err.Error(), "fieldveil kek create") {
		t.Errorf("absent: %v", err)
	}
	path := filepath.Join(dir, "other")
	if err := os.WriteFile(path, []byte("no keys here"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := localkms.AddVersion(path); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("other content: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "no keys here" {
		t.Errorf("%q, %v", b, err)
	}
	if n := names(t, dir); n != "other" {
		t.Errorf("directory holds %q", n)
	}
}

func TestAFileThatIsFullTakesNoMoreVersions(t *testing.T) {
	path := create(t)
	const full = 495 // a version takes 132 bytes
	if err := os.WriteFile(path, localkms.ContentOf(t, full), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	added := -1
	for err == nil {
		added++
		err = localkms.AddVersion(path)
	}
	if !strings.Contains(err.Error(), "at most 65536 bytes") {
		t.Fatalf("err = %v", err)
	}
	versions, err := localkms.Versions(path)
	if err != nil || len(versions) != full+added {
		t.Errorf("%d versions, want %d, %v", len(versions), full+added, err)
	}
	if n := names(t, filepath.Dir(path)); n != "dev.kek" {
		t.Errorf("directory holds %q", n)
	}
	if _, _, err := localkms.New().Generate(t.Context(), "local:"+path, nil); err != nil {
		t.Error(err)
	}
}

// What stands in a damaged file may be a key, wherever it stands.
func TestNoErrorShowsWhatIsInAFile(t *testing.T) {
	path := create(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := load(t, path).Keys[0].Key
	b64 := base64.StdEncoding.EncodeToString(key)
	damaged := map[string]string{"cut": string(b[:len(b)-5]), "bare key": b64, "quoted key": `"` + b64 + `"`}
	for _, word := range []string{`"fieldveil_kek"`, "1,", `"keys"`, `"id"`, `"created"`, `"key"`, "T", "Z", "{", "[", "]", "}", ":"} {
		damaged["without "+word] = strings.Replace(string(b), word, "", 1)
		damaged["key for "+word] = strings.Replace(string(b), word, `"`+b64+`"`, 1)
	}
	c := load(t, path).Keys[0]
	damaged["key for the id"] = strings.Replace(string(b), c.ID, b64, 1)
	damaged["key for the time"] = strings.Replace(string(b), c.Created.Format(time.RFC3339), b64, 1)
	damaged["an id of another key"] = strings.Replace(string(b), c.ID, "0123456789abcdef", 1)
	for what, text := range damaged {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := localkms.New().Generate(t.Context(), "local:"+path, context1())
		if err == nil {
			t.Errorf("%s: accepted", what)
			continue
		}
		if !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		shown := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, form := range append(forms(key), b64[:12], b64[30:]) {
			if strings.Contains(shown, form) {
				t.Errorf("%s: the error shows the key: %v", what, err)
			}
		}
	}
}

// A limit on the size of files stands in for a full disk.
func TestAFullDiskLeavesNoHalfFileAndTheOldOneWhole(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	path := create(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	short := old
	short.Cur = 16
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &short); err != nil {
		t.Skipf("the limit of file sizes cannot be set: %v", err)
	}
	cerr, aerr := localkms.Create(path+"2"), localkms.AddVersion(path)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(cerr, syscall.EFBIG) || !errors.Is(aerr, syscall.EFBIG) {
		t.Errorf("Create: %v, AddVersion: %v", cerr, aerr)
	}
	if n := names(t, filepath.Dir(path)); n != "dev.kek" {
		t.Errorf("directory holds %q", n)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file was changed, %v", err)
	}
}

// FV-50: file systems without modes show every file as open.
func TestFV50NoKeyIsWrittenWhereModesAreNotKept(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "x"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := localkms.Private(f); err != nil {
		t.Errorf("mode 0600: %v", err)
	}
	if err := f.Chmod(0o755); err != nil {
		t.Fatal(err)
	}
	if err := localkms.Private(f); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("mode 0755: %v", err)
	}
}
