package files

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name in bytes: file systems take 255, and a suffix may come.
const maxName = 180

// SafeName makes of a name that somebody chose one that is good on every file
// system, names nothing but itself, and reads as what it is: no folder, no control
// character or one that turns text around, no device of Windows, not hidden.
func SafeName(s string) string {
	s = strings.ToValidUTF8(s, "_")
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1 // Cf has the marks of direction, and those without width
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	s = strings.Trim(s, " ")
	if hidden := strings.TrimLeft(s, "."); hidden != s {
		s = "_" + hidden
	}
	s = strings.TrimRight(s, ". ")
	s = shorten(s)
	stem, _, _ := strings.Cut(s, ".")
	if device(strings.ToUpper(strings.TrimRight(stem, " "))) {
		s = "_" + s
	}
	if s == "" || s == "_" {
		return "file"
	}
	return s
}

// shorten cuts a name in the middle: what kind of file it is stays to be seen.
func shorten(s string) string {
	if len(s) <= maxName {
		return s
	}
	ext := ""
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 16 {
		ext = s[i:]
	}
	n := maxName - len(ext)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], ". ") + ext
}

// device says whether Windows has a device of this name in every folder.
func device(s string) bool {
	switch s {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	for _, p := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(s, p); ok && (len(n) == 1 && n[0] >= '0' && n[0] <= '9' || n == "¹" || n == "²" || n == "³") {
			return true
		}
	}
	return false
}
