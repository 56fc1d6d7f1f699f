package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

var (
	//go:embed pom.xml
	pom []byte
	//go:embed Proxy.java
	source []byte
)

const (
	fetchTimeout = 5 * time.Minute
	endTimeout   = 5 * time.Second
	// portsEach is how many ports a virtual cluster takes: one to find the
	// cluster by, and one for each node that it may have.
	portsEach = 4
)

// A proxy is Kroxylicious in a process of its own, with two clusters in front
// of one broker: one that encrypts whole records, and one that does nothing.
type proxy struct {
	cmd    *exec.Cmd
	in     io.Closer
	dir    string
	log    string
	secure string // address of the cluster that encrypts
	plain  string // address of the one that does not
}

// jars returns the folder with the proxy, which Maven fills the first time.
func jars(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("javac"); err != nil {
		return "", fmt.Errorf("no Java with a compiler is installed: %w", err)
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("no Maven is installed: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return process.Cached(fmt.Sprintf("compare-kroxylicious-%x", sha256.Sum256(pom))[:len("compare-kroxylicious-")+8], func(dir string) error {
		file := filepath.Join(dir, "pom.xml")
		if err := os.WriteFile(file, pom, 0o600); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--no-transfer-progress", "--quiet", "--file", file,
			"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
		cmd.Dir = dir
		if _, err := process.Run(cmd); err != nil {
			return fmt.Errorf("fetch the jars of Kroxylicious with Maven: %w", err)
		}
		return nil
	})
}

const config = `
filterDefinitions:
- name: encryption
  type: RecordEncryption
  config:
    kms: VaultKmsService
    kmsConfig:
      vaultTransitEngineUrl: %s/v1/transit
      vaultToken: {password: token}
    selector: TemplateKekSelector
    selectorConfig: {template: "kek-$(topicName)"}
    unresolvedKeyPolicy: REJECT
virtualClusters:
- name: secure
  targetCluster: {bootstrapServers: "%[2]s"}
  gateways: [{name: one, portIdentifiesNode: {bootstrapAddress: "127.0.0.1:%[3]d"}}]
  filters: [encryption]
- name: plain
  targetCluster: {bootstrapServers: "%[2]s"}
  gateways: [{name: one, portIdentifiesNode: {bootstrapAddress: "127.0.0.1:%[4]d"}}]
  filters: []
`

// startProxy returns when the proxy listens. Call end when it did not fail.
func startProxy(ctx context.Context, jars, vault, broker string) (p *proxy, err error) {
	p = new(proxy)
	if p.dir, err = os.MkdirTemp("", "kroxylicious-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(p.dir)
		}
	}()
	first, err := freePorts(2 * portsEach)
	if err != nil {
		return nil, err
	}
	p.secure, p.plain = loopback(first), loopback(first+portsEach)
	files := map[string][]byte{
		"Proxy.java": source, "config.yaml": fmt.Appendf(nil, config, vault, broker, first, first+portsEach),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	p.log = filepath.Join(p.dir, "log")
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	p.cmd = exec.CommandContext(ctx, "java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(jars, "*"), filepath.Join(p.dir, "Proxy.java"), filepath.Join(p.dir, "config.yaml"))
	p.cmd.Dir, p.cmd.Stderr, p.cmd.WaitDelay = p.dir, log, endTimeout
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, row.MissingError{Err: fmt.Errorf("start Java: %w", err)}
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		p.stop()
		text, _ := os.ReadFile(p.log) // without it the error says less
		return nil, fmt.Errorf("the proxy does not start: %q: %s", line, tail(text))
	}
	return p, nil
}

// end ends the process and removes its folder.
func (p *proxy) end() {
	p.stop()
	_ = os.RemoveAll(p.dir)
}

func (p *proxy) stop() {
	_ = p.in.Close()
	late := time.AfterFunc(endTimeout, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait() // whatever it says, it is over
}

func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts returns the first of n neighbouring loopback ports that nobody
// listens on, from below the range that systems give to outgoing connections.
func freePorts(n int) (int, error) {
	var last error
	for first := 21000 + os.Getpid()%8000; first < 32000; first += n {
		if last = free(first, n); last == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports: %w", n, last)
}

func free(first, n int) error {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
