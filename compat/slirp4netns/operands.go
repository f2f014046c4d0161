package slirp4netns

import (
	"os"

	"github.com/pasta-net/pasta/core/sys"
)

// takeOperands applies the rules between options and reads the operands.
func (s *settings) takeOperands(operands []string) error {
	switch {
	case s.macGiven && !s.configure:
		return usageError("--macaddr cannot be specified when --configure or -c is not specified")
	case s.targetType == targetBess:
		return s.takeSocket(operands)
	case s.targetType != targetNetns:
		return usageError(`--target-type must be either "netns" or "bess"`)
	case len(operands) == 0:
		return usageError("")
	case s.namespaceType() == netnsTapFD:
		return s.takeTapFD(operands)
	case len(operands) < 2:
		return usageError("")
	}
	if len(operands) > 2 {
		s.warn("too many arguments")
	}
	s.ifName = operands[1][:min(len(operands[1]), maxIfName)]
	return s.takeNamespace(operands[0])
}

// takeNamespace reads the operand that names the namespaces. Any type but "pid" is
// that of a path.
func (s *settings) takeNamespace(operand string) error {
	if s.namespaceType() != netnsPID {
		if _, err := os.Stat(operand); err != nil {
			return usageError("existing path expected when --netns-type=path: " + sys.Reason(err))
		}
		s.path = operand
		return nil
	}
	pid, ok := number(operand)
	if !ok || pid <= 0 {
		return usageError("PID must be a positive integer")
	}
	s.pid = pid
	return nil
}

func (s *settings) takeTapFD(operands []string) error {
	fd, ok := number(operands[0])
	if !ok || fd < 0 {
		return usageError("TAPFD must a file descriptor")
	}
	if len(operands) > 1 {
		s.warn("too many arguments")
	}
	s.tapFD = fd
	return nil
}

// takeSocket reads the operand of --target-type=bess.
func (s *settings) takeSocket(operands []string) error {
	s.warn("BESS mode is experimental")
	for _, conflict := range []struct {
		option string
		given  bool
	}{
		{"--configure", s.configure},
		{"--netns-type", s.netnsType != ""},
		{"--userns-path", s.usernsPath != ""},
	} {
		if conflict.given {
			return usageError(conflict.option + " conflicts with --target-type=bess")
		}
	}
	switch {
	case len(operands) == 0:
		return usageError("")
	case len(operands) > 1:
		return usageError("too many arguments")
	}
	s.path = operands[0]
	return nil
}
