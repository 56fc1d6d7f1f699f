package kafkabroker

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports come from below the range that systems give to outgoing connections.
// From that range one could be taken while the broker is down, and even by a
// client that tries to reach it: on loopback a connection may meet itself.
const (
	lowestPort = 15000
	portCount  = 17000
)

// freePorts returns two different loopback ports that nobody listens on. They
// may be taken before they are used; among so many that is unlikely, and then
// the broker says so in its log.
func freePorts() (first, second int, err error) {
	if first, err = freePort(0); err != nil {
		return 0, 0, err
	}
	second, err = freePort(first)
	return first, second, err
}

// freePort returns a port other than taken.
func freePort(taken int) (int, error) {
	var last error
	for range 100 {
		port := lowestPort + rand.IntN(portCount)
		if port == taken {
			continue
		}
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, errors.Join(errors.New("tried a hundred ports"), last)
}

// loopback returns the address of a local port.
func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
