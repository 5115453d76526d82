/** The quality of the picture an operator last chose in this browser. */
import { type Tier, tiers } from "../session/state.ts";

const key = "handrail-picture";

/** Returns the kept choice; "auto" without one, or where nothing may be kept. */
export function keptTier(): Tier {
  try {
    const kept = localStorage.getItem(key);
    return tiers.find((t) => t === kept) ?? "auto";
  } catch {
    return "auto";
  }
}

/** Keeps a choice for the sessions to come. */
export function keepTier(tier: Tier): void {
  try {
    localStorage.setItem(key, tier);
  } catch {
    // Where nothing may be kept the choice holds for this session.
  }
}
