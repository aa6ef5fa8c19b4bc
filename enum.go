package linnet

import "fmt"

// nameOf and parseName give the values of an enumeration their names, under
// which they travel in JSON. A value from the future has none but its number.
func nameOf[E ~uint8](names []string, e E, what string) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("%s(%d)", what, uint8(e))
}

func parseName[E ~uint8](e *E, names []string, b []byte, what string) error {
	for i, name := range names {
		if name == string(b) {
			*e = E(i)
			return nil
		}
	}
	return fmt.Errorf("%s %q is unknown", what, b)
}
