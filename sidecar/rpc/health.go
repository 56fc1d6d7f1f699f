package rpc

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// health is the state that grpc.health.v1 shows. It is not serving until it is
// told otherwise, and never again once it drains.
type health struct {
	mu       sync.Mutex
	serving  bool
	draining bool
	changed  chan struct{} // closed at the next change
}

func (h *health) set(serving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = serving
	h.signal()
}

func (h *health) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	h.signal()
}

func (h *health) signal() {
	if h.changed != nil {
		close(h.changed)
	}
	h.changed = make(chan struct{})
}

// status returns the state of a service, and what tells of the next change.
func (h *health) status(service string) (healthpb.HealthCheckResponse_ServingStatus, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	switch service {
	case "", v1.ProduceService_ServiceDesc.ServiceName, v1.ProtectService_ServiceDesc.ServiceName:
	default:
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN, h.changed
	}
	if h.serving && !h.draining {
		return healthpb.HealthCheckResponse_SERVING, h.changed
	}
	return healthpb.HealthCheckResponse_NOT_SERVING, h.changed
}

// watch sends the state of a service and each change of it, until ctx ends or
// the server stops.
func (h *health) watch(ctx context.Context, stopped <-chan struct{}, service string, send func(*healthpb.HealthCheckResponse) error) *failure {
	last := healthpb.HealthCheckResponse_ServingStatus(-1)
	for {
		now, changed := h.status(service)
		if now != last {
			last = now
			if err := send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return &failure{code: codes.Canceled, reason: "canceled", words: "the watch ended"}
			}
		}
		select {
		case <-changed:
		case <-stopped:
			if now, _ := h.status(service); now != last {
				continue
			}
			return &failure{code: codes.Unavailable, reason: "draining", words: "the sidecar is being shut down"}
		case <-ctx.Done():
			return &failure{code: status.FromContextError(ctx.Err()).Code(), reason: "canceled", words: "the watch ended"}
		}
	}
}

// grpcHealth serves health to grpc-go.
type grpcHealth struct {
	healthpb.UnimplementedHealthServer

	h       *health
	stopped <-chan struct{}
}

// Check implements [healthpb.HealthServer].
func (g *grpcHealth) Check(_ context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	out, fault := g.h.check(in)
	if fault != nil {
		return nil, fault.grpc()
	}
	return out, nil
}

// Watch implements [healthpb.HealthServer].
func (g *grpcHealth) Watch(in *healthpb.HealthCheckRequest, ss healthpb.Health_WatchServer) error {
	return g.h.watch(ss.Context(), g.stopped, in.GetService(), ss.Send).grpc()
}

func (h *health) check(in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, *failure) {
	now, _ := h.status(in.GetService())
	if now == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, &failure{code: codes.NotFound, reason: "service_unknown", words: "no such service"}
	}
	return &healthpb.HealthCheckResponse{Status: now}, nil
}
