import { Text, Title } from "@mantine/core";
import type { Role } from "../../api/types.ts";

/** What each role means. */
export function RolesPanel({ roles }: { roles: Role[] }) {
  if (roles.length === 0) return null;
  return (
    <section className="panel panel-pad" aria-labelledby="roles" style={{ marginTop: "1rem" }}>
      <Title order={2} id="roles" mb="xs">
        What the roles may do
      </Title>
      <dl className="facts">
        {roles.map((r) => (
          <div key={r.role} style={{ display: "contents" }}>
            <dt>{r.name}</dt>
            <dd>{r.summary}</dd>
          </div>
        ))}
      </dl>
      <Text size="sm" c="dimmed" mt="xs">
        A role counts on its group and every group below. Nobody can give more than they have.
      </Text>
    </section>
  );
}
