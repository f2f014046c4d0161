package sys

import (
	"errors"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Reason gives the kernel's reason in err as the C library words it
// ("No such file or directory"), which callers of our command lines match.
// Go's texts differ in the capital only. An error without errno gives its text.
func Reason(err error) string {
	text := err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return text
	}
	return string(unicode.ToUpper(r)) + text[n:]
}
