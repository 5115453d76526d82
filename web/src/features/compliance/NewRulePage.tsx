import { TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useCreateRule } from "../../api/compliance.ts";
import { PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { RuleForm } from "./RuleForm.tsx";

/** A rule of the organisation's own. */
export function NewRulePage() {
  const navigate = useNavigate();
  const create = useCreateRule();
  const [slug, setSlug] = useState("");
  const back = () => void navigate({ to: "/compliance/rules" });
  return (
    <Page
      title="New rule"
      narrow
      above={
        <PageLink to="/compliance/rules" size="sm" c="dimmed">
          ← Rules
        </PageLink>
      }
    >
      <TextInput
        label="Short name"
        description="Lower case, digits and hyphens; it names the rule in searches and exports and never changes."
        placeholder="own-vpn-client"
        maxLength={64}
        required
        value={slug}
        onChange={(e) => setSlug(e.currentTarget.value.toLowerCase().replace(/[^a-z0-9-]/g, "-"))}
        mb="md"
      />
      <RuleForm
        busy={create.isPending}
        error={create.error}
        onClose={back}
        onSubmit={(body) =>
          create.mutate(
            { slug, ...body },
            { onSuccess: (r) => void navigate({ to: "/compliance/rules/$slug", params: { slug: r.slug } }) },
          )
        }
      />
    </Page>
  );
}
