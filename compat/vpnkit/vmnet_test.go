package vpnkit

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

const uuidText = "01234567-89ab-cdef-0123-456789abcdef"

// someUUID is uuidText.
var someUUID = uuid{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}

func TestInit(t *testing.T) {
	want := "VMN3T\x16\x00\x00\x00" + strings.Repeat("0123456789", 4)
	got := initMessage()
	if string(got) != want || len(got) != initLen {
		t.Errorf("got %q, want %q", got, want)
	}
	if v := initVersion(got); v != 22 {
		t.Errorf("version %d, want 22", v)
	}
}

func TestParseUUID(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     uuid
		ok       bool
	}{
		{"lower case", uuidText, someUUID, true},
		{"upper case", strings.ToUpper(uuidText), someUUID, true},
		{"none", strings.Repeat("\x00", 36), uuid{}, true},
		{"hyphen elsewhere", "0123456-789ab-cdef-0123-456789abcdef", uuid{}, false},
		{"no digit", "g1234567-89ab-cdef-0123-456789abcdef", uuid{}, false},
		{"no hyphens", strings.ReplaceAll(uuidText, "-", "0"), uuid{}, false},
		{"too many hyphens", "01234567-89ab-cdef-0123-456789ab-def", uuid{}, false},
		{"zero bytes at the end", uuidText[:35] + "\x00", uuid{}, false},
		{"empty", "", uuid{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseUUID([]byte(tt.in)); got != tt.want || ok != tt.ok {
				t.Errorf("got %x, %v, want %x, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseCommand(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     command
		ok       bool
	}{
		{"Ethernet", "\x01" + uuidText + "\x00\x00\x00\x00", command{uuid: someUUID}, true},
		{"Ethernet with an address that does not count", "\x01" + uuidText + "\x09\x41\xa8\xc0", command{uuid: someUUID}, true},
		{
			"preferred address", "\x08" + uuidText + "\x09\x41\xa8\xc0",
			command{uuid: someUUID, want: netip.MustParseAddr("192.168.65.9")},
			true,
		},
		{"no UUID", "\x01" + strings.Repeat("\x00", 40), command{}, true},
		{"another kind", "\x02" + uuidText + "\x00\x00\x00\x00", command{}, false},
		{"bad UUID", "\x01" + strings.Repeat("x", 40), command{}, false},
		{"short", "\x01" + uuidText, command{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseCommand([]byte(tt.in)); got != tt.want || ok != tt.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	mac := packet.MAC{2, 3, 4, 5, 6, 7}
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name string
		got  []byte
		want string // without padding
	}{
		{"vif", vifResponse(1500, mac), "\x01\xdc\x05\x0e\x06\x02\x03\x04\x05\x06\x07"},
		{"vif, large MTU", vifResponse(65520, mac), "\x01\xf0\xff\xff\xff\x02\x03\x04\x05\x06\x07"},
		{"disconnect", disconnectResponse("No."), "\x02\x03No."},
		{"disconnect, long", disconnectResponse(long), "\x02\xff" + long[:255]},
	} {
		want := make([]byte, responseLen)
		copy(want, tt.want)
		if !bytes.Equal(tt.got, want) {
			t.Errorf("%s: got % x", tt.name, tt.got)
		}
	}
}

// FuzzReadCommand has clients say anything: no panic, no endless reading, and a refusal
// only where there is one.
func FuzzReadCommand(f *testing.F) {
	hello := string(initMessage())
	f.Add([]byte(hello + "\x01" + uuidText + "\x00\x00\x00\x00"))
	f.Add([]byte(hello + "\x08" + uuidText + "\x09\x41\xa8\xc0"))
	f.Add([]byte(hello + "\x06\x7f\x00\x00\x01"))
	f.Add([]byte("VMN3T\x15"))
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := &rw{in: bytes.NewReader(b)}
		c, err := readCommand(conn)
		if err == nil && (len(b) < initLen+commandLen || b[initLen] == commandEthernet && c.want.IsValid()) {
			t.Errorf("% x is read as %+v", b, c)
		}
		if len(b) >= initLen && !bytes.Equal(conn.out.Bytes(), initMessage()) || len(b) < initLen && conn.out.Len() != 0 {
			t.Errorf("answer % x", conn.out.Bytes())
		}
	})
}

// rw is a connection with what the client says already there.
type rw struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *rw) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *rw) Write(b []byte) (int, error) { return c.out.Write(b) }
