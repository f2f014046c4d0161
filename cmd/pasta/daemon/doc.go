// Package daemon runs one personality: start-up order, daemonising, PID and log
// files, signals. It is the only place that wires the other packages together.
//
// A run consists of up to three processes, all of this one program. A process
// that was started by another one finds its role in the environment.
//
//	front ──┬── stub, then the command   new user, network, PID, mount, IPC
//	        │   (only if one is spawned)  and UTS namespaces
//	        └── daemon                    the target's user namespace, the host's
//	                                      network namespace, own mount, IPC and
//	                                      UTS, in background PID namespaces
//
// The front is what the user started. It opens files with the user's rights,
// starts the others, and waits for one message of the daemon: everything is bound
// and configured, or it is not. In background it then ends. In foreground it
// stays: it is the parent of the command, in the session and process group that
// it was started in, so that the terminal works for the command as without us;
// it passes signals on and returns the command's status.
//
// The daemon is a session of its own, out of reach of the terminal. It parses
// the command line again, like the front, enters the target by one thread, makes
// the tap there, binds sockets on the host, gives up the rights for all that and
// runs the engine. In foreground the kernel ends it with the front.
//
// The stub prepares the namespaces while the daemon works, and becomes the
// command when the network is there.
//
// Import level: cmd, the top.
package daemon
