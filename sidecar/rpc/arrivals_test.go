package rpc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials/insecure"

	"google.golang.org/grpc"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// connected opens a connection that the server has accepted, and does not speak
// on it.
func connected(t *testing.T, r *rig) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it may be closed already
	serves(t, r)                        // on a connection that was accepted after it
	return c
}

// ending begins to end the server, and returns when nobody listens any more.
func ending(t *testing.T, r *rig) (ended <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.WithoutCancel(t.Context())) }()
	for {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			return done
		}
		_ = c.Close() // it only asks
	}
}

// A caller who was let in before the end gets his answer, however far his request
// had come.
func TestACallThatWasOnItsWayAtTheEndIsAnswered(t *testing.T) {
	const message = `{"topic":"t","records":[{"value":"YQ=="}]}`
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		v1.ProduceService_Produce_FullMethodName, len(message), message)
	for name, before := range map[string]int{
		"nothing of it": 0, "a part of its method": 2, "its method": 5, "a part of its header": 60, "all but its end": len(request) - 1,
	} {
		t.Run("over HTTP/1.1: "+name, func(t *testing.T) {
			r := newRig(t, nil)
			c := connected(t, r)
			write := func(text string) {
				if _, err := io.WriteString(c, text); err != nil {
					t.Fatal(err)
				}
			}
			write(request[:before])
			ended := ending(t, r)
			write(request[before:])
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "OUTCOME_DELIVERED") {
				t.Errorf("%d %s, %v", res.StatusCode, body, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("over gRPC", func(t *testing.T) {
		r := newRig(t, nil)
		raw := connected(t, r)
		dialed := make(chan net.Conn, 1)
		dialed <- raw
		ended := ending(t, r)
		cc, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return <-dialed, nil }))
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		if _, err := v1.NewProduceServiceClient(cc).Produce(t.Context(), &v1.ProduceRequest{Topic: "t", Records: []*v1.Record{{Value: []byte("a")}}}); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A connection that goes away, or was never to be served, is not waited for.
func TestTheEndDoesNotWaitForThoseWhoHaveGone(t *testing.T) {
	r := newRig(t, nil)
	for _, begin := range []string{"", "POST / HT", http2.ClientPreface, "PRI * HTTP/2.0\r\n\r\nSX"} {
		c := connected(t, r)
		if _, err := io.WriteString(c, begin); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.dial(t).Connect()
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
