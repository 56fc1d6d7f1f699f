package localkms_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

func context1() kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": "acme"}
}

// create makes a KEK file in a new directory.
func create(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dev.kek")
	if err := localkms.Create(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func generate(t *testing.T, k *localkms.KMS, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := k.Generate(t.Context(), kek, context1())
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

func TestFilesPassTheConformanceSuite(t *testing.T) {
	kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
		t.Helper()
		return localkms.New(), "local:" + create(t), "local:" + create(t)
	})
}

func TestMemoryPassesTheConformanceSuite(t *testing.T) {
	kmstest.Run(t, func(*testing.T) (w kms.Wrapper, kek, otherKEK string) {
		return localkms.NewInMemory(), "local:1", "local:./2.kek"
	}, kmstest.WithKEKsOnDemand())
}

// FV-51: every bit of a wrapped key counts, and so does its length.
func TestFV51EveryChangedBitAndEveryCutIsRefused(t *testing.T) {
	k, kek := localkms.NewInMemory(), "local:x"
	plain, wrapped := generate(t, k, kek)
	if len(wrapped) != 1+8+24+48 || wrapped[0] != 1 {
		t.Fatalf("wrapped key has %d bytes and version %d", len(wrapped), wrapped[0])
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if got, err := k.Unwrap(t.Context(), kek, b, context1()); !errors.Is(err, kms.ErrCorrupt) || got != nil {
			t.Errorf("%s: %d bytes, err = %v", what, len(got), err)
		}
	}
	for i := range len(wrapped) * 8 {
		b := bytes.Clone(wrapped)
		b[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d changed", i), b)
	}
	for n := range wrapped {
		refused(fmt.Sprintf("cut to %d bytes", n), wrapped[:n])
	}
	refused("a byte more", append(bytes.Clone(wrapped), 0))
	refused("nil", nil)
	if got, err := k.Unwrap(t.Context(), kek, wrapped, context1()); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the key itself: %v", err)
	}
}

func TestFV51AnUnknownVersionIsRefusedByName(t *testing.T) {
	k, one, two := localkms.New(), create(t), create(t)
	_, wrapped := generate(t, k, "local:"+one)
	_, err := k.Unwrap(t.Context(), "local:"+two, wrapped, context1())
	versions, verr := localkms.Versions(one)
	if verr != nil {
		t.Fatal(verr)
	}
	if !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), versions[0].ID) || !strings.Contains(err.Error(), two) {
		t.Errorf("err = %v, want ErrCorrupt that names version %s and the file", err, versions[0].ID)
	}
}

func TestFV51ANilContextIsAnEmptyOne(t *testing.T) {
	k := localkms.NewInMemory()
	plain, wrapped, err := k.Generate(t.Context(), "local:x", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Unwrap(t.Context(), "local:x", wrapped, kms.EncryptionContext{})
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("err = %v", err)
	}
}

func TestURIs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"dev.kek", "sub/a b.kek", "c:d.kek"} {
		if err := localkms.Create(p); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, uri string
		class     error
		says      string
	}{
		{name: "a relative path with a dot", uri: "local:./dev.kek"},
		{name: "a bare name", uri: "local:dev.kek"},
		{name: "an absolute path", uri: "local:" + filepath.Join(dir, "dev.kek")},
		{name: "a path with a space", uri: "local:sub/a b.kek"},
		{name: "a path with a colon", uri: "local:c:d.kek"},
		{name: "no scheme", uri: "dev.kek", class: kms.ErrInvalid, says: "local:PATH"},
		{name: "another scheme", uri: "localx:dev.kek", class: kms.ErrInvalid, says: "local:PATH"},
		{name: "a scheme in capitals", uri: "LOCAL:dev.kek", class: kms.ErrInvalid, says: "local:PATH"},
		{name: "no path", uri: "local:", class: kms.ErrInvalid, says: "local:PATH"},
		{name: "empty", uri: "", class: kms.ErrInvalid, says: "local:PATH"},
		{name: "two slashes, which look like a host", uri: "local://dev.kek", class: kms.ErrInvalid, says: "local:./relative/path"},
		{name: "a zero byte", uri: "local:dev.kek\x00", class: kms.ErrInvalid, says: "zero byte"},
		{name: "percent signs are not decoded", uri: "local:sub/a%20b.kek", class: kms.ErrNotFound, says: "fieldveil kek create sub/a%20b.kek"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := localkms.New()
			_, wrapped, err := k.Generate(t.Context(), tt.uri, context1())
			if tt.class != nil {
				if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("err = %v, want %v that says %q", err, tt.class, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.Unwrap(t.Context(), tt.uri, wrapped, context1()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAContextThatIsTooLongIsInvalid(t *testing.T) {
	k := localkms.NewInMemory()
	_, wrapped := generate(t, k, "local:x")
	long := kms.EncryptionContext{"fieldveil:tenant": strings.Repeat("t", 5000)}
	if p, w, err := k.Generate(t.Context(), "local:x", long); !errors.Is(err, kms.ErrInvalid) || p != nil || w != nil {
		t.Errorf("Generate: %v", err)
	}
	if _, err := k.Unwrap(t.Context(), "local:x", wrapped, long); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("Unwrap: %v", err)
	}
}

// No state is kept between calls, so that operators see what they did.
func TestChangesOfTheFileHoldFromTheNextCallOn(t *testing.T) {
	path := create(t)
	k, kek := localkms.New(), "local:"+path
	plain, wrapped := generate(t, k, kek)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), kek, wrapped, context1()); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("after the mode was opened: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(t.Context(), kek, wrapped, context1()); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("after the mode was closed: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), kek, wrapped, context1()); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("after the file was removed: %v", err)
	}
	if err := localkms.Create(path); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), kek, wrapped, context1()); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("after another file took its place: %v", err)
	}
}

func TestTwoMemoriesShareNothing(t *testing.T) {
	_, wrapped := generate(t, localkms.NewInMemory(), "local:x")
	k := localkms.NewInMemory()
	if _, err := k.Unwrap(t.Context(), "local:x", wrapped, context1()); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("before the first Generate: %v", err)
	}
	generate(t, k, "local:x")
	if _, err := k.Unwrap(t.Context(), "local:x", wrapped, context1()); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("after it: %v", err)
	}
}

func TestMemoryTouchesNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	k := localkms.NewInMemory()
	generate(t, k, "local:./dev.kek")
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestRotationWhileTheFileIsUsedLosesNoKey(t *testing.T) {
	path := create(t)
	k, kek := localkms.New(), "local:"+path
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				plain, wrapped, err := k.Generate(t.Context(), kek, context1())
				if err != nil {
					t.Error(err)
					return
				}
				got, err := k.Unwrap(t.Context(), kek, wrapped, context1())
				if err != nil || !bytes.Equal(got, plain) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		if err := localkms.AddVersion(path); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// forms are the shapes in which key bytes could slip into a text.
func forms(key []byte) []string {
	return []string{
		string(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
		strings.Trim(fmt.Sprintf("%d", key), "[]"), strings.TrimPrefix(fmt.Sprintf("%#v", key), "[]byte"),
	}
}

func TestAKMSShowsNoKeyWhenItIsPrinted(t *testing.T) {
	raw := bytes.Repeat([]byte{0xa7, 0x3c, 0x91, 0x5e}, 8)
	for name, k := range map[string]*localkms.KMS{
		"memory": localkms.InMemoryWithKey(t, "x", raw),
		"files":  localkms.New(),
	} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			fmt.Fprintf(&out, verb+verb, k, *k)
		}
		for _, form := range append(forms(raw), forms(raw[:8])...) {
			if strings.Contains(out.String(), form) {
				t.Errorf("%s: printing shows the key: %s", name, out.String())
			}
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "dev.kek")
	if err := localkms.Create(path); err != nil {
		fmt.Println(err)
		return
	}

	wrapper := kms.Mux{localkms.Scheme: localkms.New()}
	ctx, kek := context.Background(), "local:"+path
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := wrapper.Generate(ctx, kek, ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := wrapper.Unwrap(ctx, kek, wrapped, ec)
	fmt.Println(bytes.Equal(plain, again), err)
	// Output: true <nil>
}

func ExampleNewInMemory() {
	k := localkms.NewInMemory()
	_, wrapped, err := k.Generate(context.Background(), "local:any-name", nil)
	fmt.Println(len(wrapped), err)
	// Output: 81 <nil>
}

func ExampleAddVersion() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "dev.kek")
	if err := localkms.Create(path); err != nil {
		fmt.Println(err)
		return
	}
	if err := localkms.AddVersion(path); err != nil {
		fmt.Println(err)
		return
	}
	versions, err := localkms.Versions(path)
	fmt.Println(len(versions), err)
	// Output: 2 <nil>
}

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "dev.kek")
	fmt.Println(localkms.Create(path))
	fmt.Println(errors.Is(localkms.Create(path), os.ErrExist))
	// Output:
	// <nil>
	// true
}

func ExampleVersions() {
	_, err := localkms.Versions("absent.kek")
	fmt.Println(err)
	// Output: localkms: there is no absent.kek; create it with: fieldveil kek create absent.kek: KEK not found
}
