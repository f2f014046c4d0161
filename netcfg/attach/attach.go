// Package attach opens the tap of a guest in a network namespace that the calling
// process does not live in, and may not be able to enter either: where it takes
// another user namespace to have the rights for that, which no process with several
// threads can join, a process of its own does it and passes the descriptor back.
//
// That process is this program again, which is why main calls Reentry first.
//
// Import level: netcfg.
package attach

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// Target is a tap to be opened.
type Target struct {
	// Netns is the path of the network namespace.
	Netns string
	// Userns is the path of the user namespace to join for it; empty: none. One
	// that cannot be joined does not matter, as long as Netns can be entered.
	Userns string
	// Plan names the tap, which may exist already, and tells how to configure it and
	// lo. Without Configure both are left as they are.
	Plan netcfg.NamespacePlan
	// Want are the features to ask for.
	Want tap.Features
}

// Result is an open tap.
type Result struct {
	Device *tap.TUN
	// Applied is what is known of the interface, and what of the plan did not work.
	Applied netcfg.Applied
}

// Step is what was being done when an error came up.
type Step string

// The steps in their order.
const (
	// StepOpen opens a namespace, whose path is in the error.
	StepOpen Step = "open namespace"
	// StepEnter enters the network namespace.
	StepEnter Step = "enter network namespace"
	// StepTun opens /dev/net/tun, StepTap makes the interface or attaches to it.
	StepTun Step = "open /dev/net/tun"
	StepTap Step = "open tap"
	// StepConfigure sets addresses, routes and so on.
	StepConfigure Step = "configure"
)

// Error is an error of Open.
type Error struct {
	Step Step
	// Path belongs to StepOpen.
	Path string
	// Errno is the kernel's reason, 0 if it gave none; Text is the whole error.
	Errno syscall.Errno
	Text  string
}

// Error gives the step and the reason.
func (e *Error) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("%s %q: %s", e.Step, e.Path, e.Text)
	}
	return fmt.Sprintf("%s: %s", e.Step, e.Text)
}

// Unwrap gives the errno, nil if there is none.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// failed makes an Error of err; nil of nil.
func failed(step Step, path string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Step: step, Path: path, Text: err.Error()}
	errors.As(err, &e.Errno)
	return e
}

// Open opens the tap of t. The error is an *Error.
func Open(t Target) (Result, error) {
	ns, err := os.Open(t.Netns)
	if err != nil {
		return Result{}, failed(StepOpen, t.Netns, err)
	}
	defer ns.Close()
	if t.Userns == "" || netns.Same(t.Userns, "/proc/self/ns/user") {
		return openOnThread(ns, t)
	}
	user, err := os.Open(t.Userns)
	if err != nil {
		return Result{}, failed(StepOpen, t.Userns, err)
	}
	defer user.Close()
	r, err := openInProcess(ns, user, t)
	var fe *sys.ForkError
	if errors.As(err, &fe) && fe.Step == sys.StepUserns {
		return openOnThread(ns, t)
	}
	return r, err
}

// openOnThread opens the tap on a thread that enters ns.
func openOnThread(ns *os.File, t Target) (r Result, err error) {
	thread, err := netns.NewThread(ns)
	if err != nil {
		return Result{}, failed(StepEnter, "", err)
	}
	defer thread.Close()
	err = thread.Do(func() (err error) {
		r, err = openHere(t)
		return err
	})
	return r, err
}

// openHere opens the tap in the network namespace of the calling thread.
func openHere(t Target) (Result, error) {
	dev, err := tap.OpenTUN(t.Plan.IfName, t.Want)
	if err != nil {
		step := StepTap
		var oe *tap.OpenError
		if errors.As(err, &oe) && oe.Step == sys.StepOpenTun {
			step = StepTun
		}
		return Result{}, failed(step, "", err)
	}
	applied, err := configure(t.Plan)
	if err != nil {
		dev.Close()
		return Result{}, failed(StepConfigure, "", err)
	}
	return Result{Device: dev, Applied: applied}, nil
}

// configure carries out the plan, or just looks at the interface.
func configure(plan netcfg.NamespacePlan) (netcfg.Applied, error) {
	conn, err := rtnl.Open()
	if err != nil {
		return netcfg.Applied{}, err
	}
	defer conn.Close()
	if !plan.Configure {
		return netcfg.Inspect(conn, plan.IfName)
	}
	return netcfg.ConfigureNamespace(conn, plan)
}
