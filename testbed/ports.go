package testbed

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
)

// Ports are taken from below the range that kernels hand to outgoing connections (32768 and up on Linux),
// so that a server which is stopped and started again finds its port still free.
const (
	firstPort = 18000
	lastPort  = 32000
)

// handedOut holds every port this program was given, because a server needs a moment to listen on it, with
// what keeps other programs from being given it meanwhile.
var handedOut = struct {
	sync.Mutex
	ports map[int]io.Closer
}{ports: map[int]io.Closer{}}

// FreePort returns a port of 127.0.0.1 that nobody listens on, over TCP or UDP, and that this program was
// not given before.
func FreePort() (int, error) {
	handedOut.Lock()
	defer handedOut.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if handedOut.ports[port] != nil || !isFree(port) {
			continue
		}
		if mark, err := reserve(port); err == nil {
			handedOut.ports[port] = mark
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 after 1000 attempts")
}

// reserve marks a port as this program's until the program ends. The mark is a socket with an abstract name,
// which the kernel removes whatever becomes of us; only Linux has these, and elsewhere chance has to do.
func reserve(port int) (io.Closer, error) {
	if runtime.GOOS != "linux" {
		return io.NopCloser(nil), nil
	}
	return net.Listen("unix", fmt.Sprintf("@pki-external-ca-port-%d", port))
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
