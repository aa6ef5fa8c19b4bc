//go:build !linux

package spare

import "errors"

func onBattery() (bool, error) {
	return false, errors.New("not known on this system")
}
