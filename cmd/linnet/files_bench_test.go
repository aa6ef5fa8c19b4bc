package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/linnet-p2p/linnet"
)

const benchFile = 64 << 20

// BenchmarkFile sends a file from one process to another one over loopback.
func BenchmarkFile(b *testing.B) {
	n := newNetwork(b, 2, "open").run()
	alice, bob := n.person(b, "alice", inOwnProcess), n.person(b, "bob", inOwnProcess)
	befriend(alice, bob)
	path, _ := someBytes(b, "file", benchFile, 1)
	b.SetBytes(benchFile)
	for b.Loop() {
		b.StopTimer()
		id := alice.sends(bob, path)
		b.StartTimer()
		bob.do("files", "accept").succeeds()
		for f := bob.file(id); f.State != linnet.FileDone; f = bob.file(id) {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// BenchmarkPlainQUIC does what QUIC alone does, in one process, with packets of the same size.
func BenchmarkPlainQUIC(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	config := &quic.Config{InitialPacketSize: 1200, DisablePathMTUDiscovery: true}
	server, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"bench"}}, config)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept(b.Context())
			if err != nil {
				return
			}
			s, err := c.OpenUniStreamSync(b.Context())
			if err != nil {
				return
			}
			io.CopyN(s, zeros{}, benchFile)
			s.Close()
		}
	}()
	b.SetBytes(benchFile)
	for b.Loop() {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		c, err := quic.Dial(b.Context(), socket, server.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"bench"}}, config)
		if err != nil {
			b.Fatal(err)
		}
		s, err := c.AcceptUniStream(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, s); n != benchFile || err != nil {
			b.Fatal(n, err)
		}
		c.CloseWithError(0, "")
		socket.Close()
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
