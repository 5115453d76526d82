/** How long to wait before the next attempt: doubling, bounded, with jitter. */
export interface Backoff {
  /** Milliseconds before the second attempt, on average. */
  readonly firstMs: number;
  /** The most to wait, in milliseconds. */
  readonly mostMs: number;
}

/**
 * Returns the wait after `failures` failures in a row (1 and up). `random` is 0 to 1; the wait is
 * spread over half of its length, so that a thousand pages do not come back in the same moment.
 */
export function waitMs(b: Backoff, failures: number, random: number): number {
  const full = Math.min(b.mostMs, b.firstMs * 2 ** Math.min(failures - 1, 16));
  return full * (0.5 + random / 2);
}
