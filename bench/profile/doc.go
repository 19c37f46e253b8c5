// Package profile takes profiles from a running h2gw, merges them, and takes out
// what names the machine they come from.
package profile
