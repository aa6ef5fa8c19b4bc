package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
)

// webFlags are for servers: what helps nodes behind firewalls that let only the web pass.
type webFlags struct {
	Listen80  string `name:"listen-80" help:"Take streams here, too, where others reach this machine on port 80." placeholder:"[ADDR]:PORT"`
	Listen443 string `name:"listen-443" help:"Take streams in TLS here, too, where others reach this machine on port 443." placeholder:"[ADDR]:PORT"`
	TLSCert   string `name:"tls-cert" help:"Certificate chain to show on port 443; default: one that it signs itself. Clients do not depend on it." placeholder:"FILE" type:"path"`
	TLSKey    string `name:"tls-key" help:"Its key." placeholder:"FILE" type:"path"`
}

func (f webFlags) web() (w link.Web, err error) {
	if w.Plain, err = listenAt(f.Listen80); err != nil {
		return w, err
	}
	if w.TLS, err = listenAt(f.Listen443); err != nil {
		return w, err
	}
	w.Certificate, err = certificate(f.TLSCert, f.TLSKey, "--tls-cert and --tls-key")
	return w, err
}

// certificate reads a chain and its key; nil without an error where none are named.
func certificate(chain, key, flags string) (*tls.Certificate, error) {
	if (chain == "") != (key == "") {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "a certificate needs its key", Hint: "give both " + flags + ", or neither"}
	}
	if chain == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		return nil, &linnet.Error{Code: linnet.CodeBadFile, Text: fmt.Sprintf("the certificate cannot be used: %v", err)}
	}
	return &pair, nil
}

// listenAt is the address of ADDR:PORT or :PORT, which is that of all addresses.
func listenAt(s string) (at netip.AddrPort, err error) {
	if s == "" {
		return at, nil
	}
	wrong := linnet.Errorf(linnet.CodeUsage, "%q is not [ADDR]:PORT", s)
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return at, wrong
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return at, wrong
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return at, wrong
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}
