/** The mark: a handrail going down a stair, on two posts. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="var(--handrail-mark)" />
      <path
        d="M5 11.5h6.5L24 21.5h3"
        fill="none"
        stroke="#fff"
        strokeWidth="3.2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <path d="M10 13v12M21.5 21v4" fill="none" stroke="#9fd8d6" strokeWidth="2.6" strokeLinecap="round" />
    </svg>
  );
}

/** The mark with the product's name beside it. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: size * 0.36 }}>
      <Mark size={size} />
      <span style={{ fontWeight: 650, fontSize: size * 0.62, letterSpacing: "-0.01em" }}>Handrail</span>
    </span>
  );
}
