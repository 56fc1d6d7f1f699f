package kafkabroker

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// fetchTimeout bounds one download of all jars, some 60 MB.
	fetchTimeout = 5 * time.Minute
	// oldestJava is what the server jars of Kafka 4 are compiled for.
	oldestJava = 17
)

//go:embed pom.xml
var pom []byte

// An installation is what it takes to run a broker.
type installation struct {
	java    string // path of the program
	jars    string // the folder with every jar of the broker
	version string // of Apache Kafka
}

// install finds Java and fetches the jars, once per process: without network a
// download may take its whole timeout to fail, and the next test would wait as
// long for the same answer. Every error means that no broker can be had here.
var install = sync.OnceValues(func() (installation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	return findInstallation(ctx)
})

// findInstallation does what install does, each time.
func findInstallation(ctx context.Context) (installation, error) {
	version, err := kafkaVersion(pom)
	if err != nil {
		return installation{}, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return installation{}, err
	}
	jars, err := fetch(ctx, version)
	if err != nil {
		return installation{}, err
	}
	return installation{java: java, jars: jars, version: version}, nil
}

// kafkaVersion reads the version of Kafka that a pom.xml asks for.
func kafkaVersion(pom []byte) (string, error) {
	var project struct {
		Version string `xml:"properties>kafka.version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil {
		return "", fmt.Errorf("pom.xml: %w", err)
	}
	if project.Version == "" {
		return "", errors.New("pom.xml has no property kafka.version")
	}
	return project.Version, nil
}

// findJava returns a Java that is new enough: of JAVA_HOME, as Maven chooses,
// or else of the PATH.
func findJava(ctx context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no Java is installed, and Kafka needs %d or newer: %w", oldestJava, err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-XshowSettings:properties", "-version")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := run(cmd); err != nil {
		return "", fmt.Errorf("the Java at %s does not run: %w: %s", path, err, complaint(out.String()))
	}
	major, err := javaMajor(out.String())
	if err != nil {
		return "", err
	}
	if major < oldestJava {
		return "", fmt.Errorf("the Java at %s is version %d, and Kafka needs %d or newer", path, major, oldestJava)
	}
	return path, nil
}

// javaMajor reads the version from what Java says of itself: 17 or, before
// Java 9, 1.8.
func javaMajor(settings string) (int, error) {
	for line := range strings.Lines(settings) {
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) != "java.specification.version" {
			continue
		}
		value = strings.TrimPrefix(strings.TrimSpace(value), "1.")
		major, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("the version that Java tells is no number: %w", err)
		}
		return major, nil
	}
	return 0, errors.New("the Java found does not tell its version")
}

// fetch returns the folder with the jars that pom.xml lists. It downloads them
// unless an earlier run has.
//
// The folder appears by a rename, so one that exists is complete, whatever
// became of the run that made it. Two runs at once both download, and the
// second to finish uses what the first has left.
func fetch(ctx context.Context, version string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the jars: %w", err)
	}
	cache = filepath.Join(cache, "fieldveil")
	sum := sha256.Sum256(pom)
	final := filepath.Join(cache, fmt.Sprintf("kafka-%s-%x", version, sum[:4]))
	if exists(final) {
		return final, nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("the jars of Kafka %s are not in the cache, and Maven to fetch them is not installed: %w", version, err)
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", fmt.Errorf("no folder for the jars: %w", err)
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("no folder for the jars: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // what stays behind is in a cache, under a name that nothing reads
	jars := filepath.Join(work, "jars")
	if err := download(ctx, mvn, work, jars); err != nil {
		return "", err
	}
	if err := os.Rename(jars, final); err != nil && !exists(final) {
		return "", fmt.Errorf("keep the jars: %w", err)
	}
	return final, nil
}

// download has Maven copy the jars that pom.xml lists into the folder jars.
func download(ctx context.Context, mvn, work, jars string) error {
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return fmt.Errorf("write pom.xml: %w", err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--no-transfer-progress", "--quiet", "--file", file,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	cmd.Dir = work
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // Maven is a shell script: its Java may hold the pipe for longer than it lives
	err := run(cmd)
	if ctx.Err() != nil {
		return fmt.Errorf("fetch the jars with Maven: not done within %v: %w", fetchTimeout, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("fetch the jars with Maven: %w: %s", err, complaint(out.String()))
	}
	if !exists(jars) {
		return errors.New("fetch the jars with Maven: it made no folder")
	}
	return nil
}

// exists reports whether path is a folder.
func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// complaint returns the line of a program's output that says what is wrong: the
// first that Maven marks as an error, since more of them only say where to read
// about it, or else the first that is not Java's word on its own settings.
func complaint(out string) string {
	const nothing = "it says nothing"
	first := nothing
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "\x1b[0m", ""))
		if text, ok := strings.CutPrefix(line, "[ERROR] "); ok {
			return text
		}
		if first == nothing && line != "" && !strings.HasPrefix(line, "Picked up ") {
			first = line
		}
	}
	return first
}
