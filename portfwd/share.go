package portfwd

// shared gives the ports of g, a group of UDP, that may be shared because only flows
// have them which outlived a listener; nil: none. Their sockets allow that
// (hostsock.ShareForHeirs), but so do services of others: with one of those on the same
// port, the kernel would give us what is meant for it.
func (m *Manager) shared(g *group) *PortSet {
	lingering := m.lingering[g.pif]
	var there Listening
	there.UDP.AddRange(g.rule.First, g.rule.Last)
	lingering.Intersect(&there.UDP)
	if lingering == (PortSet{}) {
		return nil
	}
	// What a rule of pif leads to is on the other side of what it listens on.
	scanner := m.scanners[g.pif.Other()]
	if scanner == nil {
		return &lingering
	}
	if err := scanner.Scan(&there, &Listening{UDP: lingering}); err != nil {
		return nil
	}
	m.countOwn() // on other addresses
	there.UDP.Subtract(&m.own[g.pif].UDP)
	lingering.Subtract(&there.UDP)
	return &lingering
}
