// Package space is the tool that shows how full the device's file systems are, and what fills
// them. It reads names and sizes, and opens no file. A file system that does not answer, as one of
// a server that is gone, holds nothing up: it is left alone after a moment, and said to be stuck.
package space
