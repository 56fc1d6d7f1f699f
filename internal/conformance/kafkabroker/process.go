package kafkabroker

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

// A process is a child that has been started and is being waited for.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended and was reaped
	err  error         // what Wait said; read it after done is closed
}

// start runs cmd as a child that dies with this process.
//
// Linux sends the parent-death signal when the thread that forked ends, not
// when the process does. So the goroutine that forks keeps its thread locked
// until the child is gone: the runtime cannot end that thread any earlier, and
// a child is neither killed too soon nor left behind when the test binary
// panics, times out or is killed.
func start(cmd *exec.Cmd) (*process, error) {
	dieWithParent(cmd)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run starts cmd and waits until it has ended.
func run(cmd *exec.Cmd) error {
	p, err := start(cmd)
	if err != nil {
		return err
	}
	<-p.done
	return p.err
}

// signal sends sig to the child. That the child has ended already is no error.
func (p *process) signal(sig os.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// ended reports whether the child is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
