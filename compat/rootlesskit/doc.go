// Package rootlesskit is a port driver for programs that embed RootlessKit v3: it
// implements port.ParentDriver and port.ChildDriver, and takes the place of builtin
// by another import and the same constructors:
//
//	parent, err := rootlesskit.NewParentDriver(logWriter, stateDir, sourceIPTransparent)
//	child := rootlesskit.NewChildDriver(logWriter)
//
// The parent driver runs the data path in its own process: listeners of portfwd, and
// the engine without tap, which splices connections of the host to sockets in the
// child's namespaces. Only those the parent cannot make. The child driver makes them
// and passes them on:
//
//	parent:  listener on a UNIX socket in the state directory
//	child:   connects, says hello
//	parent:  family, type, number of sockets wanted        (3 bytes)
//	child:   errno (2 bytes) and the sockets (SCM_RIGHTS)
//
// No program of this repository links it; it is a library. Import level: compat.
package rootlesskit
