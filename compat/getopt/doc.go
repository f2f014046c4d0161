// Package getopt gives a pflag.FlagSet the command line conventions of GNU
// getopt_long: options are handed to their values strictly from left to right,
// long names may be abbreviated, short options cluster, and the error texts are
// those that callers of the emulated tools search for.
//
// A flag with a NoOptDefVal takes no argument, unless it has the annotation Optional;
// any other flag needs one.
// Hidden flags are found by their full name only, so that a debugging switch
// never makes an abbreviation of a documented option ambiguous.
//
// The package keeps no state; any goroutine may call it. Import level: compat.
package getopt
