/** The parts of a device's page, in the order of their tabs. */
export const deviceTabs = [
  "overview",
  "inventory",
  "settings",
  "compliance",
  "commands",
  "timeline",
  "support",
] as const;

export type DeviceTab = (typeof deviceTabs)[number];
