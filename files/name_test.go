package files

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"holiday.jpg", "holiday.jpg"},
		{"Grüße an Zoë.txt", "Grüße an Zoë.txt"},
		{"../../.ssh/authorized_keys", "authorized_keys"},
		{`C:\Windows\system32\evil.dll`, "evil.dll"},
		{"..", "file"},
		{"", "file"},
		{"/", "file"},
		{".bashrc", "_bashrc"},
		{"name. . ", "name"},
		{"a\x00b\x1b[31m\n.txt", "ab[31m.txt"},
		{"photo\u202egpj.exe", "photogpj.exe"},
		{"in\u200bvisible", "invisible"},
		{"nul", "_nul"},
		{"COM1.txt", "_COM1.txt"},
		{"con .txt", "_con .txt"},
		{"console.txt", "console.txt"},
		{`a<b>c:d"e|f?g*h`, "a_b_c_d_e_f_g_h"},
		{"\xff\xfe", "file"},
		{strings.Repeat("ä", 200) + ".tar", strings.Repeat("ä", 88) + ".tar"},
	} {
		if got := SafeName(tt.name); got != tt.want {
			t.Errorf("SafeName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "CON", "\u202e", ".", "a\\b/c", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := SafeName(s)
		if name == "" || len(name) > maxName+1 || !utf8.ValidString(name) || filepath.Base(name) != name ||
			strings.ContainsAny(name, "/\\\x00") || name[0] == '.' || strings.ContainsFunc(name, unicode.IsControl) {
			t.Errorf("SafeName(%q) = %q", s, name)
		}
		if again := SafeName(name); again != name {
			t.Errorf("SafeName(%q) = %q, and of that %q", s, name, again)
		}
	})
}
