package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// roleEnv makes this program a part of the measurement: parts share no heap and
// no scheduler.
const roleEnv = "FIELDVEIL_BENCH_ROLE"

// The parts.
const (
	roleCluster = "cluster" // brokers that throw away, and a registry
	roleEcho    = "echo"
	roleSidecar = "sidecar"   // as users run it
	roleBare    = "bare"      // its surfaces and its pipeline, and nothing around them
	roleUnsafe  = "unguarded" // the same, with a Protector that protects nothing
)

// An order is what a part is told on its standard input.
type order struct {
	Brokers  string `json:"brokers,omitempty"`
	Registry string `json:"registry,omitempty"`
	// Linger is linger.ms.
	Linger int `json:"linger,omitempty"`
	// Profile is the file of a CPU profile that the part writes when told to.
	Profile string `json:"profile,omitempty"`
}

// addresses are where a part listens.
type addresses map[string]string

// A part is a process that this one started.
type part struct {
	addrs addresses
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

// start starts a part and waits until it listens.
func start(role string, o order) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &part{cmd: exec.Command(self)}
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
	if err := json.NewEncoder(p.in).Encode(o); err == nil {
		err = p.answer(&p.addrs)
		if err == nil {
			return p, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not start", role), p.close())
}

func (p *part) answer(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// profile begins a CPU profile of the part, or ends it.
func (p *part) profile(on bool) error {
	word := "end\n"
	if on {
		word = "begin\n"
	}
	if _, err := io.WriteString(p.in, word); err != nil {
		return err
	}
	var ok bool
	return p.answer(&ok)
}

// close ends the part and waits for it.
func (p *part) close() error {
	_ = p.in.Close() // which tells it to end
	killer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	return p.cmd.Wait()
}

// play is the life of a part.
func play(role string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	var addrs addresses
	var end func()
	switch role {
	case roleCluster:
		addrs, end, err = cluster()
	case roleEcho:
		addrs, end, err = echo()
	case roleSidecar:
		addrs, end, err = whole(o)
	case roleBare:
		addrs, end, err = bare(o, true)
	case roleUnsafe:
		addrs, end, err = bare(o, false)
	default:
		err = fmt.Errorf("no part is called %q", role)
	}
	if err != nil {
		return err
	}
	defer end()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(addrs); err != nil {
		return err
	}
	return obey(in, out, o.Profile)
}
