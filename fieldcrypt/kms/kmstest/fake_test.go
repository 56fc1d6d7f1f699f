package kmstest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func ec(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func TestFailFailsEveryCallUntilItIsEnded(t *testing.T) {
	f := kmstest.NewFake("fake:1")
	_, wrapped, err := f.Generate(t.Context(), "fake:1", ec("a"))
	if err != nil {
		t.Fatal(err)
	}
	f.Fail(kms.ErrUnavailable)
	for range 3 {
		if _, _, err := f.Generate(t.Context(), "fake:1", ec("a")); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("Generate: %v", err)
		}
		if _, err := f.Unwrap(t.Context(), "fake:1", wrapped, ec("a")); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("Unwrap: %v", err)
		}
	}
	f.Fail(nil)
	if _, err := f.Unwrap(t.Context(), "fake:1", wrapped, ec("a")); err != nil {
		t.Errorf("after Fail(nil): %v", err)
	}
	if g, u := f.Calls(kmstest.OpGenerate), f.Calls(kmstest.OpUnwrap); g != 4 || u != 4 {
		t.Errorf("%d and %d calls, want 4 and 4: failed calls count", g, u)
	}
}

func TestFailNextComesBeforeFail(t *testing.T) {
	f := kmstest.NewFake()
	f.Fail(kms.ErrDisabled)
	f.FailNext(2, kms.ErrThrottled)
	for i, want := range []error{kms.ErrThrottled, kms.ErrThrottled, kms.ErrDisabled, kms.ErrDisabled} {
		if _, _, err := f.Generate(t.Context(), "fake:1", nil); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name  string
		op    kmstest.Op
		fault kmstest.Fault
		// What comes back: sizes, and whether the wrapped key opens to the key.
		plain, wrapped int
		opens, equal   bool
	}{
		{"Sound", kmstest.OpGenerate, kmstest.Sound, 32, 60, true, true},
		{"WrongPlain of Generate", kmstest.OpGenerate, kmstest.WrongPlain, 32, 60, true, false},
		{"ShortPlain of Generate", kmstest.OpGenerate, kmstest.ShortPlain, 31, 60, true, false},
		{"LongPlain of Generate", kmstest.OpGenerate, kmstest.LongPlain, 33, 60, true, false},
		{"EmptyPlain of Generate", kmstest.OpGenerate, kmstest.EmptyPlain, 0, 60, true, false},
		{"EmptyWrapped of Generate", kmstest.OpGenerate, kmstest.EmptyWrapped, 32, 0, false, false},
		{"WrongWrapped of Generate", kmstest.OpGenerate, kmstest.WrongWrapped, 32, 60, false, false},
		{"HugeWrapped of Generate", kmstest.OpGenerate, kmstest.HugeWrapped, 32, 65536, false, false},
		{"WrongPlain of Unwrap", kmstest.OpUnwrap, kmstest.WrongPlain, 32, 60, true, false},
		{"ShortPlain of Unwrap", kmstest.OpUnwrap, kmstest.ShortPlain, 32, 60, true, false},
		{"EmptyPlain of Unwrap", kmstest.OpUnwrap, kmstest.EmptyPlain, 32, 60, true, false},
		{"EmptyWrapped does not apply to Unwrap", kmstest.OpUnwrap, kmstest.EmptyWrapped, 32, 60, true, true},
		{"WrongWrapped does not apply to Unwrap", kmstest.OpUnwrap, kmstest.WrongWrapped, 32, 60, true, true},
		{"HugeWrapped does not apply to Unwrap", kmstest.OpUnwrap, kmstest.HugeWrapped, 32, 60, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := kmstest.NewFake("fake:1")
			f.Corrupt(tt.op, tt.fault)
			plain, wrapped, err := f.Generate(t.Context(), "fake:1", ec("a"))
			if err != nil || len(plain) != tt.plain || len(wrapped) != tt.wrapped {
				t.Fatalf("Generate: %d bytes, wrapped %d, %v", len(plain), len(wrapped), err)
			}
			got, err := f.Unwrap(t.Context(), "fake:1", wrapped, ec("a"))
			if (err == nil) != tt.opens {
				t.Fatalf("Unwrap: %v", err)
			}
			if equal := err == nil && bytes.Equal(got, plain); equal != tt.equal {
				t.Errorf("equal = %v", equal)
			}
			f.Corrupt(tt.op, kmstest.Sound)
			plain, wrapped, err = f.Generate(t.Context(), "fake:1", ec("a"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.Unwrap(t.Context(), "fake:1", wrapped, ec("a")); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("still wrong after Sound: %v", err)
			}
		})
	}
}

func TestAHookSeesAndFailsCalls(t *testing.T) {
	f := kmstest.NewFake("fake:1", "fake:2")
	odd := errors.New("odd")
	var seen []string
	f.Hook(func(_ context.Context, op kmstest.Op, kek string) error {
		// No lock is held: the Fake can be asked and changed from here.
		seen = append(seen, fmt.Sprint(op, " ", kek, " ", f.Calls(op)))
		if kek == "fake:2" {
			return odd
		}
		return nil
	})
	_, wrapped, err := f.Generate(t.Context(), "fake:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Unwrap(t.Context(), "fake:2", wrapped, nil); !errors.Is(err, odd) {
		t.Errorf("Unwrap: %v", err)
	}
	if got, want := fmt.Sprint(seen), "[generate fake:1 1 unwrap fake:2 1]"; got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
	f.Hook(nil)
	if _, _, err := f.Generate(t.Context(), "fake:2", nil); err != nil {
		t.Errorf("after Hook(nil): %v", err)
	}
}

func TestAHookMayBlockUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := kmstest.NewFake("fake:1")
		f.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			<-ctx.Done()
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		// The Fake looks at the context itself where the hook does not.
		if _, _, err := f.Generate(ctx, "fake:1", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestHandedOutReturnsTheVerySlices(t *testing.T) {
	f := kmstest.NewFake("fake:1")
	plain, wrapped, err := f.Generate(t.Context(), "fake:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Unwrap(t.Context(), "fake:1", wrapped, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := f.HandedOut()
	if len(out) != 2 || &out[0][0] != &plain[0] || &out[1][0] != &again[0] {
		t.Fatalf("%d slices, or copies", len(out))
	}
	clear(plain)
	if !bytes.Equal(f.HandedOut()[0], make([]byte, 32)) || bytes.Equal(f.HandedOut()[1], make([]byte, 32)) {
		t.Error("a wiped key does not show, or one that was not wiped does")
	}
	for range 2000 {
		if plain, _, err = f.Generate(t.Context(), "fake:1", nil); err != nil {
			t.Fatal(err)
		}
	}
	out = f.HandedOut()
	if len(out) != 1024 || &out[1023][0] != &plain[0] {
		t.Errorf("%d slices, want the last 1024", len(out))
	}
}

func TestAFakeOfGivenKEKsHasNoOthers(t *testing.T) {
	f := kmstest.NewFake("fake:1")
	if _, _, err := f.Generate(t.Context(), "fake:2", nil); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
	var any kmstest.Fake
	if _, _, err := any.Generate(t.Context(), "any:1", nil); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	if _, err := any.Unwrap(t.Context(), "any:2", make([]byte, 60), nil); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("Unwrap under a KEK that was never used: %v", err)
	}
	if _, _, err := any.Generate(t.Context(), "no scheme", nil); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("a URI without a scheme: %v", err)
	}
}

func TestAForgottenKEKNeverOpensAgain(t *testing.T) {
	for name, f := range map[string]*kmstest.Fake{"fixed": kmstest.NewFake("fake:1"), "on demand": kmstest.NewFake()} {
		_, wrapped, err := f.Generate(t.Context(), "fake:1", nil)
		if err != nil {
			t.Fatal(err)
		}
		f.Forget("fake:1")
		if _, err := f.Unwrap(t.Context(), "fake:1", wrapped, nil); !errors.Is(err, kms.ErrNotFound) {
			t.Errorf("%s: err = %v", name, err)
		}
		_, _, err = f.Generate(t.Context(), "fake:1", nil)
		if again := err == nil; again != (name == "on demand") {
			t.Errorf("%s: Generate after Forget: %v", name, err)
		}
		if _, err := f.Unwrap(t.Context(), "fake:1", wrapped, nil); err == nil {
			t.Errorf("%s: a deleted KEK came back", name)
		}
	}
}

func TestTwoFakesShareNoKEK(t *testing.T) {
	a, b := kmstest.NewFake("fake:1"), kmstest.NewFake("fake:1")
	_, wrapped, err := a.Generate(t.Context(), "fake:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Unwrap(t.Context(), "fake:1", wrapped, nil); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("err = %v", err)
	}
}

func TestAFakeRefusesAContextThatIsTooLong(t *testing.T) {
	f := kmstest.NewFake("fake:1")
	long := kms.EncryptionContext{"k": string(make([]byte, 5000))}
	if _, _, err := f.Generate(t.Context(), "fake:1", long); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := f.Unwrap(t.Context(), "fake:1", nil, long); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("Unwrap: %v", err)
	}
}

// For the race detector: everything at once.
func TestAFakeMayBeChangedWhileItIsUsed(t *testing.T) {
	f := kmstest.NewFake()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			kek := fmt.Sprintf("fake:%d", i%2)
			for range 50 {
				_, wrapped, err := f.Generate(t.Context(), kek, nil)
				if err != nil && !errors.Is(err, kms.ErrThrottled) {
					t.Error(err)
				}
				_, _ = f.Unwrap(t.Context(), kek, wrapped, nil)
			}
		})
		wg.Go(func() {
			for range 50 {
				f.FailNext(1, kms.ErrThrottled)
				f.Corrupt(kmstest.OpUnwrap, kmstest.WrongPlain)
				f.Hook(func(context.Context, kmstest.Op, string) error { return nil })
				f.Fail(nil)
				f.HandedOut()
				f.Calls(kmstest.OpUnwrap)
			}
		})
	}
	wg.Wait()
	if got := f.Calls(kmstest.OpGenerate); got != 200 {
		t.Errorf("%d calls of Generate, want 200", got)
	}
}

func ExampleFake() {
	fake := kmstest.NewFake("fake:pii")
	ctx := context.Background()

	fake.FailNext(1, kms.ErrThrottled)
	_, _, err := fake.Generate(ctx, "fake:pii", nil)
	fmt.Println(err)

	plain, _, err := fake.Generate(ctx, "fake:pii", nil)
	fmt.Println(len(plain), err, fake.Calls(kmstest.OpGenerate))
	// Output:
	// KMS throttles
	// 32 <nil> 2
}

func ExampleFake_HandedOut() {
	fake := kmstest.NewFake("fake:pii")
	plain, _, err := fake.Generate(context.Background(), "fake:pii", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	clear(plain) // what the program under test must do

	for _, key := range fake.HandedOut() {
		fmt.Println(bytes.Count(key, []byte{0}) == len(key))
	}
	// Output: true
}

func ExampleFake_Corrupt() {
	fake := kmstest.NewFake("fake:pii")
	fake.Corrupt(kmstest.OpGenerate, kmstest.WrongPlain)
	ctx := context.Background()
	plain, wrapped, err := fake.Generate(ctx, "fake:pii", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := fake.Unwrap(ctx, "fake:pii", wrapped, nil)
	fmt.Println(bytes.Equal(plain, again), err)
	// Output: false <nil>
}

func ExampleFake_Hook() {
	fake := kmstest.NewFake("fake:pii")
	fake.Hook(func(_ context.Context, op kmstest.Op, kek string) error {
		fmt.Println(op, kek)
		return kms.ErrDenied
	})
	_, err := fake.Unwrap(context.Background(), "fake:pii", []byte("wrapped"), nil)
	fmt.Println(err)
	// Output:
	// unwrap fake:pii
	// access to the KEK denied
}

// The suite of a provider is one test.
func ExampleRun() {
	test := func(t *testing.T) {
		t.Helper()
		kmstest.Run(t, func(*testing.T) (w kms.Wrapper, kek, otherKEK string) {
			return kmstest.NewFake("fake:1", "fake:2"), "fake:1", "fake:2"
		})
	}
	_ = test // go test calls it when it has the name TestConformance
	// Output:
}
