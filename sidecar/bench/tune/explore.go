package tune

import (
	"cmp"
	"math"
	"slices"
)

// The phases of a search.
const (
	PhaseMeasuring  = "measuring"
	PhaseSearching  = "searching"
	PhaseConfirming = "confirming"
)

// maxVisits bounds how often a setting is turned: two that depend on each other
// climb together, and noise must not send them round for ever.
const maxVisits = 4

// explore turns each setting until none has news, and then those that depend on
// each other together.
func (s *search) explore() error {
	s.phase = Progress{Phase: PhaseMeasuring}
	if err := s.pace(); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	dials := s.o.Ladders.dials(*s.o.Start)
	visits := make([]int, len(dials))
	due := make([]bool, len(dials))
	for i := range due {
		due[i] = true
		s.result.Unvisited = append(s.result.Unvisited, dials[i].name)
	}
	for range maxVisits {
		if err := s.oneByOne(dials, visits, due); err != nil {
			return err
		}
		won, err := s.together(dials)
		if err != nil || !won {
			return err
		}
		for i := range due {
			due[i] = true
		}
	}
	return nil
}

const (
	// quiet is a noise of pairs that needs no repetition, as a standard deviation
	// of logarithms.
	quiet = 0.03
	// wholeSearch is about how many trials a search has that repeats nothing.
	wholeSearch = 350
	maxRepeats  = 5
)

// listen measures the noise, and decides how often trials are repeated: as often
// as it takes, within what the budget has room for.
func (s *search) listen() error {
	const n = 7
	var last, sum float64
	for i := range n {
		got, err := s.measure(s.best)
		if err != nil {
			return err
		}
		if i > 0 {
			d := ahead(got, last) // neighbours, so that drift is no noise
			sum += d * d
		}
		last = got
	}
	s.result.Noise = math.Sqrt(sum / (n - 1))
	room := 1.0
	if s.spent > 0 {
		each := s.spent.Seconds() / float64(s.trials)
		room = s.left().Seconds() / each / wholeSearch
	}
	noise := s.result.Noise / quiet
	s.repeats = int(max(1, math.Round(min(noise*noise, room, maxRepeats))))
	// A small gain takes many pairs to be seen, where there is time for them.
	s.longer = max(s.repeats, int(min(room, 2)))
	return nil
}

// oneByOne turns the settings that are due, until none is.
func (s *search) oneByOne(dials []dial, visits []int, due []bool) error {
	for slices.Contains(due, true) {
		for i, d := range dials {
			if !due[i] || visits[i] >= maxVisits {
				due[i] = false
				continue
			}
			won, err := s.turn(d.name, d.values[d.at(s.best)], d.moves(s.best, *s.o.Start, visits[i] > 0))
			if err != nil {
				return err
			}
			s.result.Unvisited = slices.DeleteFunc(s.result.Unvisited, func(n string) bool { return n == d.name })
			due[i] = false
			visits[i]++
			if !won {
				continue
			}
			// What was found about the others was found beside another value.
			for k := range due {
				due[k] = due[k] || k != i
			}
			// On a ladder, the step after this one.
			due[i] = d.ordered && visits[i] > 1
		}
	}
	return nil
}

// together turns the first two ordered settings at once: callers and the size of
// their bursts. More of one needs less of the other where something bounds what
// is under way, and then no step of one alone leads on.
func (s *search) together(dials []dial) (won bool, err error) {
	var two []dial
	for _, d := range dials {
		if d.name == NameConcurrency || d.name == NameBatchRecords {
			two = append(two, d)
		}
	}
	if len(two) < 2 {
		return false, nil
	}
	a, b := two[0], two[1]
	i, k := a.at(s.best), b.at(s.best)
	home := [2]int{a.at(*s.o.Start), b.at(*s.o.Start)}
	var moves []move
	for x := max(0, i-2); x <= min(i+2, len(a.values)-1); x++ {
		for y := max(0, k-2); y <= min(k+2, len(b.values)-1); y++ {
			if x == i || y == k {
				continue // one alone was turned
			}
			moves = append(moves, move{a.values[x] + " × " + b.values[y], b.set(a.set(s.best, x), y), distance(x, home[0]) + distance(y, home[1])})
		}
	}
	return s.turn(a.name+" × "+b.name, a.values[i]+" × "+b.values[k], moves)
}

// A move is a step that could be taken.
type move struct {
	value string // as a person reads it
	set   Settings
	far   int // from where the search began
}

func distance(a, b int) int { return max(a-b, b-a) }

// moves returns the other values of a setting, or only those beside the one that
// it has.
func (d *dial) moves(best, start Settings, beside bool) []move {
	var out []move
	at, home := d.at(best), d.at(start)
	for i, v := range d.values {
		if i == at || beside && d.ordered && distance(i, at) > 1 {
			continue
		}
		m := move{v, d.set(best, i), i}
		if d.ordered {
			m.far = distance(i, home)
		}
		out = append(out, m)
	}
	return out
}

// A runner is a move that is still in the race.
type runner struct {
	move

	sum    float64 // of how far it was ahead, in each round
	rounds int
	failed int
}

func (r *runner) mean() float64 { return r.sum / float64(r.rounds) }

const (
	// hopeless is how far behind the settings so far a value is given up after its
	// first round, as a logarithm; after n rounds it is by the root of n less.
	hopeless = 0.10
	// alike is how near two values are between which their place decides.
	alike = 0.01
)

// turn tries moves, and tells whether one was accepted.
func (s *search) turn(name, from string, moves []move) (won bool, err error) {
	s.phase = Progress{Phase: PhaseSearching, Name: name}
	step := Step{Name: name, From: from, Tried: []Tried{}}
	field := make([]*runner, 0, len(moves))
	for _, m := range moves {
		if s.bearable(m.set) {
			field = append(field, &runner{move: m})
		}
	}
	all := slices.Clone(field)
	for len(field) > 0 {
		if err := s.round(from, field); err != nil {
			return false, err
		}
		slices.SortStableFunc(field, func(a, b *runner) int { return cmp.Compare(b.mean(), a.mean()) })
		last := len(field)
		field = slices.DeleteFunc(field, func(r *runner) bool {
			return r.mean() < -hopeless/math.Sqrt(float64(r.rounds))
		})
		if last <= 2 || len(field) <= 1 {
			break
		}
		field = field[:(len(field)+1)/2]
	}
	for _, r := range all {
		step.Tried = append(step.Tried, Tried{Value: r.value, Ratio: math.Exp(r.mean()), Rounds: r.rounds, Failed: r.failed})
	}
	if len(field) > 0 {
		first := nearest(field)
		won, err = s.challenge(&step, first)
		// The rounds are noise too: who was good in them gets a chance.
		for _, r := range field {
			if err == nil && !won && r != first && r.mean() > math.Log(1+s.o.MinGain/2) {
				won, err = s.challenge(&step, r)
			}
		}
	}
	if err != nil {
		return false, err // pairs that the end of the time cut short say nothing
	}
	s.result.Steps = append(s.result.Steps, step)
	if won {
		err = s.pace()
	}
	return won, err
}

// longest is how many seconds of the highest rate may be under way.
const longest = 2

// bearable tells whether a trial of settings ends in a sensible time.
func (s *search) bearable(set Settings) bool {
	n := set.Concurrency * set.BatchRecords
	return s.top <= 0 || n <= s.best.Concurrency*s.best.BatchRecords || float64(n) <= longest*s.top
}

// challenge has the one that is left run against the settings so far.
func (s *search) challenge(step *Step, c *runner) (won bool, err error) {
	step.To, s.phase.Value = c.value, c.value
	pairs, won, err := s.duel(c.set)
	step.Pairs, step.Accepted = &pairs, won
	if won {
		s.best = c.set
		s.gain += math.Log(pairs.Ratio)
	}
	return won, err
}

// round runs the field and the settings so far, in random order, as often as the
// noise asks for.
func (s *search) round(from string, field []*runner) error {
	for range s.repeats {
		got := make([]float64, len(field)+1)
		for _, i := range s.rng.Perm(len(got)) {
			set := s.best
			s.phase.Value = from
			if i < len(field) {
				set, s.phase.Value = field[i].set, field[i].value
			}
			var err error
			if got[i], err = s.measure(set); err != nil {
				return err
			}
		}
		for i, r := range field {
			r.sum += ahead(got[i], got[len(field)])
			r.rounds++
			if math.IsInf(got[i], -1) {
				r.failed++
			}
		}
	}
	return nil
}

// nearest returns the one to go on with: of those that are as good as the best of
// the field, which is in order, the one that is nearest to where the search began.
// Nobody should pay in memory or delay for what is noise.
func nearest(field []*runner) *runner {
	best := field[0]
	for _, r := range field[1:] {
		if field[0].mean()-r.mean() < alike && r.far < best.far {
			best = r
		}
	}
	return best
}
