// Package web carries the console, the pages that support staff and admins open in a
// browser. Built with the tag console it embeds the finished pages (run
// "npm run build" first, or "make build"); without the tag it holds one page that says
// so, so that a clone without Node compiles and passes its tests. The gateway serves
// what FS returns; this package knows nothing of HTTP.
package web
