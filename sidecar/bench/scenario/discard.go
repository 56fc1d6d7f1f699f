package scenario

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A discarding listener stands before brokers and answers what is produced by
// itself, as if it were written. All else goes to the brokers. So a broker costs
// little more than what it takes to read from a socket: what
// brokers do is no part of the figures.
type discarding struct{ net.Listener }

func listenDiscarding(network, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	return discarding{l}, nil
}

// Accept implements [net.Listener].
func (l discarding) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &discardingConn{Conn: c}, nil
}

// A discardingConn lets the broker read what is not to be produced. A client has a
// connection of its own for that, so no answer overtakes another.
type discardingConn struct {
	net.Conn

	frame []byte
	ready bytes.Reader // for the broker
	out   []byte
}

// Read implements [net.Conn].
func (c *discardingConn) Read(b []byte) (int, error) {
	for c.ready.Len() == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	return c.ready.Read(b)
}

// maxFrame is more than any request of the client.
const maxFrame = 128 << 20

var errFrame = errors.New("no request of Kafka")

// next takes one request.
func (c *discardingConn) next() error {
	var size [4]byte
	if _, err := io.ReadFull(c.Conn, size[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n < 10 || n > maxFrame {
		return errFrame
	}
	if cap(c.frame) < n+4 {
		c.frame = make([]byte, 2*(n+4))
	}
	frame := c.frame[:n+4]
	copy(frame, size[:])
	if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
		return err
	}
	if kmsg.Key(binary.BigEndian.Uint16(frame[4:])) == kmsg.Produce { //nolint:gosec // a key of a request is small
		return c.produced(frame[4:])
	}
	c.ready.Reset(bytes.Clone(frame))
	return nil
}

// produced answers a request to produce.
func (c *discardingConn) produced(frame []byte) error {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:]))) //nolint:gosec // it is one
	body := frame[8:]
	if n := int16(binary.BigEndian.Uint16(body)); n > 0 { //nolint:gosec // the client's id; -1 is none
		body = body[n:]
	}
	body = body[2:]
	if req.IsFlexible() {
		body = body[1:] // the header has no tags
	}
	if err := req.UnsafeReadFrom(body); err != nil {
		return err
	}
	out := append(append(c.out[:0], 0, 0, 0, 0), frame[4:8]...)
	res := accept(req)
	if res.IsFlexible() {
		out = append(out, 0)
	}
	out = res.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4)) //nolint:gosec // an answer is small
	c.out = out
	_, err := c.Conn.Write(out)
	return err
}

// accept answers as if all records were written.
func accept(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	res := req.ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert,errcheck // kmsg says so
	for i := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = req.Topics[i].Topic, req.Topics[i].TopicID
		for j := range req.Topics[i].Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition = req.Topics[i].Partitions[j].Partition
			topic.Partitions = append(topic.Partitions, p)
		}
		res.Topics = append(res.Topics, topic)
	}
	return res
}
