package isolate

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pasta-net/pasta/core/sys"
)

// denied are the system calls of other ways to get at processes, namespaces, mounts
// and the kernel. Moving packets takes none of them.
var denied = [...]uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT,
	unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_LOOKUP_DCOOKIE,
}

// auditArch is AUDIT_ARCH_ of linux/audit.h for the architectures that we build for.
var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// x32Bit marks the calls of the x32 interface in numbers of x86-64.
const x32Bit = 0x40000000

// Offsets in struct seccomp_data (seccomp(2)).
const (
	offCall = 0
	offArch = 4
	offArg0 = 16 // its low half, on little-endian machines
)

// FilterCalls has the kernel kill the process at the system calls of a list, and at all
// of other interfaces than the native one: from then on it can execute no program,
// enter no namespace, mount nothing. It also sets no-new-privs.
func FilterCalls() error {
	arch, ok := auditArch[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("filter system calls: not supported on %s", runtime.GOARCH)
	}
	if err := noNewPrivileges(); err != nil {
		return err
	}
	if errno := sys.SetFilter(filterProgram(arch)); errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	return nil
}

// filterProgram is the filter as classic BPF. Of prctl(2) it leaves what the Go runtime
// names its memory with.
func filterProgram(arch uint32) []unix.SockFilter {
	kill := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS)
	allow := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	load := func(off uint32) unix.SockFilter { return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }
	p := []unix.SockFilter{
		load(offArch), compare(unix.BPF_JEQ, arch, 1, 0), kill,
		load(offCall),
	}
	if arch == unix.AUDIT_ARCH_X86_64 {
		p = append(p, compare(unix.BPF_JGE, x32Bit, 0, 1), kill)
	}
	for _, call := range denied {
		p = append(p, compare(unix.BPF_JEQ, call, 0, 1), kill)
	}
	return append(p,
		compare(unix.BPF_JEQ, unix.SYS_PRCTL, 0, 3),
		load(offArg0), compare(unix.BPF_JEQ, unix.PR_SET_VMA, 1, 0), kill,
		allow)
}

func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

// compare compares with k, and skips so many instructions if it holds, or if not.
func compare(test uint16, k uint32, ifSo, ifNot uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, Jt: ifSo, Jf: ifNot, K: k}
}
