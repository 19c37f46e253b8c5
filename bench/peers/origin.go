package peers

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
)

// Sizes of the origin's bodies in bytes, by path.
var Sizes = map[string]int{"/small": 100, "/10k": 10 << 10, "/1m": 1 << 20}

// originPeer is nginx with the origin's configuration.
func originPeer() Peer {
	return Peer{
		Name: "origin", Binary: "nginx", VersionArgs: []string{"-v"},
		Files: map[string]string{"nginx.conf": "origin.conf.tmpl"},
		Args:  nginxArgs,
	}
}

// StartOrigin starts the origin all gateways stand in front of: nginx, which
// must be installed. It serves the bodies of Sizes and takes uploads at /upload.
func StartOrigin(ctx context.Context, s Setting) (*Process, string, error) {
	p := originPeer()
	path, version, err := p.Find(ctx)
	if err != nil {
		return nil, "", err
	}
	www := filepath.Join(s.Dir, "www")
	if err := os.MkdirAll(www, 0o755); err != nil {
		return nil, "", err
	}
	for name, size := range Sizes {
		if err := os.WriteFile(filepath.Join(www, name), bytes.Repeat([]byte("h2gw\n"), size/5+1)[:size], 0o644); err != nil {
			return nil, "", err
		}
	}
	proc, err := p.Start(ctx, path, s)
	return proc, version, err
}
