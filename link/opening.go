package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// open exchanges openings. Who was called says nothing before the caller has
// shown what he speaks, so that a port scanner finds a silent port.
func (s *stream) open() (in, out *obfuscate.Stream, err error) {
	s.raw.SetDeadline(time.Now().Add(openTimeout))
	defer s.raw.SetDeadline(time.Time{})
	dialled := s.door.dialled
	seed, word := obfuscate.DrawSeed(rand.Uint32), uint16(dialledWord)
	say := func() error {
		_, err := s.conn.Write(obfuscate.AppendOpening(nil, seed, word))
		return err
	}
	if dialled {
		if err := s.disguise(); err != nil {
			return nil, nil, err
		}
		if err := say(); err != nil {
			return nil, nil, err
		}
	} else {
		word = uint16(rand.Uint32())
	}
	var theirs [obfuscate.OpeningSize]byte
	_, err = io.ReadFull(s.conn, theirs[:beginning])
	if err == nil && !dialled && s.foreign(theirs[:beginning]) {
		return nil, nil, errForeign
	}
	if err == nil && !dialled && s.door.tls && isTLS(theirs[:]) {
		if err := s.unwrap(theirs[:beginning]); err != nil {
			return nil, nil, err
		}
		_, err = io.ReadFull(s.conn, theirs[:beginning])
	}
	if err == nil {
		_, err = io.ReadFull(s.conn, theirs[beginning:])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errOpening, err)
	}
	if !dialled && s.link.classic.Load() && obfuscate.IsClientHello(theirs[:]) {
		if err := s.undisguise(&theirs); err != nil {
			return nil, nil, err
		}
	}
	theirSeed, _, err := obfuscate.ParseOpening(theirs)
	if err != nil {
		return nil, nil, err
	}
	if !dialled {
		if err := say(); err != nil {
			return nil, nil, err
		}
	}
	return obfuscate.NewStream(theirSeed), obfuscate.NewStream(seed), nil
}

// beginning is how much of a connection tells what it is.
const beginning = 5

// foreign lets Options.Foreign have the connection, if it wants it.
func (s *stream) foreign(begin []byte) bool {
	if s.link.o.Foreign == nil || obfuscate.GoodSeed(binary.BigEndian.Uint32(begin)) {
		return false
	}
	return s.link.o.Foreign(begin, s.conn)
}

const portTLS = 443

// disguise begins a stream to port 443 as the web does: with TLS, or as clients of
// classic networks made believe.
func (s *stream) disguise() error {
	if !s.door.tls {
		return nil
	}
	if !s.link.classic.Load() {
		return s.wrap(s.door.name)
	}
	if _, err := s.conn.Write(obfuscate.AppendClientHello(nil, [16]byte(random(16)))); err != nil {
		return err
	}
	var answer [obfuscate.ServerHelloSize]byte
	if _, err := io.ReadFull(s.conn, answer[:]); err != nil {
		return fmt.Errorf("%w: %w", errOpening, err)
	}
	if !obfuscate.IsServerHello(answer[:]) {
		return obfuscate.ErrOpening
	}
	return nil
}

// undisguise answers a hello, of which the first bytes are in opening, and
// reads the opening behind it.
func (s *stream) undisguise(opening *[obfuscate.OpeningSize]byte) error {
	var rest [obfuscate.ClientHelloSize - obfuscate.OpeningSize]byte
	_, err := io.ReadFull(s.conn, rest[:])
	if err == nil {
		_, err = s.conn.Write(obfuscate.AppendServerHello(nil, uint32(time.Now().Unix()), [60]byte(random(60))))
	}
	if err == nil {
		_, err = io.ReadFull(s.conn, opening[:])
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errOpening, err)
	}
	return nil
}

// random is n bytes that look like nothing.
func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
