// Package arch holds no code, only tests of the whole tree: which package may
// import which and why, that packages and exported names are documented, and
// that the files a newcomer is sent to exist. Each failure explains itself.
package arch
