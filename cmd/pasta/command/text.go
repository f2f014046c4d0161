package command

// Texts of the man page.
const (
	shortText = "connect a network namespace to the network, without privileges"

	longText = `pasta gives a network namespace the connectivity of the host without any privilege on the host: it
opens a virtual interface in the namespace and translates between the frames there and ordinary TCP, UDP and ping sockets
outside. Addresses, routes and MTU are those of the host's uplink unless options say otherwise, so that no address
translation is visible in the namespace.

With a COMMAND, or none for a login shell, pasta creates new user and network namespaces, runs the command in them and
exits with its status. With a PID or --netns it connects the namespaces of a process or a network namespace given by path
or name, in background once everything is set up, until that namespace goes away.`

	exampleText = `pasta --config-net
	A shell in a new, connected namespace.
pasta --config-net -t 8080:80 -- python3 -m http.server 80
	A web server in a namespace, reachable at port 8080 of the host.
pasta --config-net --quiet --pid /tmp/pasta.pid 4711
	Connect the namespaces of process 4711.
pasta --config-net --netns /run/user/1000/netns/app -t none -u none
	Connect a network namespace given by its path.`
)
