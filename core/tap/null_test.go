package tap

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

func TestNullIsALinkThatIsDown(t *testing.T) {
	l := NewLink(Null{}, packet.MAC{2}, packet.MAC{})
	if errno := l.SendPacket(packet.Broadcast, packet.EtherTypeARP, make([]byte, packet.ARPLen)); errno != syscall.EIO {
		t.Errorf("send: %v, want EIO", errno)
	}
	var p packet.Packet
	if _, errno := l.Recv(make([]byte, RecvLen), &p); errno != syscall.EAGAIN {
		t.Errorf("receive: %v, want EAGAIN", errno)
	}
	if fd := l.Device().FD(); fd != -1 {
		t.Errorf("descriptor %d, want -1", fd)
	}
	l.Device().Close()
}
