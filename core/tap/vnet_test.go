package tap

import (
	"bytes"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
)

// TestVnetHeaderBytes: golden bytes, after virtio 1.2 section 5.1.6.
func TestVnetHeaderBytes(t *testing.T) {
	tests := []struct {
		name string
		h    vnetHeader
		want []byte
	}{
		{"nothing to do", vnetHeader{hdrLen: 14}, []byte{0, 0, 14, 0, 0, 0, 0, 0, 0, 0}},
		{"partial checksum", vnetHeader{v4: true, hdrLen: 54, csumStart: 34, csumOff: 16}, []byte{1, 0, 54, 0, 0, 0, 34, 0, 16, 0}},
		{
			"TCP over IPv4",
			vnetHeader{gso: packet.GSOTCP, gsoSize: 1460, v4: true, hdrLen: 54, csumStart: 34, csumOff: 16},
			[]byte{1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0},
		},
		{
			"TCP over IPv6",
			vnetHeader{gso: packet.GSOTCP, gsoSize: 0xfedc, hdrLen: 74, csumStart: 54, csumOff: 16},
			[]byte{1, 4, 74, 0, 0xdc, 0xfe, 54, 0, 16, 0},
		},
		{
			"UDP",
			vnetHeader{gso: packet.GSOUDP, gsoSize: 1200, hdrLen: 62, csumStart: 54, csumOff: 6},
			[]byte{1, 5, 62, 0, 0xb0, 4, 54, 0, 6, 0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Repeat([]byte{0xee}, VnetLen+1)
			tt.h.put(b)
			if !bytes.Equal(b[:VnetLen], tt.want) || b[VnetLen] != 0xee {
				t.Errorf("put wrote % x, want % x", b, tt.want)
			}
		})
	}
}
