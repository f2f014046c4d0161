package portfwd

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// maxIfName is the longest interface name in bytes (IFNAMSIZ with its final NUL).
const maxIfName = 15

// Range is a run of ports, First to Last inclusive, in host byte order.
type Range struct {
	First, Last uint16
}

// Entry is one "ports to forward" item of a specification.
type Entry struct {
	// Ports to listen on. Not used with All.
	Ports Range
	// All stands for every port outside the host's ephemeral range.
	All bool
	// TargetAddr is the destination address; invalid if not given.
	TargetAddr netip.Addr
	// Target is the destination port of Ports.First.
	Target uint16
}

// Spec is one parsed argument of -t, -u, -T or -U:
//
//	spec    = "none" | [ listen "/" ] entries
//	listen  = [ address ] [ "%" ifname ]
//	entries = entry { "," entry }
//	entry   = "auto" | "all" [ ":" toaddr ] | "~" range
//	        | range [ ":" ( range | toaddr [ "/" [ range ] ] ) ]
//	range   = port [ "-" port ]
//
// Addresses may stand in brackets, an IPv6 one must where its colons would be
// taken for the listening address.
type Spec struct {
	// Text is the specification as written.
	Text string
	// None is the word "none": nothing is forwarded.
	None bool
	// Listen is the listening address; invalid for the wildcard.
	Listen netip.Addr
	// IfName restricts the listeners to one interface.
	IfName string
	// Auto makes each port conditional on something listening on its target.
	Auto bool
	// Entries are the inclusive items in the order written.
	Entries []Entry
	// Exclude are the "~" items. They win over inclusions.
	Exclude []Range
}

// ParseSpec parses the argument of a port option. The error is a *SpecError or
// ErrPortZero.
func ParseSpec(text string) (Spec, error) {
	if text == "none" {
		return Spec{Text: text, None: true}, nil
	}
	s := Spec{Text: text}
	entries := s.cutListen(text)
	for item := range strings.SplitSeq(entries, ",") {
		if err := s.parseItem(item); errors.Is(err, ErrPortZero) {
			return Spec{}, err
		} else if err != nil {
			return Spec{}, &SpecError{Spec: entries}
		}
	}
	return s, nil
}

// HasListen tells whether the specification names a listening address or
// interface.
func (s Spec) HasListen() bool { return s.Listen.IsValid() || s.IfName != "" }

// cutListen takes the listening address off the front of text and returns the
// rest. A text before the first slash that is no listening address is part of
// the entries ("5000:192.0.2.5/6000").
func (s *Spec) cutListen(text string) string {
	before, after, found := strings.Cut(text, "/")
	if !found {
		return text
	}
	addrText, ifName, hasIf := strings.Cut(before, "%")
	if hasIf && (ifName == "" || len(ifName) > maxIfName) {
		return text
	}
	if addrText != "" {
		addr, ok := parseAddr(addrText, true)
		if !ok {
			return text
		}
		s.Listen = addr
	}
	s.IfName = ifName
	return after
}

// errSyntax is replaced by a SpecError, which shows the whole list of entries.
var errSyntax = errors.New("syntax error")

// parseItem adds one comma-separated item.
func (s *Spec) parseItem(item string) error {
	if item == "auto" {
		s.Auto = true
		return nil
	}
	if ports, excluded := strings.CutPrefix(item, "~"); excluded {
		r, err := parseRange(ports)
		if err == nil {
			s.Exclude = append(s.Exclude, r)
		}
		return err
	}
	entry, err := parseEntry(item)
	if err == nil {
		s.Entries = append(s.Entries, entry)
	}
	return err
}

// parseEntry parses "all", "all:TOADDR" and the forms that start with a range.
func parseEntry(item string) (Entry, error) {
	ports, target, hasTarget := strings.Cut(item, ":")
	if ports == "all" {
		e := Entry{All: true}
		if !hasTarget {
			return e, nil
		}
		return e, e.setTargetAddr(target)
	}
	r, err := parseRange(ports)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Ports: r, Target: r.First}
	if hasTarget {
		err = e.parseTarget(target)
	}
	return e, err
}

// parseTarget parses what follows the colon: a range, or an address with an
// optional range.
func (e *Entry) parseTarget(text string) error {
	if r, err := parseRange(text); err == nil {
		return e.setTarget(r)
	}
	addr, ports, _ := strings.Cut(text, "/")
	if err := e.setTargetAddr(addr); err != nil {
		return err
	}
	if ports == "" {
		return nil
	}
	r, err := parseRange(ports)
	if err != nil {
		return err
	}
	return e.setTarget(r)
}

func (e *Entry) setTarget(r Range) error {
	if r.Last-r.First != e.Ports.Last-e.Ports.First {
		return errSyntax
	}
	e.Target = r.First
	return nil
}

// setTargetAddr sets the destination address. An unspecified one counts as not
// given.
func (e *Entry) setTargetAddr(text string) error {
	addr, ok := parseAddr(text, false)
	if !ok {
		return errSyntax
	}
	if !addr.IsUnspecified() {
		e.TargetAddr = addr
	}
	return nil
}

// parseAddr parses an address without zone; IPv6 may stand in brackets, IPv4 too
// if bracketed4. IPv4-mapped IPv6 addresses name no socket family and are refused.
func parseAddr(text string, bracketed4 bool) (netip.Addr, bool) {
	inner, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return netip.Addr{}, false
	}
	if bracketed && addr.Is4() && !bracketed4 {
		return netip.Addr{}, false
	}
	return addr, true
}

// parseRange parses "PORT" or "FIRST-LAST".
func parseRange(text string) (Range, error) {
	firstText, lastText, isRange := strings.Cut(text, "-")
	if !isRange {
		lastText = firstText
	}
	first, err := parsePort(firstText)
	if err != nil {
		return Range{}, err
	}
	last, err := parsePort(lastText)
	if err != nil {
		return Range{}, err
	}
	if last < first {
		return Range{}, errSyntax
	}
	if first == 0 {
		return Range{}, ErrPortZero
	}
	return Range{First: first, Last: last}, nil
}

// parsePort parses a decimal port; leading zeros are allowed, signs are not.
func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errSyntax
	}
	return uint16(port), nil
}
