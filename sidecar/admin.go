package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/auth"
	"github.com/fieldveil/fieldveil/sidecar/config"
)

// listenAdmin opens the listener for operators, which has a server and limits of
// its own: whatever keeps the data listeners busy, probes are answered.
func (s *server) listenAdmin(ctx context.Context) error {
	if s.cfg.Admin.Addr == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Admin.Addr)
	if err != nil {
		return fmt.Errorf("sidecar: admin: %w", err)
	}
	s.addrs["admin"] = l.Addr()
	s.log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("listener", "admin"), slog.String("address", l.Addr().String()))
	s.admin = s.httpServer(addressed(s.cfg.Admin.AllowedHosts, s.adminHandler(ctx)))
	s.admin.ReadTimeout = 10 * time.Second
	s.run1("admin", s.admin.Serve, limit(l, 256, 64))
	return nil
}

func (s *server) adminHandler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /startupz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.started.Load() {
			text(w, http.StatusServiceUnavailable, "starting\n")
			return
		}
		text(w, http.StatusOK, "started\n")
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, s.opts.Version+"\n") })
	mux.HandleFunc("GET /config", s.showConfig)
	if s.opts.Metrics != nil {
		mux.Handle("GET /metrics", s.opts.Metrics)
	}
	if s.cfg.Admin.PProf {
		mux.HandleFunc("GET /debug/pprof/{name}", profile)
	}
	mux.Handle("POST /shutdown", local(func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusAccepted, "draining\n")
		// On its way first: a server without traffic is gone in no time.
		_ = http.NewResponseController(w).Flush() // who asked is gone, and meant it
		s.stopOnce.Do(func() { close(s.stop) })
	}))
	mux.Handle("POST /reload", local(func(w http.ResponseWriter, r *http.Request) { s.reloadNow(ctx, w, r) }))
	return mux
}

// addressed lets through requests that name this host, and come from no page of
// another: nobody logs in here, so a browser must not be led here.
func addressed(allowed []string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := auth.TargetOf(r).Check(allowed); err != nil {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			auth.Refuse(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // who asked is gone
}

// local lets through who is on this host and not a page in somebody's browser: a
// page can send a request here, but neither hide where it comes from nor name this
// host as anything but its own name.
func local(h http.HandlerFunc) http.Handler {
	inner := http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !config.IsLoopback(r.RemoteAddr) || !config.IsLoopback(r.Host) {
			text(w, http.StatusForbidden, "on loopback only\n")
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool        `json:"ready"`
	Checks []checkView `json:"checks"`
	Reload *Status     `json:"reload,omitempty"`
}

type checkView struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Optional bool   `json:"optional,omitempty"`
	Error    string `json:"error,omitempty"`
}

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

func (s *server) readiness(ctx context.Context) readiness {
	var checks []Check
	gen, release := s.current.Acquire()
	defer release()
	switch {
	case s.draining.Load():
		checks = append(checks, Check{Name: "server", Err: errDraining})
	case gen == nil || !s.started.Load():
		checks = append(checks, Check{Name: "server", Err: errStarting})
	default:
		checks = append(checks, Check{Name: "server"})
	}
	if gen != nil && gen.Ready != nil {
		checks = append(checks, gen.Ready(ctx)...)
	}
	out := readiness{Ready: true, Reload: s.reloads.status.Load()}
	for _, c := range checks {
		v := checkView{Name: c.Name, OK: c.Err == nil, Optional: c.Optional}
		if c.Err != nil {
			v.Error = c.Reason()
			out.Ready = out.Ready && c.Optional
		}
		out.Checks = append(out.Checks, v)
	}
	return out
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	body := s.readiness(r.Context())
	status := http.StatusOK
	if !body.Ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		return // who asked is gone
	}
}

func (s *server) showConfig(w http.ResponseWriter, _ *http.Request) {
	cfg := s.reloads.loaded.Load()
	if cfg == nil {
		text(w, http.StatusServiceUnavailable, "starting\n")
		return
	}
	var b bytes.Buffer
	if err := s.opts.Format.Print(&b, cfg); err != nil {
		text(w, http.StatusInternalServerError, "the configuration cannot be shown\n")
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(b.Bytes()) // who asked is gone
}

// reloadNow reads the configuration again. A change that would protect less passes
// with its digest in the query: whoever sends it has read what it changes.
func (s *server) reloadNow(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if !s.started.Load() {
		text(w, http.StatusServiceUnavailable, "starting\n")
		return
	}
	if err := s.reloads.reload(ctx, "admin", r.URL.Query().Get("acknowledge"), true); err != nil {
		answer(w, http.StatusConflict, s.reloads.status.Load())
		return
	}
	answer(w, http.StatusOK, s.reloads.status.Load())
}

// profile serves a profile of the runtime, as net/http/pprof does, which would
// also put it on the default mux.
func profile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if name == "profile" {
		cpuProfile(w, r)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		text(w, http.StatusNotFound, "no such profile\n")
		return
	}
	level, err := strconv.Atoi(r.URL.Query().Get("debug"))
	if err != nil || level != 1 {
		// The second level shows stacks with the arguments of their functions.
		level = 0
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = p.WriteTo(w, level) // who asked is gone
}

func cpuProfile(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
	if err != nil || seconds < 1 || seconds > 60 {
		seconds = 10
	}
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		text(w, http.StatusConflict, "another profile is being taken\n")
		return
	}
	pause(r.Context(), time.Duration(seconds)*time.Second)
	pprof.StopCPUProfile()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(b.Bytes()) // who asked is gone
}
