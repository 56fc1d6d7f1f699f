package tagmemory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/tagmemory"
)

const kek = "local:memory"

func newFile(t *testing.T) (path string, w kms.Wrapper) {
	t.Helper()
	w = kms.Mux{localkms.Scheme: localkms.NewInMemory()}
	path = filepath.Join(t.TempDir(), "tags.json")
	if err := tagmemory.Create(t.Context(), path, w, kek); err != nil {
		t.Fatal(err)
	}
	return path, w
}

func open(t *testing.T, path string, w kms.Wrapper) *tagmemory.File {
	t.Helper()
	f, err := tagmemory.Open(t.Context(), path, w, kek)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func remember(paths ...string) func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
	return func(old fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
		next := fieldcrypt.Remembered{Fields: slices.Clone(old.Fields), Schemas: old.Schemas}
		for _, p := range paths {
			next.Fields = append(next.Fields, fieldcrypt.RememberedField{Schema: "com.example.R", Path: p, Type: "string"})
		}
		return next, nil
	}
}

// recall returns the paths that are remembered of a topic.
func recall(t *testing.T, f *tagmemory.File, topic string) (paths []string) {
	t.Helper()
	err := f.Update(t.Context(), topic, func(old fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
		for _, x := range old.Fields {
			paths = append(paths, x.Path)
		}
		return old, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestWhatOneProcessRemembersAnotherRecalls(t *testing.T) {
	path, w := newFile(t)
	one, two := open(t, path, w), open(t, path, w)
	if err := one.Update(t.Context(), "a", remember("/ssn")); err != nil {
		t.Fatal(err)
	}
	if err := two.Update(t.Context(), "b", remember("/pan")); err != nil {
		t.Fatal(err)
	}
	if err := two.Update(t.Context(), "a", remember("/name")); err != nil {
		t.Fatal(err)
	}
	third := open(t, path, w)
	if got := recall(t, third, "a"); !slices.Equal(got, []string{"/ssn", "/name"}) {
		t.Errorf("a: %q", got)
	}
	if got, err := third.Topics(); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got := recall(t, third, "c"); got != nil {
		t.Errorf("c: %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// Nothing but the memory and its lock is left.
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestAnErrorOfTheCallerChangesNothing(t *testing.T) {
	path, w := newFile(t)
	f := open(t, path, w)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	err = f.Update(t.Context(), "a", func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
		return fieldcrypt.Remembered{Fields: []fieldcrypt.RememberedField{{Path: "/x"}}}, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("the file has changed")
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	path, w := newFile(t)
	files := []*tagmemory.File{open(t, path, w), open(t, path, w), open(t, path, w)}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if err := files[i%3].Update(t.Context(), "a", remember(fmt.Sprintf("/f%02d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := recall(t, open(t, path, w), "a")
	slices.Sort(got)
	if len(slices.Compact(got)) != 30 {
		t.Errorf("%d of 30 are remembered", len(got))
	}
}

// FV-80: every bit and every cut of the file.
func TestAFileThatWasChangedIsRefused(t *testing.T) {
	path, w := newFile(t)
	f := open(t, path, w)
	if err := f.Update(t.Context(), "a", remember("/ssn")); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := tagmemory.Open(t.Context(), path, w, kek); err == nil {
			g.Close()
			t.Errorf("%s: it opens", name)
		}
		called := false
		err := f.Update(t.Context(), "a", func(old fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
			called = true
			return old, nil
		})
		if !errors.Is(err, tagmemory.ErrForged) || called {
			t.Errorf("%s: %v, asked %v", name, err, called)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		check(fmt.Sprintf("bit of byte %d", i), bad)
	}
	for n := 0; n < len(good); n += 7 {
		check(fmt.Sprintf("cut at %d", n), good[:n])
	}
	check("another field behind", append(bytes.Clone(good), "{}"...))
	// An older state of itself cannot be told, and another memory can.
	other, _ := newFile(t)
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	check("another memory", foreign)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := recall(t, f, "a"); !slices.Equal(got, []string{"/ssn"}) {
		t.Errorf("%q", got)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	path, w := newFile(t)
	if _, err := tagmemory.Open(t.Context(), path+".gone", w, kek); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := tagmemory.Open(t.Context(), path, w, "local:another"); !errors.Is(err, tagmemory.ErrForeignKEK) {
		t.Errorf("another KEK: %v", err)
	}
	if err := tagmemory.Create(t.Context(), path, w, kek); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a file: %v", err)
	}
	stranger := kms.Mux{localkms.Scheme: localkms.NewInMemory()}
	if _, err := tagmemory.Open(t.Context(), path, stranger, kek); err == nil {
		t.Error("a KMS without the KEK opens it")
	}
	if err := tagmemory.Create(t.Context(), filepath.Join(t.TempDir(), "no", "dir"), w, kek); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestAWaiterGoesWithItsContext(t *testing.T) {
	path, w := newFile(t)
	one, two := open(t, path, w), open(t, path, w)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	err := one.Update(t.Context(), "a", func(old fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
		cancel(gone)
		for _, f := range []*tagmemory.File{one, two} {
			if err := f.Update(ctx, "b", remember("/x")); !errors.Is(err, gone) {
				t.Errorf("%v", err)
			}
		}
		return old, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingOfTheKeyPrints(t *testing.T) {
	path, w := newFile(t)
	f := open(t, path, w)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, f); got != "tagmemory.File("+path+")" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

// FV-81: a process that is killed while it writes leaves the old memory or the new.
func TestAProcessThatIsKilledLeavesAMemory(t *testing.T) {
	if dir := os.Getenv("FIELDVEIL_TEST_WRITER"); dir != "" {
		write(t, dir)
		return
	}
	dir := t.TempDir()
	path, keks := filepath.Join(dir, "tags.json"), filepath.Join(dir, "dev.kek")
	if err := localkms.Create(keks); err != nil {
		t.Fatal(err)
	}
	w := kms.Mux{localkms.Scheme: localkms.New()}
	if err := tagmemory.Create(t.Context(), path, w, "local:"+keks); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessThatIsKilledLeavesAMemory$")
		cmd.Env = append(os.Environ(), "FIELDVEIL_TEST_WRITER="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It says a line for each update; after some of them it is in the middle
		// of another.
		buf := make([]byte, 1+i%5)
		if _, err := out.Read(buf); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it says
		f, err := tagmemory.Open(t.Context(), path, w, "local:"+keks)
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		if err := f.Update(t.Context(), "parent", remember(fmt.Sprint("/", i))); err != nil {
			t.Fatal(err)
		}
		if got := recall(t, f, "parent"); len(got) != i+1 {
			t.Fatalf("after kill %d: %d updates are remembered", i, len(got))
		}
		f.Close()
	}
}

func write(t *testing.T, dir string) {
	t.Helper()
	w := kms.Mux{localkms.Scheme: localkms.New()}
	f, err := tagmemory.Open(t.Context(), filepath.Join(dir, "tags.json"), w, "local:"+filepath.Join(dir, "dev.kek"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		if err := f.Update(t.Context(), "child", func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error) {
			return remember(strings.Repeat("/x", 1+i%100))(fieldcrypt.Remembered{})
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stdout.WriteString("."); err != nil {
			return // the parent has gone
		}
	}
}

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tags-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "tags.json")
	w := kms.Mux{localkms.Scheme: localkms.NewInMemory()}
	// Once, when the service is set up.
	if err := tagmemory.Create(ctx, path, w, "local:dev"); err != nil {
		fmt.Println(err)
		return
	}
	// In each process, for fieldcrypt.WithMemory.
	memory, err := tagmemory.Open(ctx, path, w, "local:dev")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer memory.Close()
	topics, err := memory.Topics()
	fmt.Println(len(topics), err)
	// Output: 0 <nil>
}
