//go:build cgo

package main

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// palette is the colors of one variant. Text on its ground has a contrast of 7:1 or more,
// muted text 4.5:1.
type palette struct {
	ground, card, line, text, muted, accent, onAccent, button, danger, off color.NRGBA
}

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xff} //nolint:gosec // cut on purpose
}

var (
	light = palette{
		ground: rgb(0xf6f7f9), card: rgb(0xffffff), line: rgb(0xd8dde5), text: rgb(0x14181f), muted: rgb(0x566072),
		accent: rgb(0x1d5fd1), onAccent: rgb(0xffffff), button: rgb(0xe5e9f0), danger: rgb(0xc22a2a), off: rgb(0xb3bbc8),
	}
	dark = palette{
		ground: rgb(0x171b21), card: rgb(0x20262e), line: rgb(0x353d49), text: rgb(0xf1f4f8), muted: rgb(0xa3afc0),
		accent: rgb(0x5b9bff), onAccent: rgb(0x0b1220), button: rgb(0x2d3540), danger: rgb(0xff7b72), off: rgb(0x5a6576),
	}
)

// look is the theme of every window.
type look struct {
	fyne.Theme
	variant fyne.ThemeVariant
	follow  bool // the desktop's own variant
}

func newTheme(name string) *look {
	l := &look{Theme: theme.DefaultTheme()}
	switch name {
	case "light":
		l.variant = theme.VariantLight
	case "dark":
		l.variant = theme.VariantDark
	default:
		l.follow = true
	}
	return l
}

// colors returns the palette in use.
func (l *look) colors() palette {
	v := l.variant
	if l.follow {
		v = fyne.CurrentApp().Settings().ThemeVariant()
	}
	if v == theme.VariantDark {
		return dark
	}
	return light
}

// Color implements fyne.Theme.
func (l *look) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if !l.follow {
		v = l.variant
	}
	p := light
	if v == theme.VariantDark {
		p = dark
	}
	switch name {
	case theme.ColorNameBackground, theme.ColorNameOverlayBackground, theme.ColorNameMenuBackground:
		return p.ground
	case theme.ColorNameForeground:
		return p.text
	case theme.ColorNamePrimary, theme.ColorNameFocus:
		return p.accent
	case theme.ColorNameForegroundOnPrimary:
		return p.onAccent
	case theme.ColorNameButton:
		return p.button
	case theme.ColorNameError:
		return p.danger
	case theme.ColorNamePlaceHolder, theme.ColorNameDisabled:
		return p.muted
	case theme.ColorNameSeparator, theme.ColorNameInputBorder:
		return p.line
	}
	return l.Theme.Color(name, v)
}

// Size implements fyne.Theme.
func (l *look) Size(name fyne.ThemeSizeName) float32 {
	switch name {
	case theme.SizeNameText:
		return 14
	case theme.SizeNamePadding:
		return 4
	case theme.SizeNameInnerPadding:
		return 9
	case theme.SizeNameInputRadius:
		return 8
	}
	return l.Theme.Size(name)
}

// colors returns the palette of the app's theme.
func colors() palette {
	if l, ok := fyne.CurrentApp().Settings().Theme().(*look); ok {
		return l.colors()
	}
	return light
}
