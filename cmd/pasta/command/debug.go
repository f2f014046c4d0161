package command

// debugOptions switch off what the tap device would otherwise ask of the kernel,
// to test each fallback. They are hidden from help and never abbreviated.
func (s *settings) debugOptions() []option {
	o := &s.opts.Offload
	return []option{
		{
			name: "no-vnet-hdr", on: turnOff(&o.VnetHdr),
			usage: "Open the namespace interface without virtio-net header, which excludes all offloads",
		},
		{name: "no-csum-offload", on: turnOff(&o.Checksum), usage: "Compute every checksum ourselves"},
		{name: "no-tso", on: turnOff(&o.TSO), usage: "Exchange TCP segments of at most one MTU"},
		{name: "no-uso", on: turnOff(&o.USO), usage: "Exchange UDP datagrams of at most one MTU"},
	}
}
