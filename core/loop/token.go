package loop

// Kind tells which handler an event belongs to.
type Kind uint8

// Kinds of descriptors in the loop.
const (
	KindNone Kind = iota
	KindWake
	KindTap
	KindTCP
	KindTCPListen
	KindUDP
	KindUDPListen
	KindICMP
	KindSplice
	KindSpliceUDP
)

// Token is the user data of a descriptor in epoll: kind, generation and index, so
// that no map from descriptor to object is needed and events which are left
// over from an earlier user of a slot can be told (the generation differs).
type Token uint64

// MakeToken packs a token.
func MakeToken(kind Kind, gen uint16, index uint32) Token {
	return Token(kind)<<56 | Token(gen)<<32 | Token(index)
}

// Kind is the handler.
func (t Token) Kind() Kind { return Kind(t >> 56) }

// Gen is the generation of the slot when it was registered.
func (t Token) Gen() uint16 { return uint16(t >> 32) }

// Index is the slot.
func (t Token) Index() uint32 { return uint32(t) }
