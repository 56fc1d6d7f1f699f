package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// asProgram makes the test binary the program itself.
const asProgram = "FIELDVEIL_EXAMPLE_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestASignupLeavesProtected(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "signups"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	dir := t.TempDir()
	for _, name := range []string{"policy.yaml", "signup.avsc"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := localkms.Create(filepath.Join(dir, "dev.kek")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "BROKERS="+cluster.ListenAddrs()[0])
	cmd.Stdin = bytes.NewReader([]byte(`{"id": "1", "name": "Ada Example", "email": "ada@example.com"}`))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("signups"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fetches := client.PollFetches(t.Context())
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	rec := fetches.Records()[0]
	for _, secret := range []string{"Example", "ada@example.com"} {
		if bytes.Contains(rec.Value, []byte(secret)) {
			t.Errorf("the record holds %q", secret)
		}
	}
	if !bytes.Contains(rec.Value, []byte("A**********")) || !bytes.Contains(rec.Value, []byte("fv1:")) {
		t.Errorf("the record has no mask or no envelope: %q", rec.Value)
	}
}
