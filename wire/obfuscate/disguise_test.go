package obfuscate

import (
	"bytes"
	"testing"
)

// What is documented (AD, FS): the first five bytes, that the length in the
// first two is that of the rest, and that the last sixteen are random.
func TestClientHello(t *testing.T) {
	challenge := [16]byte(bytes.Repeat([]byte{0xcc}, 16))
	b := AppendClientHello([]byte{0xaa}, challenge)[1:]
	if len(b) != 72 || !bytes.HasPrefix(b, unhex(t, "8046010301")) || !bytes.HasSuffix(b, challenge[:]) {
		t.Fatalf("AppendClientHello = %x", b)
	}
	if length := int(b[0]&0x7f)<<8 | int(b[1]); length != len(b)-2 {
		t.Errorf("it says that %d bytes follow, and there are %d", length, len(b)-2)
	}
	ciphers, session, random := int(b[5])<<8|int(b[6]), int(b[7])<<8|int(b[8]), int(b[9])<<8|int(b[10])
	if ciphers%3 != 0 || session != 0 || random != 16 || 11+ciphers+session+random != len(b) {
		t.Errorf("ciphers of %d bytes, session of %d, challenge of %d in %d", ciphers, session, random, len(b))
	}
	if !IsClientHello(b) || !IsClientHello(b[:5]) || IsClientHello(b[:4]) {
		t.Error("IsClientHello does not tell")
	}
	if seed := uint32(0x80460103); GoodSeed(seed) {
		t.Error("an opening may begin like a hello")
	}
}

func TestServerHello(t *testing.T) {
	b := AppendServerHello([]byte{0xaa}, 0x01020304, [60]byte(bytes.Repeat([]byte{0xcc}, 60)))[1:]
	if len(b) != 79 || !bytes.HasPrefix(b, unhex(t, "160301")) || !bytes.Equal(b[11:15], unhex(t, "01020304")) {
		t.Fatalf("AppendServerHello = %x", b)
	}
	if record, message := int(b[3])<<8|int(b[4]), int(b[6])<<16|int(b[7])<<8|int(b[8]); 5+record != len(b) || 9+message != len(b) {
		t.Errorf("a record of %d bytes, a message of %d, in %d", record, message, len(b))
	}
	if b[43] != 32 {
		t.Errorf("a session id of %d bytes", b[43])
	}
	if !IsServerHello(b) || IsServerHello(b[:78]) || IsServerHello(make([]byte, 79)) {
		t.Error("IsServerHello does not tell")
	}
}
