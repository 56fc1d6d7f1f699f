package vaults

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

//go:embed dynamolocal/pom.xml
var dynamoPOM []byte

//go:embed dynamolocal/Local.java
var dynamoSource []byte

// fetchTimeout bounds one download of all jars, some 60 MB.
const fetchTimeout = 5 * time.Minute

// dynamoJars returns the folder with the jars of DynamoDB local. It asks Maven
// once per process: without network that may take its whole timeout to fail.
var dynamoJars = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	sum := sha256.Sum256(dynamoPOM)
	return process.Cached(fmt.Sprintf("dynamodb-local-%x", sum[:4]), func(dir string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return fmt.Errorf("its jars are not in the cache, and Maven to fetch them is not installed: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), dynamoPOM, 0o600); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--no-transfer-progress", "--quiet",
			"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(dir, "jars"))
		cmd.Dir = dir
		if _, err := process.Run(cmd); err != nil {
			return fmt.Errorf("fetch it with Maven: %w", err)
		}
		return nil
	})
})

// StartDynamo runs DynamoDB local, Amazon's own imitation, in memory and on a
// loopback port until the test is over, and returns where it is. A test skips
// where it cannot be had, or fails with FIELDVEIL_REQUIRE_DYNAMO=1 in the
// environment.
func StartDynamo(t testing.TB) (url string) {
	t.Helper()
	javac, err := exec.LookPath("javac")
	if err != nil {
		process.Missing(t, "DynamoDB local", "FIELDVEIL_REQUIRE_DYNAMO", fmt.Errorf("it takes a Java 17 with its compiler: %w", err))
	}
	dir, err := dynamoJars()
	if err != nil {
		process.Missing(t, "DynamoDB local", "FIELDVEIL_REQUIRE_DYNAMO", err)
	}
	scratch, jars := t.TempDir(), filepath.Join(dir, "jars")
	source := filepath.Join(scratch, "Local.java")
	if err := os.WriteFile(source, dynamoSource, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := process.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(filepath.Dir(javac), "java"), "-Xmx512m", "-XX:-UsePerfData",
		"-Djava.io.tmpdir="+scratch, "-Duser.home="+scratch, "-Djava.library.path="+jars, "-Dsqlite4java.library.path="+jars,
		"-cp", filepath.Join(jars, "*"), source, port)
	// Settings of the user's must not reach it.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch, "DDB_LOCAL_TELEMETRY=0"}
	p := process.Start(t, cmd)
	url = "http://" + addr
	client := dynamoClient(url, http.DefaultTransport)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * pollInterval)
	defer tick.Stop()
	for {
		_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{}, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
		if err == nil {
			return url
		}
		select {
		case <-ctx.Done():
			t.Fatalf("DynamoDB local is not ready in time: %v\n%s", err, p.LogTail())
		case <-tick.C:
		}
	}
}

func dynamoClient(url string, transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(url), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}
