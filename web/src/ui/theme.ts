import {
  Badge,
  Button,
  type CSSVariablesResolver,
  createTheme,
  type MantineColorsTuple,
  Menu,
  Modal,
  Paper,
  PasswordInput,
  Select,
  Table,
  TextInput,
  Tooltip,
} from "@mantine/core";

/** Petrol: Handrail's own colour. Shade 7 carries white text at 6.6:1, shade 3 dark text at 9:1. */
const rail: MantineColorsTuple = [
  "#edf8f8",
  "#d9efef",
  "#b2dfdf",
  "#86cdce",
  "#5dbabd",
  "#39a0a5",
  "#1f8087",
  "#11646b",
  "#0c5157",
  "#083d42",
];

/** Neutral greys with a trace of the same hue, for dark surfaces. */
const dark: MantineColorsTuple = [
  "#d3dadb",
  "#b4bebf",
  "#94a0a2",
  "#66757a",
  "#404d51",
  "#313c40",
  "#263033",
  "#1a2124",
  "#141a1c",
  "#0e1315",
];

export const theme = createTheme({
  colors: { rail, dark },
  primaryColor: "rail",
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  lineHeights: { xs: "1.35", sm: "1.4", md: "1.5", lg: "1.5", xl: "1.5" },
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  headings: {
    fontWeight: "650",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "1.0625rem", lineHeight: "1.35" },
      h3: { fontSize: "0.9375rem", lineHeight: "1.4" },
    },
  },
  components: {
    Button: Button.extend({ defaultProps: { size: "sm" } }),
    TextInput: TextInput.extend({ defaultProps: { size: "sm" } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: "sm" } }),
    Select: Select.extend({ defaultProps: { size: "sm", checkIconPosition: "right" } }),
    Paper: Paper.extend({ defaultProps: { radius: "md" } }),
    Badge: Badge.extend({ defaultProps: { radius: "sm", tt: "none", fw: 550 } }),
    Table: Table.extend({ defaultProps: { verticalSpacing: 7, horizontalSpacing: "sm" } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 250, withArrow: true } }),
    // The placeholder would be a child of role="menu" that is no menu item.
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
    Modal: Modal.extend({
      defaultProps: {
        centered: true,
        closeButtonProps: { "aria-label": "Close" },
        overlayProps: { opacity: 0.55 },
      },
    }),
  },
});

/** The few of Mantine's own colours that differ, so that quiet text keeps 4.5:1 on every surface. */
export const colorVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#566569",
    "--mantine-color-default-border": "#c8d2d4",
    "--mantine-color-placeholder": "#66757a",
    "--mantine-color-error": "#b4232a",
  },
  dark: {
    "--mantine-color-body": "#171d20",
    "--mantine-color-dimmed": "#a3afb2",
    "--mantine-color-default": "#1e2629",
    "--mantine-color-default-border": "#3a464a",
    "--mantine-color-placeholder": "#94a0a2",
    "--mantine-color-error": "#ff8b88",
  },
});
