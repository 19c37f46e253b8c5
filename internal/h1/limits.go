package h1

// Limits bound what a peer can make us hold for one head or trailer section. They
// fire while the head is still incomplete: a head that cannot fit any more is
// refused without waiting for its end. The zero value means the defaults.
type Limits struct {
	Head   int // bytes of start line and field section; 0 = 64 KiB. Trailer sections have the same bound.
	Fields int // field lines; 0 = 128. The same for trailer sections.
	Target int // bytes of the request target; 0 = 16 KiB
}

// The defaults of Limits: above what browsers, curl and gRPC clients send (their
// servers commonly allow 8 to 64 KiB of head), below what hurts to hold per request.
const (
	DefaultHeadBytes   = 64 << 10
	DefaultFieldLines  = 128
	DefaultTargetBytes = 16 << 10
)

const (
	// The longest registered method has 17 letters; a longer word than this is
	// answered 501 (RFC 9112 section 3) before it fills the buffer.
	maxMethod = 64
	// Nobody needs chunk extensions; RFC 9112 section 7.1.1 asks for a bound.
	maxExtLine  = 256
	maxExtTotal = 16 << 10
	// Connection names a handful of options. Each one costs a pass over the fields.
	maxConnectionOptions = 32
)

func (l Limits) orDefault() Limits {
	if l.Head <= 0 {
		l.Head = DefaultHeadBytes
	}
	if l.Fields <= 0 {
		l.Fields = DefaultFieldLines
	}
	if l.Target <= 0 {
		l.Target = DefaultTargetBytes
	}
	return l
}
