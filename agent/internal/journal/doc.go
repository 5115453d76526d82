// Package journal is the tool that shows the device's logs: systemd's journal where there is one,
// else the files of /var/log and the kernel's own buffer. It follows them, filters, and pages
// backwards. Lines that come faster than a viewer shows them wait in bounded memory; what finds no
// room there is counted, and the viewer is told.
package journal
