package netx

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch hears it from the kernel (rtnetlink): addresses and routes come and go.
func (System) Watch(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netx: watch addresses: %w", err)
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	defer file.Close()
	const groups = 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
		1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return fmt.Errorf("netx: watch addresses: %w", err)
	}
	defer context.AfterFunc(ctx, func() { file.Close() })()
	b := make([]byte, 1<<12)
	for {
		_, err := file.Read(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // too much at once is news as well
			return fmt.Errorf("netx: watch addresses: %w", err)
		}
		changed()
	}
}
