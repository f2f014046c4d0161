package portfwd

import (
	"slices"

	"github.com/pasta-net/pasta/core/fwd"
)

// scan looks at what listens in the targets of auto rules, and tells whether
// that changed.
func (m *Manager) scan() (changed bool) {
	m.countOwn()
	for pif := range fwd.NumPifs {
		if !m.follows(pif) {
			continue
		}
		if err := m.findServices(pif); err != nil {
			m.scanFailed(err)
			continue
		}
		if m.found != m.services[pif] {
			m.services[pif], changed = m.found, true
		}
	}
	return changed
}

// follows tells whether pif has auto rules.
func (m *Manager) follows(pif fwd.Pif) bool {
	return m.scanners[pif] != nil &&
		slices.ContainsFunc(m.groups, func(g *group) bool { return g.pif == pif && g.rule.Auto })
}

// findServices sets found to the ports in the target of pif that its auto rules lead
// to. Services known by a TCP port often use the UDP port of that number as well, but
// only while in use (iperf3): so a TCP listener stands for both.
func (m *Manager) findServices(pif fwd.Pif) error {
	m.want(pif)
	if err := m.scanners[pif].Scan(&m.found, &m.wanted); err != nil {
		return err
	}
	m.found.UDP.Union(&m.found.TCP)
	m.found.UDP.Subtract(&m.own[pif.Other()].UDP)
	return nil
}

// want sets wanted to the ports that findServices has to look for. Our own are not
// among them: forwards of one direction would otherwise make the other follow them in
// turn, and neither ever end.
func (m *Manager) want(pif fwd.Pif) {
	m.wanted = Listening{}
	for _, g := range m.groups {
		if g.pif != pif || !g.rule.Auto {
			continue
		}
		last := g.rule.Target + (g.rule.Last - g.rule.First)
		m.wanted.TCP.AddRange(g.rule.Target, last)
		if g.rule.Proto == fwd.UDP {
			m.wanted.UDP.AddRange(g.rule.Target, last)
		}
	}
	own := &m.own[pif.Other()]
	m.wanted.TCP.Subtract(&own.TCP)
	m.wanted.UDP.Subtract(&own.UDP)
	m.wanted.UDP.Subtract(&own.TCP)
}

// countOwn notes the ports of our own listeners.
func (m *Manager) countOwn() {
	m.own = [fwd.NumPifs]Listening{}
	for _, g := range m.groups {
		if g.open == 0 {
			continue
		}
		if g.rule.Proto == fwd.TCP {
			g.addPorts(&m.own[g.pif].TCP)
		} else {
			g.addPorts(&m.own[g.pif].UDP)
		}
	}
}

// servicesOf are the ports in the target of g that something listens on.
func (m *Manager) servicesOf(g *group) *PortSet {
	if g.rule.Proto == fwd.TCP {
		return &m.services[g.pif].TCP
	}
	return &m.services[g.pif].UDP
}

// scanFailed tells once that ports are not followed any more.
func (m *Manager) scanFailed(err error) {
	if !m.scanFails {
		m.scanFails = true
		m.o.Log.Warn("Couldn't look for listening ports", "err", err)
	}
}
