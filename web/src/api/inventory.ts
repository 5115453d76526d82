/**
 * What a device reports about itself. Every field comes from the device and may be
 * missing: read nothing here as certain.
 */
export interface Inventory {
  sections: InventorySections;
  /** When anything in it last changed. */
  changed_at?: string;
}

export interface InventorySections {
  host?: {
    hostname?: string;
    os?: string;
    os_version?: string;
    kernel?: string;
    arch?: string;
    virtualization?: string;
    boot_time_us?: number;
    timezone?: string;
  };
  hardware?: {
    vendor?: string;
    model?: string;
    serial?: string;
    firmware?: string;
    cpu?: { model?: string; cores?: number; threads?: number; mhz?: number };
    memory_bytes?: number;
  };
  disks?: Disk[] | null;
  filesystems?: Filesystem[] | null;
  network?: NetworkInterface[] | null;
  monitors?: InventoryMonitor[] | null;
  users?: LoggedInUser[] | null;
  agent?: { version?: string; go?: string; started_us?: number };
}

export interface Disk {
  name?: string;
  model?: string;
  serial?: string;
  size_bytes?: number;
  rotational?: boolean;
  removable?: boolean;
}
export interface Filesystem {
  mount?: string;
  device?: string;
  type?: string;
  size_bytes?: number;
  free_bytes?: number;
}
export interface NetworkInterface {
  name?: string;
  mac?: string;
  addresses?: string[] | null;
  up?: boolean;
  speed_mbps?: number;
}
export interface InventoryMonitor {
  name?: string;
  width?: number;
  height?: number;
  x?: number;
  y?: number;
  primary?: boolean;
}
export interface LoggedInUser {
  name?: string;
  terminal?: string;
  host?: string;
  since_us?: number;
  graphical?: boolean;
}
