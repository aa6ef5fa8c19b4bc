// Package spare reads what a machine can spare for others: how busy its
// processor is, and whether it runs on battery or on a line that is paid by the
// byte. It decides nothing.
package spare

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/shirou/gopsutil/v4/cpu"
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
