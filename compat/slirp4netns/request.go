package slirp4netns

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/rootlesskit/ports"
)

// book are the forwards that were added; see ports.Book.
type book interface {
	Add(ports.Spec) (ports.Status, error)
	List() []ports.Status
	Remove(id int) error
}

// answerer answers requests of the API.
type answerer struct {
	book    book
	network network
}

// object is a JSON object whose members are looked at one by one: one of another type
// than expected counts as missing.
type object map[string]json.RawMessage

// text gives a string member, "" if there is none.
func (o object) text(name string) string {
	s, _ := o.lookup(name)
	return s
}

// lookup gives a string member, and whether there is one.
func (o object) lookup(name string) (text string, ok bool) {
	var s *string
	if json.Unmarshal(o[name], &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// whole gives a number member that is an integer from 1 to most, 0 if there is none.
// JSON knows one kind of number: 80, 80.0 and 8e1 are the same, and there are writers
// for which all are floating-point.
func (o object) whole(name string, most int) int {
	var f float64
	if json.Unmarshal(o[name], &f) != nil || f < 1 || f > float64(most) || f != math.Trunc(f) {
		return 0
	}
	return int(f)
}

// maxPort and maxID bound numbers in requests.
const (
	maxPort = 1<<16 - 1
	maxID   = 1<<31 - 1
)

// entry is a forward as list_hostfwd shows it.
type entry struct {
	ID        int    `json:"id"`
	Proto     string `json:"proto"`
	HostAddr  string `json:"host_addr"`
	HostPort  int    `json:"host_port"`
	GuestAddr string `json:"guest_addr"`
	GuestPort int    `json:"guest_port"`
}

// listing is what upstream's manual shows and what it sends, in one.
type listing struct {
	Return struct {
		Entries []entry `json:"entries"`
	} `json:"return"`
	Entries []entry `json:"entries"`
}

// failure is the reply that tells an error.
func failure(err error) []byte {
	type desc struct {
		Desc string `json:"desc"`
	}
	return encode(map[string]desc{"error": {err.Error()}})
}

// encode renders a reply. The values are ours, so that cannot fail.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// to answers one request.
func (a *answerer) to(request []byte) []byte {
	reply, err := a.execute(request)
	if err != nil {
		return failure(err)
	}
	return encode(reply)
}

func (a *answerer) execute(request []byte) (reply any, err error) {
	var raw json.RawMessage
	if json.NewDecoder(bytes.NewReader(request)).Decode(&raw) != nil {
		return nil, cmdline.Text("bad request: cannot parse JSON")
	}
	var o, args object
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return nil, cmdline.Text("bad request: json_object() failed")
	}
	if json.Unmarshal(o["arguments"], &args) != nil {
		args = nil
	}
	command, ok := o.lookup("execute")
	if !ok {
		return nil, cmdline.Text("bad request: no execute found")
	}
	switch command {
	case "add_hostfwd":
		return a.add(args)
	case "list_hostfwd":
		return a.list(), nil
	case "remove_hostfwd":
		return a.remove(args)
	}
	return nil, cmdline.Text("bad request: unknown execute")
}

// add opens a forward. With host_addr6 or guest_addr6, which upstream does not know,
// it is one of IPv6.
func (a *answerer) add(args object) (reply any, err error) {
	s, bad := a.spec(args)
	if bad != "" {
		return nil, cmdline.Text("bad request: add_hostfwd: bad arguments." + bad)
	}
	status, err := a.book.Add(s)
	if err != nil {
		return nil, cmdline.Text("bad request: add_hostfwd: slirp_add_hostfwd failed")
	}
	return map[string]map[string]int{"return": {"id": status.ID}}, nil
}

// spec reads the arguments of add_hostfwd; bad is the first one that makes no sense.
func (a *answerer) spec(args object) (s ports.Spec, bad string) {
	s.Proto = args.text("proto")
	if s.Proto != "tcp" && s.Proto != "udp" {
		return s, "proto"
	}
	digit, suffix, host, guest := "4", "", netip.IPv4Unspecified(), a.network.guest()
	if args.text("host_addr6") != "" || args.text("guest_addr6") != "" {
		digit, suffix, host, guest = "6", "6", netip.IPv6Unspecified(), netip.Addr{}
	}
	s.Proto += digit
	var ok bool
	if host, ok = args.addr("host_addr"+suffix, host); !ok {
		return s, "host_addr" + suffix
	}
	if s.ParentPort = args.whole("host_port", maxPort); s.ParentPort == 0 {
		return s, "host_port"
	}
	if guest, ok = args.addr("guest_addr"+suffix, guest); !ok {
		return s, "guest_addr" + suffix
	}
	if s.ChildPort = args.whole("guest_port", maxPort); s.ChildPort == 0 {
		return s, "guest_port"
	}
	s.ParentIP = host.String()
	if guest.IsValid() {
		s.ChildIP = guest.String()
	}
	return s, ""
}

// addr reads an address of the family that the member's name tells; def if there is
// none.
func (o object) addr(name string, def netip.Addr) (a netip.Addr, ok bool) {
	text := o.text(name)
	if text == "" {
		return def, true
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Is6() == (name[len(name)-1] == '6') && !a.Is4In6() && a.Zone() == ""
}

func (a *answerer) list() listing {
	l := listing{Entries: []entry{}}
	for _, s := range a.book.List() {
		guest := s.Spec.ChildIP
		l.Entries = append(l.Entries, entry{
			ID: s.ID, Proto: s.Spec.Proto[:3], HostAddr: s.Spec.ParentIP, HostPort: s.Spec.ParentPort,
			GuestAddr: guest, GuestPort: s.Spec.ChildPort,
		})
	}
	l.Return.Entries = l.Entries
	return l
}

func (a *answerer) remove(args object) (reply any, err error) {
	id := args.whole("id", maxID)
	if !a.has(id) {
		return nil, cmdline.Text("bad request: remove_hostfwd: bad arguments.id")
	}
	if a.book.Remove(id) != nil {
		return nil, cmdline.Text("bad request: remove_hostfwd: slirp_remove_hostfwd failed")
	}
	return map[string]struct{}{"return": {}}, nil
}

func (a *answerer) has(id int) bool {
	for _, s := range a.book.List() {
		if s.ID == id {
			return true
		}
	}
	return false
}
