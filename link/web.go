package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// Web is where a link listens besides its own port, for nodes behind firewalls
// that let only the web pass. The zero value is nowhere.
type Web struct {
	Plain netip.AddrPort // the same streams as on the own port; meant for port 80
	TLS   netip.AddrPort // streams inside TLS 1.3, in disguise on classic networks; meant for port 443

	// Certificate is what TLS shows; nil means one that the link signs itself. Nobody
	// checks it: it is for who watches, and who is there the session proves.
	Certificate *tls.Certificate
}

// listenWeb opens what Options.Web asks for.
func (l *Link) listenWeb(ctx context.Context) error {
	w := l.o.Web
	if w.Plain.IsValid() {
		if err := l.listenStreams(ctx, w.Plain, false); err != nil {
			return &ListenError{w.Plain, true, err}
		}
	}
	if !w.TLS.IsValid() {
		return nil
	}
	if w.Certificate == nil {
		made, err := selfSigned(time.Now())
		if err != nil {
			return fmt.Errorf("link: certificate: %w", err)
		}
		w.Certificate = made
	}
	l.tls = &tls.Config{Certificates: []tls.Certificate{*w.Certificate}, MinVersion: tls.VersionTLS13}
	if err := l.listenStreams(ctx, w.TLS, true); err != nil {
		return &ListenError{w.TLS, true, err}
	}
	return nil
}

// selfSigned makes a certificate that says nothing.
func selfSigned(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := cryptorand.Int(cryptorand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// wrap puts a stream that is dialled inside TLS.
func (s *stream) wrap(name string) error {
	c := tls.Client(s.raw, &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // the session inside proves who is there, to a key known before
	})
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("%w: %w", errOpening, err)
	}
	s.conn = c
	return nil
}

// unwrap answers a TLS handshake, of which the first bytes are in begin.
func (s *stream) unwrap(begin []byte) error {
	c := tls.Server(&begun{s.raw, begin}, s.link.tls)
	if err := c.Handshake(); err != nil {
		return fmt.Errorf("%w: %w", errOpening, err)
	}
	s.conn = c
	return nil
}

// isTLS says that a connection begins as TLS does: with a handshake record.
func isTLS(begin []byte) bool { return begin[0] == 22 && begin[1] == 3 }

// begun is a connection of which the first bytes were read already.
type begun struct {
	net.Conn
	read []byte
}

func (c *begun) Read(b []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.read)
	c.read = c.read[n:]
	return n, nil
}
