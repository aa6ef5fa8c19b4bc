package http

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
)

const (
	certificateFile = "page.pem"
	certificateLife = 820 * 24 * time.Hour // Apple's systems take none of more than 825 days
	certificateRest = 30 * 24 * time.Hour  // renewed so long before its end
)

// ownCertificate is the certificate that a node made for its page: kept in home, so
// that its fingerprint stays, and made anew when it expires or a name is missing; an
// address that is missing counts if addresses are settled.
func ownCertificate(home string, now time.Time, names []string, settled bool) (*tls.Certificate, error) {
	path := filepath.Join(home, certificateFile)
	if b, err := os.ReadFile(path); err == nil {
		pair, err := tls.X509KeyPair(b, b)
		if err == nil && now.Add(certificateRest).Before(pair.Leaf.NotAfter) && covers(pair.Leaf, names, settled) {
			return &pair, nil
		}
	}
	b, err := makeCertificate(now, names)
	if err != nil {
		return nil, fmt.Errorf("certificate of the page: %w", err)
	}
	if err := writeFile(path, b); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeDisk, Text: "the certificate of the page cannot be kept", Err: err}
	}
	pair, err := tls.X509KeyPair(b, b)
	return &pair, err
}

func covers(c *x509.Certificate, names []string, settled bool) bool {
	for _, name := range names {
		if (settled || net.ParseIP(name) == nil) && c.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// makeCertificate is a key and a certificate for names and addresses, as PEM. It may
// sign nothing else: whoever trusts it trusts one page.
func makeCertificate(now time.Time, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	c := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Linnet page"},
		NotBefore:    now.Add(-24 * time.Hour), // clocks differ
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return b.Bytes(), nil
}

// fingerprint is how browsers show a certificate: SHA-256, in pairs.
func fingerprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	pairs := make([]string, len(sum))
	for i, x := range sum {
		pairs[i] = fmt.Sprintf("%02X", x)
	}
	return strings.Join(pairs, ":")
}
