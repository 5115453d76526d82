import { Text } from "@mantine/core";
import { ChevronIcon, WarningIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import type { Managed } from "./managed.ts";

/** A line of what needs attention that leads to where it is looked into. */
export function ManagedRow({ item }: { item: Managed }) {
  const content = (
    <>
      <span style={{ color: "var(--handrail-warn)", display: "flex" }}>
        <WarningIcon />
      </span>
      <span style={{ flex: 1, minWidth: 0 }}>
        <Text component="span" fw={550} className="wrap-anywhere">
          {item.text}
        </Text>
        {item.detail && <span className="quiet"> {item.detail}</span>}
      </span>
      <ChevronIcon />
    </>
  );
  const look = { className: "attention-row", underline: "never", c: "inherit" } as const;
  switch (item.to.page) {
    case "devices":
      return (
        <PageLink to="/devices" search={item.to.filter} {...look}>
          {content}
        </PageLink>
      );
    case "rule":
      return (
        <PageLink to="/compliance/rules/$slug" params={{ slug: item.to.slug }} {...look}>
          {content}
        </PageLink>
      );
    case "policy":
      return (
        <PageLink
          to="/policies/$policyId"
          params={{ policyId: item.to.id }}
          search={{ tab: "rollouts" }}
          {...look}
        >
          {content}
        </PageLink>
      );
    case "order":
      return (
        <PageLink to="/commands/$bulkId" params={{ bulkId: item.to.id }} {...look}>
          {content}
        </PageLink>
      );
  }
}
