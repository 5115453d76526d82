import { Anchor, Text } from "@mantine/core";
import { useMe } from "../../api/me.ts";
import { Logo } from "../../ui/Logo.tsx";
import { Page } from "../../ui/Page.tsx";

/** What this is and where to read on. */
export function AboutPage() {
  const me = useMe();
  return (
    <Page title="About" narrow>
      <section className="panel panel-pad">
        <Logo size={36} />
        <Text mt="md">
          Handrail lets support staff see and steer a device's screen from a browser, with the agreement of
          the person in front of it, and keeps a record of every session.
        </Text>
        <dl className="facts" style={{ marginTop: "1rem" }}>
          <dt>Organisation</dt>
          <dd>{me.organisation}</dd>
          <dt>Version</dt>
          <dd>{me.version}</dd>
          <dt>Gateway</dt>
          <dd className="mono">{window.location.origin}</dd>
          <dt>API</dt>
          <dd>
            <Anchor href="/api/docs">Description to read</Anchor> ·{" "}
            <Anchor href="/api/openapi.yaml">OpenAPI document</Anchor>
          </dd>
        </dl>
      </section>
    </Page>
  );
}
