package origin

import "sync"

// bufferClasses are the sizes of pooled read buffers: the first takes a usual
// response in one read, the second is what bodies are read with, and larger
// ones exist only for heads.
var bufferClasses = [...]int{16 << 10, 64 << 10, 256 << 10, 1 << 20}

// bodyClass is as large as a buffer grows for the sake of fewer reads.
const bodyClass = 1

var bufferPools [len(bufferClasses)]sync.Pool

// A buffer is a pooled read buffer. It is passed as a pointer so that putting
// it back allocates nothing.
type buffer struct {
	b     []byte
	class int
}

// getBuffer returns a buffer of the given class.
func getBuffer(class int) *buffer {
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, bufferClasses[class]), class: class}
}

// put gives the buffer back; nobody may use it after.
func (b *buffer) put() { bufferPools[b.class].Put(b) }
