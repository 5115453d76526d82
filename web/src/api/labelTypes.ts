export interface Label {
  id: string;
  name: string;
  description: string;
  kind: "static" | "smart";
  expression: string;
  devices: number;
}
export interface LabelList {
  items: Label[];
  next?: string;
}
export interface LabelChange {
  name: string;
  description: string;
  kind?: "static" | "smart";
  expression?: string;
}
export interface LabelPreview {
  matches: number;
  sample: { device_id: string; name: string; why: string }[];
  error?: { message: string; line?: number; column?: number };
}
