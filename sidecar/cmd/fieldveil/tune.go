package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/bench/input"
	"github.com/fieldveil/fieldveil/sidecar/bench/scenario"
	"github.com/fieldveil/fieldveil/sidecar/bench/tune"
	"github.com/fieldveil/fieldveil/sidecar/kafka"
)

// tuneCmd groups the commands that find settings and sizes.
type tuneCmd struct {
	Search tuneSearchCmd `cmd:"" default:"withargs" help:"Find the settings that reach a goal, by trying them."`
	Sizing tuneSizingCmd `cmd:"" help:"Calculate the calls to a KMS and what they cost."`
}

// tuneTarget says what is measured.
type tuneTarget struct {
	input.Options `embed:""`

	Surface string `default:"produce" enum:"produce,grpc-stream,grpc-unary,rest-binary,rest-raw,rest-json" help:"What is measured: produce is a Go program with kgo and kgocrypt; the others are the sidecar, by one of its ways in."`
	Send    bool   `help:"Send to --topic at --brokers, always protected. The records stay there: use a topic that was made for this. Without it a broker of its own forgets them. A built-in workload goes to --brokers without being told."`
}

type tuneSearchCmd struct {
	tuneTarget `embed:""`

	Goal    string        `default:"max-rate" enum:"max-rate,rate-under-p99,p99-at-rate" help:"max-rate: the most records per second; rate-under-p99: the most with a p99 of at most --p99; p99-at-rate: the lowest p99 at --rate."`
	P99     time.Duration `name:"p99" placeholder:"50ms" help:"The bound of rate-under-p99."`
	Rate    float64       `placeholder:"N" help:"The records per second of p99-at-rate."`
	Budget  time.Duration `default:"2m" help:"How long it takes. More time finds smaller differences. Default ${default}."`
	Slice   time.Duration `placeholder:"600ms" help:"How long each trial measures. Default is a 200th of the budget, 100ms to 5s."`
	MinGain float64       `default:"0.02" placeholder:"0.02" help:"The least gain that is worth a change. Default ${default}."`
	Order   uint64        `default:"1" placeholder:"N" help:"Decides about the order of trials. Default ${default}."`
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
func (c tuneSearchCmd) Run(t *terminal) (err error) {
	ctx, stop := interrupted()
	defer stop()
	// A second signal ends a trial that hangs.
	context.AfterFunc(ctx, stop)
	trial, end, err := c.trial(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	return c.search(ctx, t, trial)
}

func (c tuneSearchCmd) search(ctx context.Context, t *terminal, trial tune.Trial) error {
	o := tune.Options{
		Goal: tune.Goal(c.Goal), P99: c.P99, Rate: c.Rate, Budget: c.Budget, Slice: c.Slice, MinGain: c.MinGain, Seed: c.Order, Ladders: scenario.Ladders(c.Surface),
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

// ownTopic takes the records of a built-in workload on a cluster.
const ownTopic = "fieldveil-tune"

// trial returns what measures, and what ends it.
func (f *tuneTarget) trial(ctx context.Context, t *terminal) (tune.Trial, func() error, error) {
	builtin := f.Policy == ""
	send := f.Send || builtin && len(f.Brokers) > 0
	if send && len(f.Brokers) == 0 {
		return nil, nil, errSend
	}
	from := f.Options
	if builtin {
		from.Topic, from.Brokers = "", nil // it has its own
	}
	set, err := input.Load(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	p := scenario.Params{Set: set, Surface: f.Surface}
	if !send {
		say(t, "The broker is a process of its own and keeps nothing: what follows holds for the client and for the protection. "+
			"A cluster has other best settings: give --brokers.")
		return scenario.NewTrial(ctx, p)
	}
	if builtin {
		if err := set.Move(cmp.Or(f.Topic, ownTopic)); err != nil {
			return nil, nil, err
		}
	}
	config := f.Kafka()
	p.Kafka, p.SecretFiles = &config, f.KafkaSecret
	opts, err := kafka.Options(&config)
	if err != nil {
		return nil, nil, err
	}
	made, err := scenario.EnsureTopic(ctx, opts, set.Topic)
	if err != nil {
		return nil, nil, err
	}
	if made {
		say(t, fmt.Sprintf("Warning: the topic %q was not there and was made. Delete it when you are done.", set.Topic))
	}
	return scenario.NewTrial(ctx, p)
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
