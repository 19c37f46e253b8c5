// Package failure holds no code, only tests of how the gateway behaves when
// origins and clients fail, over real sockets.
package failure
