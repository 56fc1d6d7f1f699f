package sidecar

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often files are looked at where no event comes: file systems
// of a network tell nobody what changes.
const pollEvery = 30 * time.Second

// A watcher calls its function after something happened in the directories of some
// files, once it has been quiet for a while. It watches directories, because what
// replaces a file, as Kubernetes does by a symbolic link, is not seen at the file
// itself.
type watcher struct {
	files    func() []string
	debounce func() time.Duration
	changed  func()
	log      *slog.Logger
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	events, errs := make(<-chan fsnotify.Event), make(<-chan error)
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.LogAttrs(ctx, slog.LevelWarn, "files are looked at from time to time only: nothing tells of changes", slog.Any("error", err))
	} else {
		defer func() { _ = notify.Close() }()
		events, errs = notify.Events, notify.Errors
	}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	for {
		if notify != nil && w.follow(ctx, notify) {
			// What changed before it was watched is found by looking.
			w.changed()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-events:
			quiet.Reset(w.debounce())
		case err := <-errs:
			// Events were lost: what they told is found by looking.
			w.log.LogAttrs(ctx, slog.LevelWarn, "watching files", slog.Any("error", err))
			quiet.Reset(w.debounce())
		case <-poll.C:
			w.changed()
		case <-quiet.C:
			w.changed()
		}
	}
}

// follow watches the directories of the files as they are now, and no other. It
// tells whether there is one that was not watched before.
func (w *watcher) follow(ctx context.Context, notify *fsnotify.Watcher) (added bool) {
	want := directories(w.files())
	have := notify.WatchList()
	for _, dir := range want {
		if slices.Contains(have, dir) {
			continue
		}
		if err := notify.Add(dir); err != nil {
			w.log.LogAttrs(ctx, slog.LevelWarn, "a directory cannot be watched", slog.String("path", dir), slog.Any("error", err))
			continue
		}
		added = true
	}
	for _, dir := range have {
		if !slices.Contains(want, dir) {
			_ = notify.Remove(dir) // a directory that is gone is not watched either
		}
	}
	return added
}

// directories returns where the files are, and where what they link to is.
func directories(files []string) []string {
	var out []string
	for _, path := range files {
		out = append(out, filepath.Dir(path))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			out = append(out, filepath.Dir(target))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
