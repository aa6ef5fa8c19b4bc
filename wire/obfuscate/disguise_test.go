package obfuscate

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// What a client of 2015 sent to port 443 in nDPI's public capture skype.pcap, 26
// times but for the last 16 bytes, and what it was answered.
const (
	clientHelloHex = "8046010301 002d 0000 0010 000005 000004 00000a 000009 000064 000062 000008 000003 000006 010080 0700c0 030080 060040 020080 040080" +
		"3fe40572bb30e19ef73c7d8af308d936"
	serverHelloHex = "160301004a 02000046 0301 401be486 02ade029e17774e544b9c99cb431315e02dd779d154a9609ba5da870" +
		"20 1ca0e4f64c6351ae2f8e4ee1e6766a0a88d5d8c55cae98c5e481f22a69bf9058 0005 00"
)

func TestClientHello(t *testing.T) {
	want := unhex(t, clientHelloHex)
	got := AppendClientHello([]byte{0xaa}, [16]byte(want[56:]))[1:]
	if !bytes.Equal(got, want) || len(got) != ClientHelloSize {
		t.Fatalf("AppendClientHello = %x", got)
	}
	if !IsClientHello(got) || !IsClientHello(got[:5]) || IsClientHello(got[:4]) {
		t.Error("IsClientHello does not tell")
	}
	if seed := binary.BigEndian.Uint32(got); GoodSeed(seed) {
		t.Error("an opening may begin like a hello")
	}
}

func TestServerHello(t *testing.T) {
	want := unhex(t, serverHelloHex)
	random := [60]byte(append(bytes.Clone(want[15:43]), want[44:76]...))
	got := AppendServerHello([]byte{0xaa}, binary.BigEndian.Uint32(want[11:]), random)[1:]
	if !bytes.Equal(got, want) || len(got) != ServerHelloSize {
		t.Fatalf("AppendServerHello = %x\nwant                %x", got, want)
	}
	if !IsServerHello(got) || IsServerHello(got[:78]) || IsServerHello(make([]byte, 79)) {
		t.Error("IsServerHello does not tell")
	}
}
