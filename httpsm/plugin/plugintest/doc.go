// Package plugintest holds the tests of the built-in plugins at work: each is
// registered with a real httpsm.Machine and meets the same requests over a
// virtual connection and over an HTTP/1.1 connection, with a scripted origin
// behind. There is nothing here but tests. A new plugin gets a file of its own;
// what its New refuses is tested beside it.
package plugintest
