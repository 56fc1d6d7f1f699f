package scenario

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"time"
)

// roleEnv makes a program a part of a measurement: parts share no heap and no
// scheduler.
const roleEnv = "FIELDVEIL_BENCH_ROLE"

// IsPart tells whether this process was started by a measurement as a part of it.
// A program that measures asks it first, and calls [Play] then.
func IsPart() bool { return os.Getenv(roleEnv) != "" }

// The parts.
const (
	roleBroker  = "broker" // a broker and a registry
	roleEcho    = "echo"
	roleSidecar = "sidecar"
)

// An order is what a part is told on its standard input.
type order struct {
	// Topic, its partitions, and the schema of its records.
	Topic      string   `json:"topic,omitempty"`
	Partitions int      `json:"partitions,omitempty"`
	Format     string   `json:"format,omitempty"`
	Schema     string   `json:"schema,omitempty"`
	References []string `json:"references,omitempty"`
	Names      []string `json:"names,omitempty"`
	// Broker is its kind.
	Broker string `json:"broker,omitempty"`
	// Files are those of the sidecar by their names, and Config is one of them.
	Config  string        `json:"config,omitempty"`
	Latency time.Duration `json:"kms_latency,omitempty"`
}

// addresses are where a part listens.
type addresses map[string]string

// A part is a process that this one started.
type part struct {
	name  string
	addrs addresses
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

// endsWithin is how long a part has to end by itself.
const endsWithin = 20 * time.Second

// start starts a part and waits until it listens.
func start(role string, o order) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &part{name: role, cmd: exec.Command(self)} //nolint:gosec,noctx // this program; close ends it
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err = json.NewEncoder(p.in).Encode(o); err == nil {
		err = p.answer(&p.addrs)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("scenario: the process of the %s does not start: %w", role, err), p.close())
	}
	return p, nil
}

func (p *part) answer(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// ask sends a word and reads the answer.
func (p *part) ask(word string, to any) error {
	if _, err := io.WriteString(p.in, word+"\n"); err != nil {
		return err
	}
	return p.answer(to)
}

// close ends the part and waits for it.
func (p *part) close() error {
	_ = p.in.Close() // which tells it to end
	killer := time.AfterFunc(endsWithin, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	return p.cmd.Wait()
}

// profiled profiles a part while work runs, and returns the nanoseconds of its
// parts.
func (p *part) profiled(work func() error) (map[string]float64, error) {
	var ok bool
	if err := p.ask("profile", &ok); err != nil {
		return nil, err
	}
	err := work()
	var raw []byte
	if askErr := p.ask("profiled", &raw); err != nil || askErr != nil {
		return nil, errors.Join(err, askErr)
	}
	return timesOf(bytes.NewReader(raw))
}

// calls returns how many calls the part made to its KMS.
func (p *part) calls() (int64, error) {
	var n int64
	err := p.ask("calls", &n)
	return n, err
}

// Play is the life of a part. It returns the exit code.
func Play() int {
	if err := play(os.Getenv(roleEnv)); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fieldveil bench:", err)
		return 1
	}
	return 0
}

// A role is what a part does: where it listens, how many calls of the KMS it has
// made, and its end.
type role struct {
	addrs addresses
	calls func() int64
	end   func()
}

func play(name string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	var r role
	switch name {
	case roleBroker:
		r, err = playBroker(o)
	case roleEcho:
		r, err = playEcho()
	case roleSidecar:
		r, err = playSidecar(o)
	default:
		err = fmt.Errorf("no part is called %q", name)
	}
	if err != nil {
		return err
	}
	defer r.end()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(r.addrs); err != nil {
		return err
	}
	return r.obey(in, out)
}

// obey does what it is told until nobody is there to tell.
func (r *role) obey(in *bufio.Reader, out *json.Encoder) error {
	var prof bytes.Buffer
	for {
		word, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch word {
		case "profile\n":
			prof.Reset()
			if err := pprof.StartCPUProfile(&prof); err != nil {
				return err
			}
			err = out.Encode(true)
		case "profiled\n":
			pprof.StopCPUProfile()
			err = out.Encode(prof.Bytes())
		case "calls\n":
			n := int64(0)
			if r.calls != nil {
				n = r.calls()
			}
			err = out.Encode(n)
		}
		if err != nil {
			return err
		}
	}
}
