package dns

import "encoding/binary"

// Offsets and values of the message header (RFC 1035 section 4.1.1).
const (
	headerLen  = 12
	offFlags   = 2
	offQDCount = 4
	offANCount = 6

	flagResponse  = 0x8000
	flagAuthority = 0x0400
	flagRecursion = 0x0100 // desired
	flagAvailable = 0x0080 // recursion
	maskOpcode    = 0x7800

	nameError = 3 // response code: no such name
)

// Types and class of records (RFC 1035 section 3.2, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
	typeANY  = 255
	classIN  = 1
)

// maxName is the longest name in bytes (RFC 1035 section 2.3.4).
const maxName = 255

// query is a message with one question.
type query struct {
	// question is the question as it stands in the message, behind the header.
	question []byte
	// name is its name in lower case, in the form of RFC 1035 section 3.1.
	name  [maxName]byte
	nameN int
	qtype uint16
}

// parse reads a standard query with one question of class IN. What it refuses is
// the resolver's to answer.
func (q *query) parse(b []byte) bool {
	if len(b) < headerLen || binary.BigEndian.Uint16(b[offFlags:])&(flagResponse|maskOpcode) != 0 ||
		binary.BigEndian.Uint16(b[offQDCount:]) != 1 {
		return false
	}
	rest, ok := q.parseName(b[headerLen:])
	if !ok || len(rest) < 4 || binary.BigEndian.Uint16(rest[2:]) != classIN {
		return false
	}
	q.qtype = binary.BigEndian.Uint16(rest)
	q.question = b[headerLen : headerLen+q.nameN+4]
	return true
}

// parseName reads a name without compression, which a single question has no use
// for, and gives what follows.
func (q *query) parseName(b []byte) (rest []byte, ok bool) {
	q.nameN = 0
	for {
		if len(b) == 0 || b[0] > 63 {
			return nil, false
		}
		n := 1 + int(b[0])
		if len(b) < n || q.nameN+n > maxName {
			return nil, false
		}
		for i, c := range b[:n] {
			if i > 0 && 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			q.name[q.nameN+i] = c
		}
		q.nameN += n
		if b = b[n:]; n == 1 {
			return b, true
		}
	}
}

// appendAnswer appends the reply to q, the question of the message msg, to b. addr
// is the record's data; nil: there is no such name. The record lasts for the moment
// only.
func (q *query) appendAnswer(b, msg, addr []byte) []byte {
	flags := binary.BigEndian.Uint16(msg[offFlags:])&flagRecursion | flagResponse | flagAuthority | flagAvailable
	answers := uint16(1)
	if addr == nil {
		flags |= nameError
		answers = 0
	}
	b = append(b, msg[:offFlags]...) // identifier
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, 1)
	b = binary.BigEndian.AppendUint16(b, answers)
	b = append(b, 0, 0, 0, 0) // no authority, nothing additional
	b = append(b, q.question...)
	if addr == nil {
		return b
	}
	const toQuestion = 0xc000 | headerLen // compression pointer
	b = binary.BigEndian.AppendUint16(b, toQuestion)
	b = binary.BigEndian.AppendUint16(b, typeOf(addr))
	b = binary.BigEndian.AppendUint16(b, classIN)
	b = append(b, 0, 0, 0, 0) // TTL
	b = binary.BigEndian.AppendUint16(b, uint16(len(addr)))
	return append(b, addr...)
}

// typeOf is the type of the record of an address.
func typeOf(addr []byte) uint16 {
	if len(addr) == 4 {
		return typeA
	}
	return typeAAAA
}
