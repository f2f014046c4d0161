// Package ports keeps the list of published ports as RootlessKit defines it (Spec,
// Status, IDs, what is refused and in which words) on top of the forwards of a run.
// Its REST API (rest) and its Go interfaces (rootlesskit) are fronts of it.
//
// A Book may be used by any goroutine. Import level: compat.
package ports
