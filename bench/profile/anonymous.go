package profile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"path"
)

// Field numbers of the message Profile in pprof's profile.proto.
const (
	stringTable = 6
	comment     = 13
)

var errFormat = errors.New("profile: not a gzipped profile.proto")

// Anonymous returns a profile without the folders of the machine it was taken
// on: of a file's absolute path its last element stays. Paths of a -trimpath
// build are not absolute.
//
// Only the table of strings is touched, so nothing needs to be understood but
// the outermost message.
func Anonymous(profile []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		return nil, errFormat
	}
	in, err := io.ReadAll(zr)
	if err != nil {
		return nil, errFormat
	}
	var out []byte
	for len(in) > 0 {
		f, rest, err := next(in)
		if err != nil {
			return nil, err
		}
		in = rest
		switch {
		case f.number == comment:
			// Free text of whoever took it.
		case f.number == stringTable && path.IsAbs(string(f.value)):
			out = append(out, f.tag...)
			name := path.Base(string(f.value))
			out = append(binary.AppendUvarint(out, uint64(len(name))), name...)
		default:
			out = append(out, f.raw...)
		}
	}
	var b bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, err = zw.Write(out)
	if err = errors.Join(err, zw.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// A field is one of the outermost message. value is of length-delimited ones.
type field struct {
	number          uint64
	tag, value, raw []byte
}

// next reads one field in the wire format of protocol buffers.
func next(b []byte) (f field, rest []byte, err error) {
	key, n := binary.Uvarint(b)
	if n <= 0 {
		return f, nil, errFormat
	}
	f.number, f.tag = key>>3, b[:n]
	at := n
	v, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return f, nil, errFormat
	}
	at += n
	switch key & 7 {
	case 0: // a number
	case 2: // bytes
		if v > uint64(len(b)-at) {
			return f, nil, errFormat
		}
		f.value = b[at : at+int(v)]
		at += int(v)
	default: // profile.proto has no others
		return f, nil, errFormat
	}
	f.raw = b[:at]
	return f, b[at:], nil
}
