package telemetry

import (
	"context"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// A Span is a span of a [Tracing]. The zero Span is none, and its methods do
// nothing. What a span can hold is what the methods take: never a key, a value or
// a header of a record.
type Span struct {
	s trace.Span
	t *Tracing
}

// Request begins the span of a request. Header are the headers or the metadata
// that it came with, of which traceparent is read, and tracestate if the
// configuration says so; baggage never is. Route is one of [Options.Routes], or empty when [Span.Route]
// names it later.
func (t *Tracing) Request(ctx context.Context, header map[string][]string, protocol, route string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	protocol, route = t.names.protocols.of(protocol), t.names.routes.of(route)
	ctx, s := t.start(t.extract(ctx, header), route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("fieldveil.protocol", protocol), semconv.HTTPRoute(routePath(route))))
	return ctx, Span{s, t}
}

// Protect begins the span of protecting records of a topic.
func (t *Tracing) Protect(ctx context.Context, topic string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	var opts []trace.SpanStartOption
	if topic != "" {
		opts = append(opts, trace.WithAttributes(semconv.MessagingDestinationName(topicName(topic))))
	}
	ctx, s := t.start(ctx, "protect", opts...)
	return ctx, Span{s, t}
}

// Publish begins the span of handing n records of a topic over to Kafka, which
// ends when the brokers have answered. Without a topic [Span.Topic] can name it
// later: until a broker has taken a record, its name is what a caller wrote.
func (t *Tracing) Publish(ctx context.Context, topic string, n int) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	attrs := []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
	}
	name := "send"
	if topic != "" {
		topic = topicName(topic)
		name += " " + topic
		attrs = append(attrs, semconv.MessagingDestinationName(topic))
	}
	if n > 1 {
		attrs = append(attrs, semconv.MessagingBatchMessageCount(n))
	}
	ctx, s := t.start(ctx, name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrs...))
	return ctx, Span{s, t}
}

// start begins a span, which [Span.End] ends.
func (t *Tracing) start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, opts...) //nolint:spancheck // Span.End ends it
}

// topicName is the name of a topic, or a word for what no topic can be called.
func topicName(topic string) string {
	if !isTopic(topic) {
		return "invalid"
	}
	return topic
}

// routePath is a route without its method.
func routePath(route string) string {
	if _, path, ok := strings.Cut(route, " "); ok {
		return path
	}
	return route
}

// Topic names the topic of a span of [Tracing.Publish] that has none.
func (s Span) Topic(topic string) {
	if s.s == nil || !s.s.IsRecording() {
		return
	}
	topic = topicName(topic)
	s.s.SetName("send " + topic)
	s.s.SetAttributes(semconv.MessagingDestinationName(topic))
}

// Partition says where a record went.
func (s Span) Partition(partition int32, offset int64) {
	if s.s == nil || partition < 0 || !s.s.IsRecording() {
		return
	}
	s.s.SetAttributes(semconv.MessagingDestinationPartitionID(strconv.Itoa(int(partition))), semconv.MessagingKafkaOffset(int(offset)))
}

// Route names the route of a span of [Tracing.Request] that had none, once it is
// known. It is one of [Options.Routes].
func (s Span) Route(route string) {
	if s.s == nil || !s.s.IsRecording() {
		return
	}
	route = s.t.names.routes.of(route)
	s.s.SetName(route)
	s.s.SetAttributes(semconv.HTTPRoute(routePath(route)))
}

// Status says with which HTTP status a request was answered.
func (s Span) Status(status int) {
	if s.s != nil && s.s.IsRecording() {
		s.s.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
}

// End ends the span. Code is the reason of a failure, empty or "ok" for none; it
// is one of the codes that the Observer knows.
func (s Span) End(code string) {
	if s.s == nil {
		return
	}
	if code != "" && code != codeOK {
		if _, ok := s.t.codes[code]; !ok {
			code = other
		}
		s.s.SetAttributes(semconv.ErrorTypeKey.String(code))
		s.s.SetStatus(otelcodes.Error, code)
	}
	s.s.End()
}

// TraceID returns the id of the trace for a line of the log, or "".
func (s Span) TraceID() string {
	if s.s == nil || !s.s.SpanContext().HasTraceID() {
		return ""
	}
	return s.s.SpanContext().TraceID().String()
}
