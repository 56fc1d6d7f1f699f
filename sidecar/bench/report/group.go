package report

import (
	"fmt"
	"strings"
)

// A group is the cases of one scenario, in their order.
type group struct {
	Scenario string
	Cases    []*Case
}

// groups sorts cases by scenario, in the order in which scenarios come first.
func groups(r *Report) []group {
	var out []group
	at := map[string]int{}
	for i := range r.Cases {
		c := &r.Cases[i]
		n, ok := at[c.Scenario]
		if !ok {
			n = len(out)
			at[c.Scenario] = n
			out = append(out, group{Scenario: c.Scenario})
		}
		out[n].Cases = append(out[n].Cases, c)
	}
	return out
}

// label is the name of a case below the name of its scenario.
func label(c *Case) string {
	if s, ok := strings.CutPrefix(c.Name, c.Scenario+"/"); ok && s != "" {
		return s
	}
	return c.Name
}

// tally counts what became of the goals.
func tally(goals []Goal) (held, short, skipped int) {
	for i := range goals {
		switch {
		case goals[i].Skipped != "":
			skipped++
		case goals[i].Held():
			held++
		default:
			short++
		}
	}
	return held, short, skipped
}

// verdict says in one sentence how the run went by its goals.
func verdict(r *Report) string {
	held, short, skipped := tally(r.Goals)
	measured := held + short
	var s string
	switch {
	case len(r.Goals) == 0:
		return fmt.Sprintf("%s measured. This run has no goals.", plural(len(r.Cases), "case"))
	case measured == 0:
		return fmt.Sprintf("None of %s was measured.", plural(len(r.Goals), "goal"))
	case short == 0 && measured == 1:
		s = "The one goal that was measured is reached"
	case short == 0:
		s = fmt.Sprintf("All %d goals that were measured are reached", measured)
	default:
		s = fmt.Sprintf("%d of %s reached, %d %s short", held, plural(measured, "goal"), short, word(short, "falls", "fall"))
	}
	if skipped > 0 {
		s += fmt.Sprintf("; %d not measured", skipped)
	}
	return s + "."
}

func plural(n int, noun string) string {
	return grouped(int64(n)) + " " + word(n, noun, noun+"s")
}

func word(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// wanted writes the bound of a goal: "≤ 1.9 × floor".
func wanted(g *Goal) string {
	sign := "≤ "
	if g.AtLeast {
		sign = "≥ "
	}
	return sign + withUnit(short(g.Want), g.Unit)
}

func withUnit(s, unit string) string {
	if unit == "" {
		return s
	}
	return s + " " + unit
}

// ratioUnit says what a ratio of the case is by.
func ratioUnit(c *Case) string {
	if c.Yardstick != "" {
		return c.Yardstick
	}
	return "the floor"
}
