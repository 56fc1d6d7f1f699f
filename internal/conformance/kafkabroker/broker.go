// Package kafkabroker runs a real Apache Kafka broker for tests.
//
// [Start] gives a broker of one node, in KRaft mode, on free loopback ports and
// in a folder of its own. It is the broker that everybody runs, from the jars
// that the Kafka project publishes, so what a test sees here is not what this
// repository believes of Kafka. The jars come through Maven on the first run
// and stay in the user's cache folder; pom.xml says which.
//
// # Guarantees
//
// A test whose broker cannot be had skips and says why in one sentence: no
// Java, no Maven, no network. With FIELDVEIL_REQUIRE_KAFKA=1 in the environment
// it fails instead. A broker that was had and does not start, or ends by
// itself, always fails its test, with the end of the broker's log.
//
// When the test is over the broker's process has ended and its folder is gone.
// On Linux the process dies with the test binary, however that ends.
//
// What it does not show: the loss of a machine. [Broker.Kill] takes the process
// away, and what the process has handed to the operating system survives that.
package kafkabroker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// startTimeout bounds a start, from the fork to the first full answer.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds an orderly end, after which it counts as failed.
	stopTimeout = time.Minute
	// pollInterval lies between two questions whether the broker is ready.
	pollInterval = 50 * time.Millisecond
	// exitBySIGTERM is the status of a JVM that has obeyed the signal and run
	// its shutdown hooks to the end.
	exitBySIGTERM = 128 + 15
)

// A Broker is one real Kafka broker. It is not safe for concurrent use; what it
// serves at [Broker.Addr] is, of course.
type Broker struct {
	installation
	dir       string // holds everything below; removed with the test
	clusterID string
	port      int
	quorum    int // the port of the controller in the same process
	process   *process
	expected  bool // the process was told to end
}

// Start runs a broker until the test is over, and returns when it serves
// clients. It skips the test when no broker can be had on this machine, and
// ends it when the broker does not start.
func Start(t testing.TB) *Broker {
	t.Helper()
	in, err := install()
	if err != nil {
		if os.Getenv("FIELDVEIL_REQUIRE_KAFKA") == "1" {
			t.Fatalf("no real Kafka broker, and FIELDVEIL_REQUIRE_KAFKA=1 asks for one: %v", err)
		}
		t.Skipf("skipped: no real Kafka broker: %v", err)
	}
	// The folder goes first: cleanups run in reverse, and it has to outlive
	// the process.
	b := &Broker{installation: in, dir: t.TempDir(), clusterID: newClusterID()}
	t.Cleanup(func() { b.cleanup(t) })
	if b.port, b.quorum, err = freePorts(); err != nil {
		t.Fatalf("kafkabroker: find free ports: %v", err)
	}
	if err := b.format(t.Context()); err != nil {
		t.Fatalf("kafkabroker: format the storage: %v\n%s", err, b.logTail())
	}
	b.launch(t)
	return b
}

// Addr returns the broker's address, host and port. It stays the same when the
// broker is restarted.
func (b *Broker) Addr() string { return loopback(b.port) }

// DataDir returns the folder with everything that the broker stores, segments
// of topics and the metadata log alike. Read it after [Broker.Stop] or
// [Broker.Kill]: a running broker may hold records back in memory.
func (b *Broker) DataDir() string { return filepath.Join(b.dir, "data") }

// Version returns the version of Apache Kafka, such as "4.1.0".
func (b *Broker) Version() string { return b.version }

// Stop ends the broker in order, as an operator does, and waits until it has
// ended. It fails the test when the broker ends in another way. A broker that
// is not running is left alone.
func (b *Broker) Stop(t testing.TB) {
	t.Helper()
	if !b.running(t) {
		return
	}
	b.expected = true
	if err := b.process.signal(syscall.SIGTERM); err != nil {
		t.Fatalf("kafkabroker: stop: %v", err)
	}
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	select {
	case <-b.process.done:
	case <-late.C:
		t.Fatalf("kafkabroker: stop: still running after %v\n%s", stopTimeout, b.logTail())
	}
	if code := b.process.cmd.ProcessState.ExitCode(); code != exitBySIGTERM {
		t.Errorf("kafkabroker: stop: the broker did not end in order: %v\n%s", b.process.err, b.logTail())
	}
}

// Kill ends the broker at once, as a crash does, and waits until it has ended.
// A broker that is not running is left alone.
func (b *Broker) Kill(t testing.TB) {
	t.Helper()
	if !b.running(t) {
		return
	}
	b.expected = true
	if err := b.process.signal(syscall.SIGKILL); err != nil {
		t.Fatalf("kafkabroker: kill: %v", err)
	}
	<-b.process.done
}

// Restart runs the broker again, on the same address and the same data, and
// returns when it serves clients and every partition has its leader. A broker
// that is still running is stopped first, as by [Broker.Stop].
func (b *Broker) Restart(t testing.TB) {
	t.Helper()
	b.Stop(t)
	b.launch(t)
}

// running reports whether the broker runs. It fails the test when the broker
// has ended without being told to.
func (b *Broker) running(t testing.TB) bool {
	t.Helper()
	if !b.process.ended() {
		return true
	}
	if !b.expected {
		b.expected = true // say it once
		t.Errorf("kafkabroker: the broker ended by itself: %v\n%s", b.process.err, b.logTail())
	}
	return false
}

// cleanup ends the process, in whatever state the test has left it. Its folder
// is about to go, so it need not end in order.
func (b *Broker) cleanup(t testing.TB) {
	t.Helper()
	if b.process != nil {
		b.Kill(t)
	}
}

// launch starts the process and waits until it is ready.
func (b *Broker) launch(t testing.TB) {
	t.Helper()
	// The test's context ends before its cleanups run, and they may still need
	// the broker.
	ctx := context.WithoutCancel(t.Context())
	cmd, err := b.java(ctx, "kafka.Kafka", b.configPath())
	if err != nil {
		t.Fatalf("kafkabroker: start: %v", err)
	}
	defer cmd.Stdout.(*os.File).Close() //nolint:errcheck // the child has its own descriptor
	if b.process, err = start(cmd); err != nil {
		t.Fatalf("kafkabroker: start: %v", err)
	}
	b.expected = false
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := b.waitReady(ctx); err != nil {
		b.expected = true // the log is shown here already
		t.Fatalf("kafkabroker: Kafka %s does not start: %v\n%s", b.version, err, b.logTail())
	}
}

// waitReady returns nil once the broker is ready, and an error as soon as it
// cannot become so.
func (b *Broker) waitReady(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := b.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-b.process.done:
			return fmt.Errorf("its process has ended: %w", b.process.err)
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// ready asks the broker once, over a new connection, and returns nil if it is
// this broker that answers, registered with its controller, and every partition
// has a leader. A port that accepts connections says none of that.
func (b *Broker) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).Metadata(ctx)
	switch {
	case err != nil:
		return err
	case meta.Cluster != b.clusterID:
		return errors.New("another cluster answers on this port")
	case len(meta.Brokers) != 1 || meta.Controller < 0:
		return errors.New("the broker has not joined its controller")
	}
	for _, topic := range meta.Topics {
		if topic.Err != nil {
			return fmt.Errorf("topic %s: %w", topic.Topic, topic.Err)
		}
		for _, partition := range topic.Partitions {
			if partition.Err != nil || partition.Leader < 0 {
				return fmt.Errorf("topic %s: partition %d has no leader", topic.Topic, partition.Partition)
			}
		}
	}
	return nil
}

// format writes the settings, and lays out the storage that they name.
func (b *Broker) format(ctx context.Context) error {
	if err := os.Mkdir(b.scratchDir(), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(b.configPath(), b.config(), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd, err := b.java(ctx, "kafka.tools.StorageTool", "format",
		"--cluster-id", b.clusterID, "--config", b.configPath(), "--standalone")
	if err != nil {
		return err
	}
	defer cmd.Stdout.(*os.File).Close() //nolint:errcheck // the child has its own descriptor
	return run(cmd)
}

// java returns the command that runs a main class of Kafka in the broker's
// folder. Its output goes to the end of the log, a file that the caller closes.
func (b *Broker) java(ctx context.Context, class string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(b.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	options := []string{
		"-Xms128m", "-Xmx512m",
		"-Djava.awt.headless=true",
		// A killed JVM cleans nothing up, so all it writes goes to the folder:
		// the native parts of compressors and, unless off, its counters.
		"-Djava.io.tmpdir=" + b.scratchDir(), "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		// It prints every setting there is, several times over.
		"-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
		"-cp", filepath.Join(b.jars, "*"), class,
	}
	//#nosec G204 -- the program is the user's own Java
	cmd := exec.CommandContext(ctx, b.installation.java, append(options, args...)...)
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nil
}

// config returns the broker's settings: one node that is broker and controller,
// internal topics that make do with it, and no waiting for others. What a topic
// shall not keep is gone within seconds, so that a load does not fill the disk. The session
// of a broker is short because one that was killed may not come back before its
// last session has run out.
func (b *Broker) config() []byte {
	return fmt.Appendf(nil, `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=%[2]s
log.dirs=%[3]s
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=2000
log.initial.task.delay.ms=2000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
`, b.Addr(), loopback(b.quorum), filepath.ToSlash(b.DataDir()))
}

func (b *Broker) configPath() string { return filepath.Join(b.dir, "server.properties") }
func (b *Broker) logPath() string    { return filepath.Join(b.dir, "broker.log") }
func (b *Broker) scratchDir() string { return filepath.Join(b.dir, "scratch") }

// logTail returns the last lines of the broker's log, as many as a person reads.
func (b *Broker) logTail() string {
	const most = 60
	log, err := os.ReadFile(b.logPath())
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(log), []byte("\n"))
	return "the end of its log:\n" + string(bytes.Join(lines[max(0, len(lines)-most):], nil))
}

// newClusterID draws a cluster id: 16 bytes in base64url. The first bit is
// cleared because an id that begins with a dash reads as an option.
func newClusterID() string {
	var id [16]byte
	rand.Read(id[:])
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}
