package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

func listen() (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// playEcho serves the yardsticks: servers of the same libraries that give back what
// they get.
func playEcho() (role, error) {
	g, err := listen()
	if err != nil {
		return role{}, err
	}
	m, err := listen()
	if err != nil {
		return role{}, errors.Join(err, g.Close())
	}
	h, err := listen()
	if err != nil {
		return role{}, errors.Join(err, g.Close(), m.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bytes", echoBytes)
	mux.HandleFunc("POST /json", echoJSON)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	rpc := grpc.NewServer(grpc.ForceServerCodecV2(opaqueCodec{}), grpc.UnknownServiceHandler(echoStream))
	typed := grpc.NewServer(grpc.UnknownServiceHandler(echoMessages))
	go func() { _ = rpc.Serve(g) }()
	go func() { _ = typed.Serve(m) }()
	go func() { _ = web.Serve(h) }()
	end := func() {
		rpc.Stop()
		typed.Stop()
		_ = web.Close() // it is the end
	}
	return role{addrs: addresses{"grpc": g.Addr().String(), "messages": m.Addr().String(), "rest": h.Addr().String()}, end: end}, nil
}

// echoStream gives back messages without a look into them, of calls of all kinds.
func echoStream(_ any, s grpc.ServerStream) error {
	for {
		var m opaque
		if err := s.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(&m); err != nil {
			return err
		}
	}
}

// echoMessages gives back messages that it has read and writes anew, by the
// generated code.
func echoMessages(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	for {
		var m proto.Message = &v1.ProduceStreamRequest{}
		if method == v1.ProduceService_Produce_FullMethodName {
			m = &v1.ProduceRequest{}
		}
		if err := s.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(m); err != nil {
			return err
		}
	}
}

func echoBytes(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

type echoRecord struct {
	Key   any `json:"key,omitempty"`
	Value any `json:"value"`
}

// echoJSON is what a service does that reads records with encoding/json and gives
// them back.
func echoJSON(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Records []echoRecord `json:"records"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(in); err != nil {
		panic(http.ErrAbortHandler) //nolint:forbidigo // the documented way to cut a connection
	}
}

// opaque is a message that nobody looks into.
type opaque struct{ b mem.BufferSlice }

var errForm = errors.New("not an opaque message")

type opaqueCodec struct{}

func (opaqueCodec) Name() string { return "proto" }

func (opaqueCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*opaque)
	if !ok {
		return nil, errForm
	}
	return m.b, nil
}

func (opaqueCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*opaque)
	if !ok {
		return errForm
	}
	data.Ref()
	m.b = data
	return nil
}
