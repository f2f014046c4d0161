package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageHead is what callers see first; scripts look for these lines.
const usageHead = `Usage: pasta [OPTION]... [COMMAND] [ARGS]...
       pasta [OPTION]... PID
       pasta [OPTION]... --netns [PATH|NAME]

Without PID or --netns, run the given command or a default shell in new network
and user namespaces, and connect it via pasta.
`

// usage is the usage text: the options of each group with their help.
func usage(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, group := range Groups() {
		heading := "\n" + group + ":\n"
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || GroupOf(f) != group {
				return
			}
			b.WriteString(heading + usageOption(f))
			heading = ""
		})
	}
	return b.String()
}

// helpColumn is where help texts start.
const helpColumn = 26

// usageOption is the help of one option; names too long for the first column
// have a line of their own.
func usageOption(f *pflag.Flag) string {
	arg, text := pflag.UnquoteUsage(f)
	names := "      --" + f.Name
	if f.Shorthand != "" {
		names = "  -" + f.Shorthand + ", --" + f.Name
	}
	if TakesArgument(f) {
		names += " " + arg
	}
	if f.DefValue != "" {
		text += " (default: " + f.DefValue + ")"
	}
	if len(names) > helpColumn-2 {
		return fmt.Sprintf("%s\n%*s%s\n", names, helpColumn, "", text)
	}
	return fmt.Sprintf("%-*s%s\n", helpColumn, names, text)
}
