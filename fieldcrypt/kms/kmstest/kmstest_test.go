package kmstest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

func TestFakePassesTheSuite(t *testing.T) {
	Run(t, func(*testing.T) (w kms.Wrapper, kek, otherKEK string) {
		return NewFake("fake:1", "fake:2"), "fake:1", "fake:2"
	})
}

func TestOptionsReachTheChecks(t *testing.T) {
	Run(t, func(*testing.T) (w kms.Wrapper, kek, otherKEK string) {
		// Generates under any URI of its scheme, the unknown one too.
		f := &Fake{}
		return kms.Mux{"fake": f}, "fake:1", "fake:2"
	}, WithKEKsOnDemand(), WithUnknownKEK("fake:elsewhere"))
}

// wrong is a provider that breaks the contract in one way.
type wrong struct {
	kms.Wrapper

	generate func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error)
	unwrap   func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error)
}

func (w wrong) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if w.generate == nil {
		return w.Wrapper.Generate(ctx, kek, ec)
	}
	return w.generate(ctx, w.Wrapper, kek, ec)
}

func (w wrong) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if w.unwrap == nil {
		return w.Wrapper.Unwrap(ctx, kek, wrapped, ec)
	}
	return w.unwrap(ctx, w.Wrapper, kek, wrapped, ec)
}

// withContext is a provider that sees another context than it was given.
func withContext(change func(kms.EncryptionContext) kms.EncryptionContext) wrong {
	return wrong{
		generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
			return w.Generate(ctx, kek, change(ec))
		},
		unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
			return w.Unwrap(ctx, kek, wrapped, change(ec))
		},
	}
}

// withKEK is a provider that uses another KEK than it was told.
func withKEK(change func(string) string) wrong {
	return wrong{
		generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
			return w.Generate(ctx, change(kek), ec)
		},
		unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
			return w.Unwrap(ctx, change(kek), wrapped, ec)
		},
	}
}

// withFault is a Fake whose answers to op have a fault.
func withFault(op Op, fault Fault) func() kms.Wrapper {
	return func() kms.Wrapper {
		f := NewFake("fake:1", "fake:2")
		f.Corrupt(op, fault)
		return f
	}
}

// over puts a broken provider over a sound Fake.
func over(w wrong) func() kms.Wrapper {
	return func() kms.Wrapper {
		w.Wrapper = NewFake("fake:1", "fake:2")
		return w
	}
}

// failWith changes what Unwrap answers to what it refuses.
func failWith(change func(err error, w kms.Wrapper, kek string, wrapped []byte) ([]byte, error)) func() kms.Wrapper {
	return over(wrong{unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
		plain, err := w.Unwrap(ctx, kek, wrapped, ec)
		if err != nil {
			return change(err, w, kek, wrapped)
		}
		return plain, nil
	}})
}

func TestAJoinedContextIsAcceptedWhereItIsExpected(t *testing.T) {
	open := over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
		return kms.EncryptionContext{"": ec["fieldveil:purpose"] + joined(ec)}
	}))
	c := checkNamed(t, "another encryption context is refused")
	for _, expected := range []bool{true, false} {
		s := subject{Wrapper: open(), kek: "fake:1", other: "fake:2", unknown: "fake:1-unknown", joined: expected}
		// Two values that were swapped show as well, and are no matter of the option.
		err := c.run(t.Context(), s)
		if moved := err != nil && strings.Contains(err.Error(), "moved"); moved == expected {
			t.Errorf("expected = %v: %v", expected, err)
		}
	}
}

// A suite that accepts a broken provider is worth nothing.
func TestTheSuiteFindsBrokenProviders(t *testing.T) {
	tests := []struct {
		name  string
		open  func() kms.Wrapper
		check string
		says  string
	}{
		{"a short key", withFault(OpGenerate, ShortPlain), "a generated key opens again", "31 bytes"},
		{"a long key", withFault(OpGenerate, LongPlain), "a generated key opens again", "33 bytes"},
		{"no key", withFault(OpGenerate, EmptyPlain), "a generated key opens again", "0 bytes"},
		{"no wrapped key", withFault(OpGenerate, EmptyWrapped), "a generated key opens again", "empty wrapped"},
		{"a wrapped key that never opens", withFault(OpGenerate, WrongWrapped), "a generated key opens again", "does not open"},
		{"a wrapped key that fits in no block", withFault(OpGenerate, HugeWrapped), "a generated key opens again", "65536 bytes"},
		{"a pair that does not match", withFault(OpGenerate, WrongPlain), "a generated key opens again", "another key"},
		{"another key each time it is unwrapped", withFault(OpUnwrap, WrongPlain), "a generated key opens again", "another key"},
		{"errors without end", func() kms.Wrapper {
			f := NewFake("fake:1", "fake:2")
			f.Fail(kms.ErrThrottled)
			return f
		}, "a generated key opens again", "throttles"},
		{"a key of zeros", over(wrong{generate: func(context.Context, kms.Wrapper, string, kms.EncryptionContext) ([]byte, []byte, error) {
			return make([]byte, 32), []byte("wrapped"), nil
		}}), "a generated key opens again", "zeros"},
		{"a wrapped key that is none", over(wrong{generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
			plain, _, err := w.Generate(ctx, kek, ec)
			return plain, append([]byte("base64?"), plain...), err
		}}), "a generated key opens again", "in clear"},
		{"the same key for ever", func() kms.Wrapper {
			f := NewFake("fake:1", "fake:2")
			plain, wrapped, err := f.Generate(t.Context(), "fake:1", contextOf("acme"))
			if err != nil {
				t.Fatal(err)
			}
			return wrong{Wrapper: f, generate: func(context.Context, kms.Wrapper, string, kms.EncryptionContext) ([]byte, []byte, error) {
				return bytes.Clone(plain), bytes.Clone(wrapped), nil
			}}
		}, "no two keys are equal", "twice"},
		{"a cache that hands its own key out", func() kms.Wrapper {
			cache := map[string][]byte{}
			return wrong{
				Wrapper: NewFake("fake:1", "fake:2"),
				generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
					plain, wrapped, err := w.Generate(ctx, kek, ec)
					cache[string(wrapped)] = plain
					return plain, wrapped, err
				},
				unwrap: func(_ context.Context, _ kms.Wrapper, _ string, wrapped []byte, _ kms.EncryptionContext) ([]byte, error) {
					return cache[string(wrapped)], nil
				},
			}
		}, "a key stays with its caller", "wiping"},
		{"an Unwrap that overwrites what it is given", over(wrong{unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
			plain, err := w.Unwrap(ctx, kek, wrapped, ec)
			clear(wrapped)
			return plain, err
		}}), "a key stays with its caller", "changed what it was given"},
		{"a context that is ignored", over(withContext(func(kms.EncryptionContext) kms.EncryptionContext { return nil })), "another encryption context is refused", "changed value"},
		{"a context without its names", over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
			values := kms.EncryptionContext{}
			for _, v := range ec {
				values[v] = ""
			}
			return values
		})), "another encryption context is refused", "changed name"},
		{"a context without its values", over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
			names := kms.EncryptionContext{}
			for k := range ec {
				names[k] = ""
			}
			return names
		})), "another encryption context is refused", "changed value"},
		{"a context in small letters", over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
			small := kms.EncryptionContext{}
			for k, v := range ec {
				small[k] = strings.ToLower(v)
			}
			return small
		})), "another encryption context is refused", "other letters"},
		{"a context of the pairs it knows", over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
			known := maps.Clone(ec)
			maps.DeleteFunc(known, func(k, _ string) bool { return !strings.HasPrefix(k, "fieldveil:") })
			return known
		})), "another encryption context is refused", "extra pair"},
		{"a context joined without lengths", over(withContext(func(ec kms.EncryptionContext) kms.EncryptionContext {
			return kms.EncryptionContext{"": ec["fieldveil:purpose"] + joined(ec)}
		})), "another encryption context is refused", "moved"},
		{"a context that is only checked where there is one", func() kms.Wrapper {
			f, last := NewFake("fake:1", "fake:2"), kms.EncryptionContext{}
			return wrong{
				Wrapper: f,
				generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
					last = ec
					return w.Generate(ctx, kek, ec)
				},
				unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
					if len(ec) == 0 {
						ec = last
					}
					return w.Unwrap(ctx, kek, wrapped, ec)
				},
			}
		}, "another encryption context is refused", "no context at all"},
		{"a first byte that is not authenticated", over(wrong{
			generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
				plain, wrapped, err := w.Generate(ctx, kek, ec)
				return plain, append([]byte{1}, wrapped...), err
			},
			unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
				return w.Unwrap(ctx, kek, wrapped[min(1, len(wrapped)):], ec)
			},
		}), "a changed wrapped key is refused", "changed at byte 0"},
		{"a last byte that is not authenticated", over(wrong{
			generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
				plain, wrapped, err := w.Generate(ctx, kek, ec)
				return plain, append(wrapped, 1), err
			},
			unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
				return w.Unwrap(ctx, kek, wrapped[:max(0, len(wrapped)-1)], ec)
			},
		}), "a changed wrapped key is refused", "changed at byte 60"},
		{"bytes behind the wrapped key", over(wrong{unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
			return w.Unwrap(ctx, kek, wrapped[:min(60, len(wrapped))], ec)
		}}), "a cut or extended wrapped key is refused", "a byte more"},
		{"one KEK for all", over(withKEK(func(kek string) string {
			if strings.HasPrefix(kek, "fake:") {
				return "fake:1"
			}
			return kek
		})), "another KEK is refused", "first KEK under the other"},
		{"a default KEK for the unknown", over(withKEK(func(kek string) string {
			if kek == "fake:1-unknown" {
				return "fake:1"
			}
			return kek
		})), "an unknown KEK is not found", "accepted a key under an unknown KEK"},
		{"a KEK that is made by a slip of the pen", over(wrong{generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
			if kek == "fake:1-unknown" {
				kek = "fake:1"
			}
			return w.Generate(ctx, kek, ec)
		}}), "an unknown KEK is not found", "made a key under an unknown KEK"},
		{"a URI that is not looked at", over(withKEK(func(kek string) string {
			if !strings.HasPrefix(kek, "fake:") {
				return "fake:1"
			}
			return kek
		})), "a URI of another scheme is refused", "accepted"},
		{"a Generate that does not look at its context", over(wrong{generate: func(ctx context.Context, w kms.Wrapper, kek string, ec kms.EncryptionContext) ([]byte, []byte, error) {
			return w.Generate(context.WithoutCancel(ctx), kek, ec)
		}}), "an ended context ends the call", "Generate ignored"},
		{"an Unwrap that does not look at its context", over(wrong{unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
			return w.Unwrap(context.WithoutCancel(ctx), kek, wrapped, ec)
		}}), "an ended context ends the call", "accepted"},
		{"one buffer for all callers", func() kms.Wrapper {
			var last atomic.Pointer[[]byte]
			return wrong{
				Wrapper: NewFake("fake:1", "fake:2"),
				unwrap: func(ctx context.Context, w kms.Wrapper, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
					plain, err := w.Unwrap(ctx, kek, wrapped, ec)
					// Every second caller gets the key of the one before.
					if other := last.Swap(&plain); other != nil {
						return *other, err
					}
					return plain, err
				},
			}
		}, "concurrent calls do not mix", "another key"},
		{"a refusal of no class", failWith(func(error, kms.Wrapper, string, []byte) ([]byte, error) {
			return nil, errors.New("odd")
		}), "another encryption context is refused", "none of the classes"},
		{"a refusal that can be retried", failWith(func(error, kms.Wrapper, string, []byte) ([]byte, error) {
			return nil, kms.ErrUnavailable
		}), "a changed wrapped key is refused", "none of the classes"},
		{"a refusal with a key", failWith(func(err error, _ kms.Wrapper, _ string, _ []byte) ([]byte, error) {
			return make([]byte, 32), err
		}), "another KEK is refused", "also 32 bytes"},
		{"a refusal that shows the key", failWith(func(err error, w kms.Wrapper, _ string, _ []byte) ([]byte, error) {
			var fake *Fake
			fake, _ = w.(*Fake)
			return nil, fmt.Errorf("%w: %s", err, hex.EncodeToString(fake.HandedOut()[0]))
		}), "a changed wrapped key is refused", "holds the key"},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.check] = true
		t.Run(tt.name, func(t *testing.T) {
			s := subject{Wrapper: tt.open(), kek: "fake:1", other: "fake:2", unknown: "fake:1-unknown"}
			err := checkNamed(t, tt.check).run(t.Context(), s)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err = %v, want one that says %q", err, tt.says)
			}
		})
	}
	for _, c := range checks {
		if !covered[c.name] {
			t.Errorf("no broken provider shows that %q finds anything", c.name)
		}
	}
}

func joined(ec kms.EncryptionContext) string {
	var b strings.Builder
	for k, v := range ec {
		if k != "fieldveil:purpose" {
			b.WriteString(k + v)
		}
	}
	return b.String()
}

func checkNamed(t *testing.T, name string) check {
	t.Helper()
	for _, c := range checks {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("there is no check %q", name)
	return check{}
}
