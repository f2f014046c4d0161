package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/netns"
)

// processEnv marks the process that opens a tap for another one. It is the task as
// JSON.
const processEnv = "_PASTA_ATTACH"

// task is what that process is told. Descriptors are inherited under their numbers.
type task struct {
	Target Target
	// Netns is the network namespace, Answer the socket for the answer.
	Netns, Answer int
}

// answer comes back along with the descriptor of the tap.
type answer struct {
	Applied netcfg.Applied
	// Err is set, and there is no descriptor, if that did not work.
	Err *Error
}

// maxAnswer bounds an answer in bytes, its warnings included.
const maxAnswer = 64 << 10

// openInProcess opens the tap by a process that joins user and enters ns. Where the
// process cannot be started the error is a *sys.ForkError.
func openInProcess(ns, user *os.File, t Target) (Result, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return Result{}, failed(StepEnter, "", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "answer")
	defer ours.Close()
	pid, err := start(task{Target: t, Netns: int(ns.Fd()), Answer: fds[1]}, int(user.Fd()))
	sys.Close(fds[1])
	if err != nil {
		return Result{}, err
	}
	r, err := receive(ours, t.Want)
	// It has ended, or is about to: the answer is its last act.
	_, _ = syscall.Wait4(pid, nil, 0, nil)
	return r, err
}

func start(k task, userns int) (pid int, err error) {
	b, err := json.Marshal(k)
	if err != nil {
		return 0, fmt.Errorf("encode task: %w", err)
	}
	return sys.ForkExec(sys.ForkSpec{
		Path: "/proc/self/exe", Argv: os.Args[:1], Env: append(os.Environ(), processEnv+"="+string(b)),
		UserNS: userns, Files: []int{k.Netns, k.Answer},
	})
}

// receive takes the answer, and the tap with it.
func receive(from *os.File, want tap.Features) (Result, error) {
	conn, err := net.FileConn(from)
	if err != nil {
		return Result{}, failed(StepEnter, "", err)
	}
	defer conn.Close()
	b, oob := make([]byte, maxAnswer), make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(b, oob)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	var a answer
	if err == nil {
		err = json.Unmarshal(b[:n], &a)
	}
	if err != nil {
		return Result{}, failed(StepEnter, "", err)
	}
	if a.Err != nil {
		return Result{}, a.Err
	}
	fd, err := descriptorIn(oob[:oobn])
	if err != nil {
		return Result{}, failed(StepTap, "", err)
	}
	dev, err := tap.AdoptTUN(fd, want)
	if err != nil {
		sys.Close(fd)
		return Result{}, failed(StepTap, "", err)
	}
	return Result{Device: dev, Applied: a.Applied}, nil
}

// descriptorIn finds the descriptor in a control message.
func descriptorIn(oob []byte) (fd int, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, err
	}
	for i := range messages {
		if fds, err := syscall.ParseUnixRights(&messages[i]); err == nil && len(fds) == 1 {
			syscall.CloseOnExec(fds[0])
			return fds[0], nil
		}
	}
	return -1, errors.New("no descriptor was passed")
}

// Reentry runs the process as the one that opens a tap for another, if it was started
// for that. main calls it before anything else, and exits with exit if handled.
func Reentry() (exit int, handled bool) {
	text, ok := os.LookupEnv(processEnv)
	if !ok {
		return 0, false
	}
	var k task
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		fmt.Fprintf(os.Stderr, "decode %s: %v\n", processEnv, err)
		return 1, true
	}
	if err := k.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// run opens the tap and sends it, or the error.
func (k *task) run() error {
	runtime.LockOSThread()
	var a answer
	var rights []byte
	r, err := k.open()
	if err == nil {
		a.Applied = r.Applied
		rights = syscall.UnixRights(r.Device.FD())
	} else if !errors.As(err, &a.Err) {
		a.Err = &Error{Step: StepEnter, Text: err.Error()}
	}
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if err := syscall.Sendmsg(k.Answer, b[:min(len(b), maxAnswer)], rights, nil, 0); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

func (k *task) open() (Result, error) {
	ns := os.NewFile(uintptr(k.Netns), k.Target.Netns)
	if err := netns.Enter(ns); err != nil {
		return Result{}, failed(StepEnter, "", err)
	}
	return openHere(k.Target)
}
