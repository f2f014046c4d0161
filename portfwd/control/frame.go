package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// version of the protocol. The parties need not understand another one.
	version = 1
	// headerLen is the length of what precedes the payload.
	headerLen = 8
	// maxPayload bounds a message: 510 rules take 100 KiB.
	maxPayload = 1 << 20
)

// kind is the type of a message.
type kind uint16

const (
	kindHello   kind = iota + 1 // from the server: Hello
	kindList                    // to the server, empty; answered with kindConfig
	kindConfig                  // Config
	kindReplace                 // to the server: Config; answered with kindResult
	kindResult                  // Result
	kindFailure                 // from the server: Failure
)

// errVersion is a peer of another release.
var errVersion = errors.New("peer speaks another version of the protocol")

// writeMessage sends one message with v as payload.
func writeMessage(w io.Writer, k kind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("send message: %d bytes are too many", len(payload))
	}
	b := make([]byte, headerLen, headerLen+len(payload))
	binary.BigEndian.PutUint32(b[0:], uint32(len(payload)))
	binary.BigEndian.PutUint16(b[4:], uint16(k))
	binary.BigEndian.PutUint16(b[6:], version)
	if _, err := w.Write(append(b, payload...)); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// readMessage receives one message. io.EOF without message is the peer's end.
func readMessage(r io.Reader) (k kind, payload []byte, err error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(h[0:])
	switch {
	case binary.BigEndian.Uint16(h[6:]) != version:
		return 0, nil, errVersion
	case length > maxPayload:
		return 0, nil, fmt.Errorf("receive message: %d bytes are too many", length)
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("receive message: %w", err)
	}
	return kind(binary.BigEndian.Uint16(h[4:])), payload, nil
}
