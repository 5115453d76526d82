/** The shortest password the gateway takes, in characters. */
export const shortestPassword = 10;

/** Why a new password will not do; null when it will. The gateway has the last word. */
export function passwordProblem(password: string): string | null {
  if (password.length === 0) return "Choose a password.";
  const missing = shortestPassword - [...password].length;
  if (missing > 0) return `At least ${shortestPassword} characters; ${missing} more.`;
  return null;
}

/** A password nobody has to think up: 20 characters of 5 bits each, in groups. */
export function randomPassword(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789x";
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  const text = Array.from(bytes, (b) => letters[b % 32]).join("");
  return text.replace(/(.{5})(?=.)/g, "$1-");
}
