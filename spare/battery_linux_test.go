package spare

import (
	"testing"
	"testing/fstest"
)

func TestDischarging(t *testing.T) {
	supply := func(attributes ...string) fstest.MapFS {
		files := fstest.MapFS{"AC/type": {Data: []byte("Mains\n")}}
		for i := 0; i < len(attributes); i += 2 {
			files["BAT0/"+attributes[i]] = &fstest.MapFile{Data: []byte(attributes[i+1] + "\n")}
		}
		return files
	}
	for _, tt := range []struct {
		name     string
		supplies fstest.MapFS
		want     bool
	}{
		{"none", fstest.MapFS{}, false},
		{"mains alone", supply(), false},
		{"discharging", supply("type", "Battery", "status", "Discharging"), true},
		{"charging", supply("type", "Battery", "status", "Charging"), false},
		{"full", supply("type", "Battery", "status", "Full"), false},
		{"a mouse's", supply("type", "Battery", "scope", "Device", "status", "Discharging"), false},
	} {
		if got, err := discharging(tt.supplies); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}
