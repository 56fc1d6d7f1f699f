package main

import (
	"fmt"
	"os"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/keyops"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

// progressEvery is how often a line of progress changes.
const progressEvery = 200 * time.Millisecond

// line returns a function that shows a line which takes the place of the one
// before, where standard error is a terminal, and nil where it is not: nobody
// wants a thousand lines in a log.
func (t *terminal) line() func(text string, last bool) {
	f, ok := t.err.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	var shown time.Time
	return func(text string, last bool) {
		if now := time.Now(); last || now.Sub(shown) >= progressEvery {
			shown = now
			_, _ = fmt.Fprintf(t.err, "\r\x1b[K%s", text)
			if last {
				_, _ = fmt.Fprintln(t.err)
			}
		}
	}
}

func (t *terminal) census() func(kgocrypt.CensusProgress) {
	show := t.line()
	if show == nil {
		return nil
	}
	return func(p kgocrypt.CensusProgress) {
		percent := 100.0
		if p.Total > 0 {
			percent = 100 * float64(p.Offsets) / float64(p.Total)
		}
		show(fmt.Sprintf("%5.1f %%  %d records, %d keys and partitions", percent, p.Records, p.Spans), p.Done)
	}
}

func (t *terminal) rewrap() func(keyops.RewrapResult) {
	show := t.line()
	if show == nil {
		return nil
	}
	return func(r keyops.RewrapResult) {
		show(fmt.Sprintf("%d seen, %d moved, %d failed", r.Seen, r.Moved, r.Failed), false)
	}
}
