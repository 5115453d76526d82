package policy

func screenLock() *Entry {
	return &Entry{
		Key: "screen.lock", Title: "Screen lock", Category: categoryDesktop, Platforms: []Platform{Linux, Windows}, Merge: MostRestrictive,
		Description: "An unattended desktop locks itself. People cannot change what is set here.",
		Mechanism:   "dconf keys of GNOME with locks, in a database of their own",
		Fields: []Field{
			flag("enabled", "Lock by itself", "The screen locks when nobody works at it.").with(true),
			{Name: "idle_seconds", Kind: Integer, Title: "After idle", Description: "So long without keyboard and mouse the screen goes dark.", Default: int64(300), Min: 30, Max: 7200, Unit: "seconds", Combine: Lowest},
			{Name: "lock_delay_seconds", Kind: Integer, Title: "Lock after dark", Description: "So long after it went dark it can still be woken without a password.", Default: int64(0), Min: 0, Max: 3600, Unit: "seconds", Combine: Lowest},
			flag("lock_on_suspend", "Lock when suspended", "A closed laptop is a locked one.").with(true),
		},
	}
}

func desktopRestrictions() *Entry {
	return &Entry{
		Key: "desktop.restrictions", Title: "Desktop restrictions", Category: categoryDesktop, Platforms: []Platform{Linux, Windows}, Merge: MostRestrictive,
		Description: "What people cannot do on the desktop. What is left out stays as the desktop has it.",
		Mechanism:   "dconf keys of GNOME with locks, in a database of their own",
		Fields: []Field{
			flag("lock_down_command_line", "No command line", "The desktop offers no terminal and no box to run a command. It is no wall against those who know other ways."),
			flag("disable_user_switching", "No switching of users", "Nobody can sign in beside a session that is open."),
			flag("disable_printing", "No printing", "Programs offer no printing."),
			flag("disable_print_setup", "No printer settings", "People cannot change printers."),
			flag("disable_save_to_disk", "No saving", "Programs offer no saving of files. For kiosks."),
			flag("disable_automount", "No automatic mounting", "Discs and sticks are not opened by themselves when they are put in."),
			flag("disable_autorun", "No automatic start", "Nothing on a disc or stick starts by itself."),
			flag("disable_application_handlers", "No calling of programs by links", "Links to mail and other programs do nothing. For kiosks."),
			flag("hide_user_list", "Hide the users", "The sign-in screen asks for the name and does not show who has an account."),
			{Name: "banner_text", Kind: Text, Title: "Sign-in banner", Description: "Shown on the sign-in screen, as whose device this is.", Multiline: true, MaxLen: 1024},
		},
	}
}

func cameraDisabled() *Entry {
	off := flag("disabled", "Camera off", "Cameras of the device cannot be used by anything.")
	off.Required = true
	return &Entry{
		Key: "camera.disabled", Title: "Camera", Category: categoryDesktop, Platforms: []Platform{Linux, Windows}, Merge: MostRestrictive,
		Description: "Takes the camera away from all programs.",
		Mechanism:   "The kernel modules of cameras cannot be loaded (/etc/modprobe.d), and udev takes cameras that are plugged in from their driver",
		Fields:      []Field{off},
	}
}

func usbStorage() *Entry {
	return &Entry{
		Key: "usb.storage", Title: "USB storage", Category: categoryDesktop, Platforms: []Platform{Linux, Windows}, Merge: MostRestrictive,
		Description: "What may be done with USB sticks and disks. Keyboards and mice are not meant.",
		Mechanism:   "The kernel modules of USB storage cannot be loaded (/etc/modprobe.d), or udev makes their disks read-only",
		Risk:        Risk{Words: "A device that runs from a USB disk must not be given this."},
		Fields: []Field{
			{Name: "mode", Kind: Text, Title: "USB storage", Description: "What may be done with it.", Required: true, Combine: Strictest, Choices: choices("block", "Nothing", "read_only", "Read", "allow", "Read and write")},
		},
	}
}
