package command

// vmOptions are the options of passt and its vhost-user mode. They belong to no
// group: pasta knows them to refuse them by their mode.
func vmOptions() []option {
	const vm, vhostUser = "passt", "vhost-user"
	onSocket := ignoringArgument(onlyFor("-s", "passt / vhost-user"))
	return []option{
		{name: "socket", alias: "socket-path", short: "s", set: onSocket},
		{name: "one-off", short: "1", on: onlyFor("--one-off", vm)},
		{name: "vhost-user", on: onlyFor("--vhost-user", vm)},
		{name: "no-dhcp-dns", on: onlyFor("--no-dhcp-dns", vm)},
		{name: "no-dhcp-search", on: onlyFor("--no-dhcp-search", vm)},
		{name: "print-capabilities", on: onlyFor("--print-capabilities", vhostUser)},
		{name: "repair-path", set: ignoringArgument(onlyFor("--repair-path", vhostUser))},
		{name: "migrate-exit", on: onlyFor("--migrate-exit", vhostUser)},
		{name: "migrate-no-linger", on: onlyFor("--migrate-no-linger", vhostUser)},
	}
}
