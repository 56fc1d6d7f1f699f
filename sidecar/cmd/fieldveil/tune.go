package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// tuneCmd groups the commands that find settings and sizes.
type tuneCmd struct {
	Search tuneSearchCmd `cmd:"" default:"withargs" help:"Find the settings that reach a goal, by trying them."`
	Sizing tuneSizingCmd `cmd:"" help:"Calculate the calls to a KMS and what they cost."`
}

// tuneTarget says what is measured.
type tuneTarget struct {
	Surface  string   `default:"produce" enum:"produce" help:"What is measured: produce is a Go program with kgo and kgocrypt."`
	Workload string   `default:"avro20" enum:"avro20one,avro20,avro10k,json20,proto20" help:"The built-in records: avro20one, avro20, avro10k, json20 or proto20."`
	Brokers  []string `placeholder:"HOST:PORT" help:"Bootstrap servers of the cluster. Without them a broker in this process acknowledges records and throws them away."`
	TLS      bool     `name:"tls" help:"Connect by TLS, with the roots of this machine."`
	Topic    string   `default:"fieldveil-tune" placeholder:"NAME" help:"The topic that takes the records. It is made where there is none. Default ${default}."`
}

type tuneSearchCmd struct {
	tuneTarget `embed:""`

	Goal    string        `default:"max-rate" enum:"max-rate,rate-under-p99,p99-at-rate" help:"max-rate: the most records per second; rate-under-p99: the most with a p99 of at most --p99; p99-at-rate: the lowest p99 at --rate."`
	P99     time.Duration `name:"p99" placeholder:"50ms" help:"The bound of rate-under-p99."`
	Rate    float64       `placeholder:"N" help:"The records per second of p99-at-rate."`
	Budget  time.Duration `default:"2m" help:"How long it takes. More time finds smaller differences. Default ${default}."`
	Slice   time.Duration `placeholder:"600ms" help:"How long each trial measures. Default is a 200th of the budget, 100ms to 5s."`
	MinGain float64       `default:"0.02" placeholder:"0.02" help:"The least gain that is worth a change. Default ${default}."`
	Seed    uint64        `default:"1" help:"Decides about the order of trials."`
	Pods    int           `default:"1" placeholder:"N" help:"Say also what that many processes send to the brokers."`
	JSON    bool          `help:"Print the result as JSON."`
}

// Help is the second paragraph of the help text.
func (tuneSearchCmd) Help() string {
	return "It produces protected records with changing settings, and prints those to paste: YAML for the sidecar, options " +
		"for kgo. Settings are accepted only when they win in pairs of runs beside each other, and the winner runs against " +
		"the defaults once more in the end; what made no difference is said. Errors rule settings out. Ctrl-C prints the " +
		"best so far, which is then not confirmed. The records are protected under a key that is gone with the program: " +
		"nothing of them can be opened later, and a topic of a cluster keeps them until its retention removes them. Against " +
		"a cluster others see the load: give it a topic of its own, and think of quotas."
}

// Validate checks the flags together.
func (c tuneSearchCmd) Validate() error {
	switch {
	case c.Goal == string(tune.RateUnderP99) && c.P99 <= 0:
		return errors.New("--goal=rate-under-p99 needs --p99, such as --p99=50ms")
	case c.Goal == string(tune.P99AtRate) && !(c.Rate > 0):
		return errors.New("--goal=p99-at-rate needs --rate, such as --rate=10000")
	case c.Pods < 1:
		return errors.New("--pods: it is below 1")
	}
	return nil
}

var errInterrupted = errors.New("interrupted: what was printed is the best so far, and is not confirmed")

// Run searches and prints the result.
func (c tuneSearchCmd) Run(t *terminal) error {
	ctx, stop := interrupted()
	defer stop()
	// A second signal ends a trial that hangs.
	context.AfterFunc(ctx, stop)
	trial, end, err := c.trial(ctx, t)
	if err != nil {
		return err
	}
	defer end()
	return c.search(ctx, t, trial)
}

func (c tuneSearchCmd) search(ctx context.Context, t *terminal, trial tune.Trial) error {
	o := tune.Options{
		Goal: tune.Goal(c.Goal), P99: c.P99, Rate: c.Rate, Budget: c.Budget, Slice: c.Slice, MinGain: c.MinGain, Seed: c.Seed,
	}
	show := t.line()
	if show != nil {
		o.Progress = func(p tune.Progress) { show(p.Line(), false) }
	}
	r, err := tune.Search(ctx, trial, o)
	if show != nil {
		show("", true)
	}
	if r == nil {
		return err
	}
	if c.JSON {
		err = errors.Join(err, r.WriteJSON(t.out))
	} else {
		err = errors.Join(err, r.Write(t.out), c.fleet(t.out, r))
	}
	if r.Ended == tune.Interrupted {
		return errInterrupted
	}
	return err
}

// fleet says what many of these processes send.
func (c tuneSearchCmd) fleet(w io.Writer, r *tune.Result) error {
	var after tune.Sample
	switch {
	case r.Best == r.Start:
		after = r.Before
	case r.After != nil:
		after = *r.After
	}
	rate := after.Rate
	if tune.Goal(c.Goal) == tune.RateUnderP99 {
		rate = r.Carries
	}
	if c.Pods == 1 || rate <= 0 {
		return nil
	}
	n := float64(c.Pods)
	_, err := fmt.Fprintf(w, "\n%d processes send %.3g records/s", c.Pods, n*rate)
	if err == nil && after.BytesOut > 0 {
		_, err = fmt.Fprintf(w, ", %.3g MB/s,\nif the brokers take that much from all of them", n*rate*after.BytesOut/1e6)
	}
	if err == nil {
		_, err = fmt.Fprintln(w, ".")
	}
	return err
}

// trial returns what measures, and what ends it.
func (f *tuneTarget) trial(ctx context.Context, t *terminal) (tune.Trial, func(), error) {
	cases := workload.Cases()
	at := slices.IndexFunc(cases, func(c workload.Case) bool { return c.Name == f.Workload })
	if at < 0 {
		return nil, nil, fmt.Errorf("--workload: there is no %q", f.Workload)
	}
	client, endBroker, err := f.cluster(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	engine, endEngine, err := scenario.BuiltinEngine(ctx, cases[at], f.Topic)
	if err != nil {
		endBroker()
		return nil, nil, err
	}
	end := func() {
		endEngine()
		endBroker()
	}
	p := &scenario.ProduceTrial{Engine: engine, Topic: f.Topic, Values: [][]byte{cases[at].Record}, Client: client}
	trial, err := p.Trial()
	if err != nil {
		end()
		return nil, nil, err
	}
	return trial, end, nil
}

// cluster returns where the records go.
func (f *tuneTarget) cluster(ctx context.Context, t *terminal) ([]kgo.Opt, func(), error) {
	if len(f.Brokers) == 0 {
		say(t, "The broker is in this process and keeps nothing: what follows holds for the client and for the protection. "+
			"A cluster has other best settings: give --brokers.")
		return scenario.EmbeddedBroker(f.Topic)
	}
	client := []kgo.Opt{kgo.SeedBrokers(f.Brokers...), kgo.ClientID("fieldveil-tune")}
	if f.TLS {
		client = append(client, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	made, err := scenario.EnsureTopic(ctx, client, f.Topic)
	if err != nil {
		return nil, nil, err
	}
	if made {
		say(t, fmt.Sprintf("Warning: the topic %q was not there and was made. Delete it when you are done.", f.Topic))
	}
	return client, func() {}, nil
}

// say writes a paragraph for the person, in lines of 80 columns.
func say(t *terminal, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > 80 {
			_, _ = fmt.Fprintln(t.err, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	_, _ = fmt.Fprintln(t.err, line)
}
