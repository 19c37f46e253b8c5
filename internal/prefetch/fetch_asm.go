//go:build amd64 || arm64

package prefetch

//go:noescape
func fetch(l *List)

//go:noescape
func fetchList(l *List)
