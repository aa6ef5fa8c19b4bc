// Package spare reads what a machine can spare: how busy its processor is,
// whether it runs on battery or on a line that is paid by the byte, and the room
// on its disk. It decides nothing.
package spare

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
)

// A State is how a machine stands.
type State struct {
	CPU     int  // percent in use, all cores together, in the last seconds
	Battery bool // it runs on one
	Metered bool // as the system's NetworkManager has it; a system without one does not know, and says no
}

// window is how long the processor is watched.
const window = 10 * time.Second

// Read watches the machine for ten seconds. An error says that this system does
// not tell what has to be known.
func Read(ctx context.Context) (State, error) {
	battery, err := onBattery()
	if err != nil {
		return State{}, fmt.Errorf("spare: battery: %w", err)
	}
	used, err := cpu.PercentWithContext(ctx, window, false)
	if err != nil {
		return State{}, fmt.Errorf("spare: processor: %w", err)
	}
	return State{CPU: int(used[0] + 0.5), Battery: battery, Metered: metered(ctx)}, nil
}

// Room is how many bytes this program may still write to the disk that a
// directory is on.
func Room(ctx context.Context, dir string) (uint64, error) {
	usage, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return 0, fmt.Errorf("spare: disk: %w", err)
	}
	return usage.Free, nil
}

// The values of NMMetered that mean yes
// (https://networkmanager.dev/docs/api/latest/nm-dbus-types.html).
const (
	meteredYes   = 1
	meteredGuess = 3
)

func metered(ctx context.Context) bool {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return false
	}
	defer bus.Close()
	const name = "org.freedesktop.NetworkManager"
	v, err := bus.Object(name, "/org/freedesktop/NetworkManager").GetProperty(name + ".Metered")
	if err != nil {
		return false
	}
	is, _ := v.Value().(uint32)
	return is == meteredYes || is == meteredGuess
}
