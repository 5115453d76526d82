import { Alert, Button, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { catalogueQuery, useDiscardDraft, useSaveDraft, versionQuery } from "../../api/policies.ts";
import type { Policy, PolicySetting } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { PolicyIcon } from "../../ui/icons.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { JsonEditor } from "./JsonEditor.tsx";
import { PublishDialog } from "./PublishDialog.tsx";
import { settingProblems } from "./problems.ts";
import { SettingPanel } from "./SettingPanel.tsx";
import { SettingPicker } from "./SettingPicker.tsx";
import { shownVersion } from "./versionWords.ts";

const sameJson = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/**
 * The settings of a policy: those in force, or the draft of the next version. Edits stay in
 * the page until they are saved as the draft; nothing reaches a device before it is published.
 */
export function DraftPart({ policy, mayManage }: { policy: Policy; mayManage: boolean }) {
  const number = shownVersion(policy);
  const shown = useQuery({ ...versionQuery(policy.id, number), enabled: !policy.draft && number > 0 });
  if (policy.draft)
    return <Editor policy={policy} saved={policy.draft.settings ?? []} mayManage={mayManage} />;
  if (number === 0) return <Editor policy={policy} saved={[]} mayManage={mayManage} />;
  return (
    <Loaded query={shown}>
      {(v) => <Editor policy={policy} saved={v.settings ?? []} mayManage={mayManage} />}
    </Loaded>
  );
}

interface EditorProps {
  policy: Policy;
  saved: PolicySetting[];
  mayManage: boolean;
}

function Editor({ policy, saved, mayManage }: EditorProps) {
  const [settings, setSettings] = useState<PolicySetting[]>(saved);
  const [form, setForm] = useState<"form" | "json">("form");
  const [dialog, setDialog] = useState<"publish" | "discard" | null>(null);
  const catalogue = useQuery(catalogueQuery);
  const save = useSaveDraft(policy.id);
  const discard = useDiscardDraft(policy.id, policy.revision);
  const changed = !sameJson(settings, saved);
  const problems = useMemo(
    () =>
      settingProblems(
        save.error,
        settings.map((s) => s.id),
      ),
    [save.error, settings],
  );
  const keep = (then?: () => void) =>
    save.mutate(
      { settings, revision: policy.revision },
      {
        onSuccess: () => {
          if (then) then();
          else notifyDone("The draft is saved.");
        },
      },
    );
  const bar = mayManage && (
    <Group gap="xs" className="sticky-bar" role="group" aria-label="Draft">
      <Text size="sm" c="dimmed" style={{ flex: 1 }} role="status">
        {changed
          ? "There are changes that are not saved."
          : policy.draft
            ? "This is a draft: devices keep to the published version."
            : policy.live > 0
              ? `Version ${policy.live} is in force.`
              : policy.newest > 0
                ? `These are the settings of version ${policy.newest}.`
                : "Nothing is published yet."}
      </Text>
      {changed && (
        <Button variant="default" onClick={() => setSettings(saved)}>
          Undo changes
        </Button>
      )}
      {!changed && policy.draft && (
        <Button variant="default" onClick={() => setDialog("discard")}>
          Discard draft…
        </Button>
      )}
      {changed && (
        <Button variant="default" loading={save.isPending} onClick={() => keep()}>
          Save draft
        </Button>
      )}
      <Button
        disabled={!changed && !policy.draft}
        loading={save.isPending}
        onClick={() => (changed ? keep(() => setDialog("publish")) : setDialog("publish"))}
      >
        Review and publish…
      </Button>
    </Group>
  );
  return (
    <Loaded query={catalogue}>
      {({ items: entries }) => (
        <Stack gap="md">
          <Group justify="space-between">
            <SegmentedControl
              size="xs"
              aria-label="How to edit"
              value={form}
              onChange={(v) => setForm(v as "form" | "json")}
              data={[
                { value: "form", label: "Form" },
                { value: "json", label: "JSON" },
              ]}
            />
            {mayManage && form === "form" && (
              <SettingPicker
                entries={entries}
                taken={settings.map((s) => s.id)}
                onPick={(id) => setSettings([...settings, { id, value: {} }])}
              />
            )}
          </Group>
          {save.error && isOutdated(save.error) && (
            <Alert color="yellow" title="Somebody else has changed this policy meanwhile">
              Your changes are still here. Copy what you need from the JSON view, undo your changes to see
              theirs, and make yours again.
            </Alert>
          )}
          {save.error && !isOutdated(save.error) && (
            <ErrorPanel error={save.error} title="The draft was not saved" />
          )}
          {form === "json" ? (
            <JsonEditor settings={settings} onChange={setSettings} readOnly={!mayManage} />
          ) : settings.length === 0 ? (
            <div className="panel">
              <Empty icon={<PolicyIcon size={36} />} title="No settings yet">
                {mayManage
                  ? "Add the first setting. It becomes a draft; nothing happens on any device until you publish."
                  : "This policy holds no settings."}
              </Empty>
            </div>
          ) : (
            settings.map((s) => (
              <SettingPanel
                key={s.id}
                setting={s}
                entry={entries.find((e) => e.key === s.id.split("/")[0])}
                problems={problems.get(s.id)}
                readOnly={!mayManage}
                onChange={(value) => setSettings(settings.map((o) => (o.id === s.id ? { ...o, value } : o)))}
                onRemove={() => setSettings(settings.filter((o) => o.id !== s.id))}
              />
            ))
          )}
          {bar}
          <PublishDialog policy={policy} opened={dialog === "publish"} onClose={() => setDialog(null)} />
          <Confirm
            opened={dialog === "discard"}
            title="Discard the draft?"
            verb="Discard"
            busy={discard.isPending}
            error={discard.error}
            onClose={() => setDialog(null)}
            onConfirm={() => discard.mutate(undefined, { onSuccess: () => setDialog(null) })}
          >
            What was changed since version {policy.draft?.base ?? policy.live} is lost. Devices notice
            nothing.
          </Confirm>
        </Stack>
      )}
    </Loaded>
  );
}
