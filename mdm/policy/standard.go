package policy

// The categories, in the order of the console.
const (
	categoryNetwork  = "Network"
	categorySignIn   = "Sign-in and passwords"
	categoryDesktop  = "Desktop and peripherals"
	categorySecurity = "Security"
	categorySoftware = "Software and updates"
	categorySystem   = "System"
)

// Standard returns the catalogue of everything this product can set.
func Standard() *Catalogue {
	return newCatalogue([]*Entry{
		wifiNetwork(), wireGuard(), openVPN(), firewallPolicy(),
		passcodeQuality(), passcodeLockout(), passcodeAgeing(), sshServer(), sudoRules(), sudoDefaults(),
		screenLock(), desktopRestrictions(), cameraDisabled(), usbStorage(),
		caTrust(), kernelSysctl(),
		osUpdate(), browserPolicy(), mailAccount(),
		serviceState(), fileContent(), scriptCheck(), motdBanner(),
	})
}

// choices pairs values with their titles.
func choices(pairs ...string) []Choice {
	out := make([]Choice, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, Choice{Value: pairs[i], Title: pairs[i+1]})
	}
	return out
}

// flag is a bool field of a setting where true is the stricter.
func flag(name, title, description string) Field {
	return Field{Name: name, Kind: Bool, Title: title, Description: description, Combine: AnyTrue}
}

// permit is a bool field of a setting where false is the stricter.
func permit(name, title, description string) Field {
	return Field{Name: name, Kind: Bool, Title: title, Description: description, Combine: AnyFalse}
}

// with returns the field with a default.
func (f Field) with(value any) Field {
	f.Default = value
	return f
}

// texts is a list of single lines of a format.
func texts(name, title, description string, format Format) Field {
	return Field{
		Name: name, Kind: List, Title: title, Description: description,
		Items: &Field{Kind: Text, MinLen: 1, Format: format},
	}
}
