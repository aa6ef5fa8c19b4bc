package main

import (
	"fmt"
	"os"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netx"
)

// network is the operating system's, tapped when --pcap asks for it, behind the
// proxy that there is.
func (f socketFlags) network() (n netx.Network, closeCapture func(), err error) {
	n, closeCapture, err = f.tapped()
	if err != nil {
		return nil, nil, err
	}
	if n, err = (netx.Proxy{URL: f.Proxy}).Behind(n); err != nil {
		closeCapture()
		return nil, nil, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	return n, closeCapture, nil
}

func (f socketFlags) tapped() (n netx.Network, closeCapture func(), err error) {
	if f.Pcap == "" {
		return netx.System{}, func() {}, nil
	}
	file, err := os.OpenFile(f.Pcap, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("the capture file cannot be written: %v", err)}
	}
	return netx.NewCapture(netx.System{}, file), func() { file.Close() }, nil
}
