package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the range that kernels hand to outgoing connections (32768 and up on Linux),
// so that a server which is stopped and started again finds its port still free.
const (
	firstPort = 18000
	lastPort  = 32000
)

// handedOut holds every port this program was given, because a server needs a moment to listen on it.
var handedOut = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreePort returns a port of 127.0.0.1 that nobody listens on, over TCP or UDP, and that this program was
// not given before.
func FreePort() (int, error) {
	handedOut.Lock()
	defer handedOut.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !handedOut.ports[port] && isFree(port) {
			handedOut.ports[port] = true
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 after 1000 attempts")
}

// FreePorts returns n different ports as FreePort does.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		ports[i] = port
	}
	return ports, nil
}

// Loopback is the address of a port on 127.0.0.1.
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func isFree(port int) bool {
	tcp, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return false
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", Loopback(port))
	if err != nil {
		return false
	}
	return udp.Close() == nil
}
