package tinkkms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/testing/fakekms"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

func TestEveryTemplateOfTinkPassesTheSuite(t *testing.T) {
	for name, template := range map[string]*tinkpb.KeyTemplate{
		"AES-GCM":             aead.AES256GCMKeyTemplate(),
		"AES-GCM, raw":        aead.AES256GCMNoPrefixKeyTemplate(),
		"AES-GCM-SIV":         aead.AES256GCMSIVKeyTemplate(),
		"AES-CTR-HMAC":        aead.AES256CTRHMACSHA256KeyTemplate(),
		"ChaCha20-Poly1305":   aead.ChaCha20Poly1305KeyTemplate(),
		"XChaCha20-Poly1305":  aead.XChaCha20Poly1305KeyTemplate(),
		"XAES-GCM":            aead.XAES256GCM192BitNonceKeyTemplate(),
		"AES-GCM of 128 bits": aead.AES128GCMKeyTemplate(),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			one, two := filepath.Join(dir, "one.json"), filepath.Join(dir, "two.bin")
			write(t, handle(t, template), one)
			write(t, handle(t, template), two)
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				return open(t, tinkkms.WithCleartextKeysets()), "tink:" + one, "tink:" + two
			})
		})
	}
}

func TestEncryptedKeysetsPassTheSuite(t *testing.T) {
	client, master := fake(t)
	a := must[tink.AEAD](t)(client.GetAEAD(master))
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.json"), filepath.Join(dir, "two.bin")
	encrypt(t, handle(t, aead.AES256GCMKeyTemplate()), one, a)
	encrypt(t, handle(t, aead.XAES256GCM192BitNonceKeyTemplate()), two, a)
	kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
		t.Helper()
		return open(t, tinkkms.WithClients(client), tinkkms.WithMasterKey(one, master), tinkkms.WithMasterKey(two, master),
			tinkkms.WithMasterKey(one+"-unknown", master)), "tink:" + one, "tink:" + two
	})
}

// corrupt is what to say of an AEAD that is known to call nobody.
func corrupt(error) error { return kms.ErrCorrupt }

func TestKMSClientsAndAEADsPassTheSuite(t *testing.T) {
	client, one := fake(t)
	_, two := fake(t)
	a, b := newAEAD(t), newAEAD(t)
	aware := must[tink.AEADWithContext](t)(fakekms.NewAEADWithContext(one))
	for name, s := range map[string]struct {
		kek, other, unknown string
		opts                []tinkkms.Option
	}{
		"a client":                {"tink:" + one, "tink:" + two, "tink:fake-kms://canary", []tinkkms.Option{tinkkms.WithClients(client)}},
		"AEADs":                   {"tink:a", "tink:b", "tink:./unknown", []tinkkms.Option{tinkkms.WithAEAD("tink:a", a), tinkkms.WithAEAD("tink:b", b), tinkkms.WithCleartextKeysets()}},
		"an AEAD with a context":  {"tink:a", "tink:b", "tink:./unknown", []tinkkms.Option{tinkkms.WithAEADWithContext("tink:a", aware), tinkkms.WithAEAD("tink:b", b), tinkkms.WithCleartextKeysets()}},
		"an AEAD and a client":    {"tink:a", "tink:" + two, "tink:fake-kms://canary", []tinkkms.Option{tinkkms.WithAEAD("tink:a", a), tinkkms.WithClients(client)}},
		"a name with a key URI's": {"tink:fake-kms://x", "tink:" + two, "tink:fake-kms://canary", []tinkkms.Option{tinkkms.WithAEAD("tink:fake-kms://x", a), tinkkms.WithClients(client)}},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				return open(t, append(s.opts, tinkkms.WithClassifier(corrupt))...), s.kek, s.other
			}, kmstest.WithUnknownKEK(s.unknown))
		})
	}
}

// FV-58: Tink by itself reads what was wrapped, and what it wraps is read.
func TestAWrappedKeyIsTinksOwnCiphertext(t *testing.T) {
	file := path(t, "pii.json")
	h := handle(t, aead.AES256GCMKeyTemplate())
	write(t, h, file)
	a := must[tink.AEAD](t)(aead.New(h))
	k, kek := open(t, tinkkms.WithCleartextKeysets()), "tink:"+file
	plain, wrapped := generate(t, k, kek)
	canonical := must[[]byte](t)(contextOf("acme").AppendCanonical(nil))
	if got, err := a.Decrypt(wrapped, canonical); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Tink does not open it: %v", err)
	}
	theirs := must[[]byte](t)(a.Encrypt(bytes.Repeat([]byte{7}, 32), canonical))
	if got, err := k.Unwrap(t.Context(), kek, theirs, contextOf("acme")); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("what Tink wrapped: %v", err)
	}
	for _, n := range []int{0, 31, 33} {
		short := must[[]byte](t)(a.Encrypt(make([]byte, n), canonical))
		got, err := k.Unwrap(t.Context(), kek, short, contextOf("acme"))
		check(t, "a key of another size", err, kms.ErrCorrupt)
		if got != nil {
			t.Error("an error and also a key")
		}
	}
	_, err := k.Unwrap(t.Context(), kek, make([]byte, 12<<10+1), contextOf("acme"))
	check(t, "a wrapped key that is too long", err, kms.ErrCorrupt)
}

func TestARotatedKeysetOpensWhatTheOldKeyWrapped(t *testing.T) {
	file := path(t, "pii.json")
	m := keyset.NewManager()
	first := must[uint32](t)(m.Add(aead.AES256GCMKeyTemplate()))
	if err := m.SetPrimary(first); err != nil {
		t.Fatal(err)
	}
	write(t, must[*keyset.Handle](t)(m.Handle()), file)
	k, kek := open(t, tinkkms.WithCleartextKeysets()), "tink:"+file
	plain, old := generate(t, k, kek)
	second := must[uint32](t)(m.Add(aead.XAES256GCM192BitNonceKeyTemplate()))
	if err := m.SetPrimary(second); err != nil {
		t.Fatal(err)
	}
	write(t, must[*keyset.Handle](t)(m.Handle()), file)
	if got, err := k.Unwrap(t.Context(), kek, old, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("a key of the old version: %v", err)
	}
	if _, young := generate(t, k, kek); bytes.Equal(young[:5], old[:5]) {
		t.Error("the new primary key did not wrap")
	}
	if err := m.Disable(first); err != nil {
		t.Fatal(err)
	}
	write(t, must[*keyset.Handle](t)(m.Handle()), file)
	_, err := k.Unwrap(t.Context(), kek, old, contextOf("acme"))
	check(t, "a key of a disabled version", err, kms.ErrCorrupt)
}

func TestReEncrypt(t *testing.T) {
	dir := t.TempDir()
	client, remote := fake(t)
	file := filepath.Join(dir, "pii.json")
	write(t, handle(t, aead.AES256GCMKeyTemplate()), file)
	k := open(t, tinkkms.WithCleartextKeysets(), tinkkms.WithClients(client))
	from, to := "tink:"+file, "tink:"+remote
	plain, wrapped := generate(t, k, from)
	again, err := k.ReEncrypt(t.Context(), from, to, wrapped, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(t.Context(), to, again, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("under the new KEK: %v", err)
	}
	_, err = k.Unwrap(t.Context(), from, again, contextOf("acme"))
	check(t, "under the old KEK", err, kms.ErrCorrupt)
	_, err = k.ReEncrypt(t.Context(), from, to, wrapped, contextOf("other"))
	check(t, "with another context", err, kms.ErrCorrupt)
	_, err = k.ReEncrypt(t.Context(), from, "tink:", wrapped, contextOf("acme"))
	check(t, "to no KEK", err, kms.ErrInvalid)
	_, err = k.ReEncrypt(t.Context(), from, from+"-none", wrapped, contextOf("acme"))
	check(t, "to a KEK that is not there", err, kms.ErrNotFound)
}

func TestAFileThatOthersMayTouchIsRefused(t *testing.T) {
	client, master := fake(t)
	dir := t.TempDir()
	clear, hidden := filepath.Join(dir, "clear.json"), filepath.Join(dir, "hidden.json")
	write(t, handle(t, aead.AES256GCMKeyTemplate()), clear)
	encrypt(t, handle(t, aead.AES256GCMKeyTemplate()), hidden, must[tink.AEAD](t)(client.GetAEAD(master)))
	k := open(t, tinkkms.WithCleartextKeysets(), tinkkms.WithClients(client), tinkkms.WithMasterKey(hidden, master))
	for mode := range os.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // root reads it all the same
		}
		for file, foreign := range map[string]os.FileMode{clear: 0o066, hidden: 0o022} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := k.Generate(t.Context(), "tink:"+file, nil)
			if mode&foreign == 0 {
				if err != nil {
					t.Errorf("%s with mode %04o: %v", filepath.Base(file), mode, err)
				}
				continue
			}
			check(t, mode.String(), err, kms.ErrDenied)
		}
	}
}

func TestWhatIsNoKeysetIsRefused(t *testing.T) {
	client, master := fake(t)
	a := must[tink.AEAD](t)(client.GetAEAD(master))
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	good := handle(t, aead.AES256GCMKeyTemplate())
	write(t, good, at("good.json"))
	encrypt(t, good, at("encrypted.json"), a)
	encrypt(t, good, at("encrypted.bin"), a)
	write(t, good, at("master-clear.json"))
	write(t, good, at("master-clear.bin"))
	write(t, handle(t, mac.HMACSHA256Tag256KeyTemplate()), at("mac.json"))
	for name, content := range map[string]string{
		"empty.json": "", "object.json": "{}", "unknown.json": `{"canary": "canary"}`, "text.json": "canary", "cut.json": `{"primaryKeyId": 1, "key": [`,
		"long.json": strings.Repeat(" ", 64<<10+1), "zeros.bin": string(make([]byte, 100)),
	} {
		file(t, at(name), []byte(content))
	}
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := open(t, tinkkms.WithCleartextKeysets(), tinkkms.WithClients(client),
		tinkkms.WithMasterKey(at("master-clear.json"), master), tinkkms.WithMasterKey(at("master-clear.bin"), master))
	for _, name := range []string{
		"empty.json", "object.json", "unknown.json", "text.json", "cut.json", "long.json", "zeros.bin", "folder", "pipe", "mac.json",
		"encrypted.json", "encrypted.bin", "good.json/below",
		// A file with a master key is never read in clear.
		"master-clear.json", "master-clear.bin",
	} {
		_, _, err := k.Generate(t.Context(), "tink:"+at(name), nil)
		check(t, name, err, kms.ErrInvalid)
		_, err = k.Unwrap(t.Context(), "tink:"+at(name), []byte("w"), nil)
		check(t, name, err, kms.ErrInvalid)
	}
	// Without the option nothing is read in clear.
	_, _, err := open(t).Generate(t.Context(), "tink:"+at("good.json"), nil)
	check(t, "a keyset in clear", err, kms.ErrInvalid)
	for _, uri := range []string{"", "tink:", "tink://pii.json", "local:x", "tink:a\x00b", "tink:other-kms://x"} {
		_, _, err := k.Generate(t.Context(), uri, nil)
		check(t, uri, err, kms.ErrInvalid)
	}
}

// A keyset may hold a key that is a KMS key URI, which Tink would look up in its
// global registry: the file would choose who sees the data keys.
func TestAKeysetThatCallsAKMSIsRefused(t *testing.T) {
	_, uri := fake(t)
	template := must[*tinkpb.KeyTemplate](t)(aead.CreateKMSEnvelopeAEADKeyTemplate(uri, aead.AES256GCMKeyTemplate()))
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle(t, template), keyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	at := path(t, "envelope.json")
	file(t, at, b.Bytes())
	_, _, err := open(t, tinkkms.WithCleartextKeysets()).Generate(t.Context(), "tink:"+at, nil)
	check(t, "an envelope key", err, kms.ErrInvalid)
	if !strings.Contains(err.Error(), "calls a KMS") {
		t.Errorf("refused for another reason: %v", err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	client, uri := fake(t)
	a := newAEAD(t)
	aware := must[tink.AEADWithContext](t)(fakekms.NewAEADWithContext(uri))
	for name, opts := range map[string][]tinkkms.Option{
		"no time":                            {tinkkms.WithTimeout(0)},
		"a client that is nil":               {tinkkms.WithClients(nil)},
		"a master key without a client":      {tinkkms.WithMasterKey("x", uri)},
		"a master key that is no key URI":    {tinkkms.WithClients(client), tinkkms.WithMasterKey("x", "y")},
		"a master key for no file":           {tinkkms.WithClients(client), tinkkms.WithMasterKey("", uri)},
		"an AEAD that is nil":                {tinkkms.WithAEAD("tink:x", nil)},
		"an AEAD with a context that is nil": {tinkkms.WithAEADWithContext("tink:x", nil)},
		"an AEAD of another scheme":          {tinkkms.WithAEAD("local:x", a)},
		"an AEAD without a name":             {tinkkms.WithAEAD("tink:", a)},
		"two AEADs of one name":              {tinkkms.WithAEAD("tink:x", a), tinkkms.WithAEADWithContext("tink:x", aware)},
	} {
		_, err := tinkkms.New(opts...)
		check(t, name, err, kms.ErrInvalid)
	}
}

// A script is an AEAD that fails or waits as a test tells it.
type script struct {
	tink.AEAD

	err   error
	hold  chan struct{}
	calls atomic.Int32
	seen  atomic.Pointer[[]byte] // the plaintext of the last Encrypt, not copied
}

func (s *script) Encrypt(plaintext, ad []byte) ([]byte, error) {
	s.calls.Add(1)
	s.seen.Store(&plaintext)
	if s.hold != nil {
		<-s.hold
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.AEAD.Encrypt(plaintext, ad)
}

func (s *script) Decrypt(ciphertext, ad []byte) ([]byte, error) {
	s.calls.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.AEAD.Decrypt(ciphertext, ad)
}

func TestTheClassOfAFailure(t *testing.T) {
	said := errors.New("canary: user 4711 may not use key k")
	known := func(err error) error {
		if errors.Is(err, said) {
			return kms.ErrDenied
		}
		return nil
	}
	loud := func(error) error { return errors.New("canary") }
	for name, tt := range map[string]struct {
		err      error
		classify func(error) error
		class    error
	}{
		"an error that nobody knows":             {said, nil, kms.ErrUnavailable},
		"one that the classifier knows":          {said, known, kms.ErrDenied},
		"one that it does not":                   {errors.New("canary"), known, kms.ErrUnavailable},
		"a classifier that returns something":    {said, loud, kms.ErrUnavailable},
		"a network that is away":                 {&net.OpError{Op: "dial", Err: errors.New("canary")}, corrupt, kms.ErrUnavailable},
		"an answer that ends early":              {io.ErrUnexpectedEOF, corrupt, kms.ErrUnavailable},
		"a deadline of the client's own":         {context.DeadlineExceeded, corrupt, kms.ErrUnavailable},
		"a call that the client itself gives up": {context.Canceled, corrupt, kms.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{AEAD: newAEAD(t), err: tt.err}
			k := must[*tinkkms.KMS](t)(tinkkms.FromAEAD("tink:x", s, tinkkms.WithClassifier(tt.classify)))
			_, _, err := k.Generate(t.Context(), "tink:x", nil)
			check(t, "Generate", err, tt.class)
			_, err = k.Unwrap(t.Context(), "tink:x", []byte("w"), nil)
			check(t, "Unwrap", err, tt.class)
		})
	}
}

// An AEAD of Tink has no context, and a client in it may wait for ever.
func TestACallEndsWithItsContextThoughTheAEADHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{AEAD: newAEAD(t), hold: make(chan struct{})}
		k := must[*tinkkms.KMS](t)(tinkkms.FromAEAD("tink:x", s, tinkkms.WithTimeout(time.Minute)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, _, err := k.Generate(ctx, "tink:x", nil)
		check(t, "Generate", err, kms.ErrUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		begin = time.Now()
		_, err = k.Unwrap(t.Context(), "tink:x", []byte("w"), nil)
		check(t, "Unwrap", err, kms.ErrUnavailable)
		if errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("after %v: %v, which looks as if the context of the caller had ended", time.Since(begin), err)
		}
		close(s.hold)
		synctest.Wait()
		if seen := *s.seen.Load(); len(seen) != 32 || !bytes.Equal(seen, make([]byte, 32)) {
			t.Error("the data key of a call that nobody waited for was not wiped")
		}
	})
}

// Calls that nobody waits for any more do not pile up.
func TestCallsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{AEAD: newAEAD(t), hold: make(chan struct{})}
		k := must[*tinkkms.KMS](t)(tinkkms.FromAEAD("tink:x", s, tinkkms.WithTimeout(time.Second)))
		for range 200 {
			_, err := k.Unwrap(t.Context(), "tink:x", []byte("w"), nil)
			check(t, "Unwrap", err, kms.ErrUnavailable)
		}
		if n := s.calls.Load(); n != 64 {
			t.Errorf("%d calls are under way", n)
		}
		close(s.hold)
		synctest.Wait()
		s.hold = nil
		if _, _, err := k.Generate(t.Context(), "tink:x", nil); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	})
}

func TestAMasterKeyThatIsAway(t *testing.T) {
	client, master := fake(t)
	at := path(t, "pii.json")
	encrypt(t, handle(t, aead.AES256GCMKeyTemplate()), at, must[tink.AEAD](t)(client.GetAEAD(master)))
	s := &script{AEAD: must[tink.AEAD](t)(client.GetAEAD(master))}
	k := open(t, tinkkms.WithClients(stub{s}), tinkkms.WithMasterKey(at, master))
	plain, wrapped := generate(t, k, "tink:"+at)
	s.err = errors.New("canary")
	_, _, err := k.Generate(t.Context(), "tink:"+at, contextOf("acme"))
	check(t, "Generate", err, kms.ErrUnavailable)
	_, err = k.Unwrap(t.Context(), "tink:"+at, wrapped, contextOf("acme"))
	check(t, "Unwrap", err, kms.ErrUnavailable)
	s.err = nil
	if got, err := k.Unwrap(t.Context(), "tink:"+at, wrapped, contextOf("acme")); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("after the outage: %v", err)
	}
}

// A keyset in clear in the place of an encrypted one must not go to the KMS.
func TestAKeysetInClearIsNotSentToItsMasterKey(t *testing.T) {
	_, master := fake(t)
	for _, name := range []string{"pii.json", "pii.bin"} {
		at := path(t, name)
		write(t, handle(t, aead.AES256GCMKeyTemplate()), at)
		s := &script{AEAD: newAEAD(t)}
		k := open(t, tinkkms.WithClients(stub{s}), tinkkms.WithMasterKey(at, master), tinkkms.WithCleartextKeysets())
		_, _, err := k.Generate(t.Context(), "tink:"+at, nil)
		check(t, name, err, kms.ErrInvalid)
		if s.calls.Load() != 0 {
			t.Errorf("%s went to the KMS", name)
		}
	}
}

// A stub is a KMS client of one AEAD.
type stub struct{ a tink.AEAD }

func (stub) Supported(string) bool               { return true }
func (s stub) GetAEAD(string) (tink.AEAD, error) { return s.a, nil }
