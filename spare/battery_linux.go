package spare

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// onBattery looks at the kernel's power supplies
// (Documentation/ABI/testing/sysfs-class-power).
func onBattery() (bool, error) { return discharging(os.DirFS("/sys/class/power_supply")) }

func discharging(supplies fs.FS) (bool, error) {
	entries, err := fs.ReadDir(supplies, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // as in containers: no supply is known
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		read := func(attribute string) string {
			b, _ := fs.ReadFile(supplies, e.Name()+"/"+attribute) // not every supply has every attribute
			return strings.TrimSpace(string(b))
		}
		// A battery of scope Device is a mouse's or a keyboard's.
		if read("type") == "Battery" && read("scope") != "Device" && read("status") == "Discharging" {
			return true, nil
		}
	}
	return false, nil
}
