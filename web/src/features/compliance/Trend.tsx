import { Text } from "@mantine/core";
import type { Compliance } from "../../api/types.ts";

const width = 720;
const height = 120;

const layers = [
  ["non_compliant", "var(--handrail-bad)", "not compliant"],
  ["in_grace", "var(--handrail-warn)", "in grace"],
  ["compliant", "var(--handrail-good)", "compliant"],
] as const;

/** Devices by state, day by day, as columns; the same as a table for screen readers. */
export function Trend({ days }: { days: Compliance["trend"] }) {
  const most = Math.max(1, ...days.map((d) => layers.reduce((sum, [key]) => sum + d.counts[key], 0)));
  const step = width / days.length;
  return (
    <>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width="100%"
        height={height}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {days.map((d, i) => {
          let y = height;
          return layers.map(([key, color]) => {
            const h = (d.counts[key] / most) * height;
            y -= h;
            return (
              <rect
                key={`${d.day} ${key}`}
                x={i * step}
                y={y}
                width={Math.max(1, step - 2)}
                height={h}
                fill={color}
              />
            );
          });
        })}
      </svg>
      <Text size="sm" c="dimmed">
        {days[0]?.day} to {days.at(-1)?.day}. From below: {layers.map(([, , words]) => words).join(", ")}.
      </Text>
      <table className="visually-hidden">
        <caption>Devices by state and day</caption>
        <thead>
          <tr>
            <th scope="col">Day</th>
            {layers.map(([key, , words]) => (
              <th key={key} scope="col">
                {words}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {days.map((d) => (
            <tr key={d.day}>
              <th scope="row">{d.day}</th>
              {layers.map(([key]) => (
                <td key={key}>{d.counts[key]}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
