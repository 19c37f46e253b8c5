// Package config holds the gateway's settings: one table of names, defaults,
// kinds and meanings from which `--set name=value`, the documentation and the
// configuration values of the other packages all come.
//
// A setting that is not in [Table] does not exist; a name or value that is
// wrong is an error that says what would be right.
package config
