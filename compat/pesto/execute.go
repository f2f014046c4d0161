package pesto

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/portfwd/control"
)

// execute does what the options ask for with the server at path.
func (r *run) execute(path string) error {
	c, err := control.Dial(path)
	if err != nil {
		return cmdline.Errorf("Failed to connect to %s: %s", path, sys.Reason(err))
	}
	defer c.Close()
	r.tell("Server: %+v", c.Hello)
	before := c.Config
	if len(r.program.steps) == 0 {
		return r.print(before, path, "passt/pasta configuration", before)
	}
	after, err := r.change(c, before)
	if err != nil || !r.show {
		return err
	}
	if r.json {
		return r.print(map[string]control.Config{"previous": before, "updated": after}, path, "", before)
	}
	if err := r.print(nil, path, "Previous configuration", before); err != nil {
		return err
	}
	return r.print(nil, path, "Updated configuration", after)
}

// change runs the program on the tables before and sends what it makes of them.
func (r *run) change(c *control.Client, before control.Config) (after control.Config, err error) {
	rules, err := before.Rules()
	if err != nil {
		return after, fmt.Errorf("read configuration: %w", err)
	}
	if rules, err = r.program.apply(rules, &c.Hello); err != nil {
		return after, err
	}
	after = control.NewConfig(rules, before.Generation, c.Hello.Splice)
	start := time.Now()
	result, err := c.Replace(after)
	if err != nil {
		return after, err
	}
	for _, w := range result.Warnings {
		fmt.Fprintln(r.stderr, w)
	}
	r.tell("Generation: %d, changed in %d µs", result.Generation, time.Since(start).Microseconds())
	after.Generation = result.Generation
	return after, nil
}

// tell prints a line with --debug.
func (r *run) tell(format string, args ...any) {
	if r.debug {
		fmt.Fprintf(r.stderr, format+"\n", args...)
	}
}

// print shows a configuration under its title; with --json instead the object that
// has it.
func (r *run) print(object any, path, title string, c control.Config) error {
	if r.json {
		enc := json.NewEncoder(r.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(object)
	}
	out, err := textOf(path, title, c)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(r.stdout, out)
	return err
}

// textOf is the form that scripts know.
func textOf(path, title string, c control.Config) (string, error) {
	rules, err := c.Rules()
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", title, path)
	for _, t := range c.Tables {
		fmt.Fprintf(&b, "  %s\n", t.Pif)
		pif, _ := control.PifByName(t.Pif) // Rules has checked it
		for _, rule := range rules[pif] {
			fmt.Fprintf(&b, "    %s\n", rule)
		}
	}
	return b.String(), nil
}
