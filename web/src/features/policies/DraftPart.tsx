import { Alert, Button, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { catalogueQuery, useDiscardDraft, useSaveDraft, versionQuery } from "../../api/policies.ts";
import type { Policy, PolicySetting } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { PolicyIcon } from "../../ui/icons.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { JsonEditor } from "./JsonEditor.tsx";
import { KeepUnsaved } from "./KeepUnsaved.tsx";
import { PanelButtons, usePanels } from "./openPanels.tsx";
import { PublishDialog } from "./PublishDialog.tsx";
import { countProblems, settingProblems } from "./problems.ts";
import { SettingPanel } from "./SettingPanel.tsx";
import { SettingPicker } from "./SettingPicker.tsx";
import { entryOf, nameOf } from "./settingLine.ts";
import { shownVersion } from "./versionWords.ts";

const sameJson = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const none: PolicySetting[] = [];

/**
 * The settings of a policy: those in force, or the draft of the next version. Edits stay in
 * the page until they are saved as the draft; nothing reaches a device before it is published.
 */
export function DraftPart({ policy, mayManage }: { policy: Policy; mayManage: boolean }) {
  const number = shownVersion(policy);
  const shown = useQuery({ ...versionQuery(policy.id, number), enabled: !policy.draft && number > 0 });
  const saved = policy.draft
    ? (policy.draft.settings ?? none)
    : number === 0
      ? none
      : shown.data && (shown.data.settings ?? none);
  // While a version is fetched that just came about, the editor stays with what it has.
  const [last, setLast] = useState(saved);
  if (saved && saved !== last) setLast(saved);
  const given = saved ?? last;
  if (!given) return <Loaded query={shown}>{() => null}</Loaded>;
  return <Editor policy={policy} saved={given} mayManage={mayManage} />;
}

interface EditorProps {
  policy: Policy;
  saved: PolicySetting[];
  mayManage: boolean;
}

/** What is edited, beside what it was made from: which settings, of which revision of the policy. */
function useEdits(policy: Policy, saved: PolicySetting[]) {
  const [from, setFrom] = useState({ settings: saved, revision: policy.revision, turn: 0 });
  const [settings, setSettings] = useState(saved);
  const changed = !sameJson(settings, from.settings);
  const isNews = !sameJson(saved, from.settings);
  const adopt = (next: PolicySetting[], revision: number) => {
    setFrom({ settings: next, revision, turn: from.turn + 1 });
    setSettings(next);
  };
  if (isNews && !changed) adopt(saved, policy.revision);
  return {
    settings,
    setSettings,
    changed,
    /** Somebody else saved a draft while this one was being edited. */
    overtaken: isNews && changed,
    /** Of an assignment or a new name nothing here is lost: such a revision is as good. */
    revision: isNews ? from.revision : policy.revision,
    adopt,
    /** Fields keep text of their own: they begin anew with what was taken over. */
    turn: from.turn,
  };
}

function Editor({ policy, saved, mayManage }: EditorProps) {
  const { settings, setSettings, changed, overtaken, revision, adopt, turn } = useEdits(policy, saved);
  const [fresh, setFresh] = useState("");
  const [form, setForm] = useState<"form" | "json">("form");
  const [dialog, setDialog] = useState<"publish" | "discard" | null>(null);
  const catalogue = useQuery(catalogueQuery);
  const save = useSaveDraft(policy.id);
  const discard = useDiscardDraft(policy.id, policy.revision);
  const fields = useRef<HTMLDivElement>(null);
  const problems = useMemo(
    () =>
      settingProblems(
        save.error,
        settings.map((s) => s.id),
      ),
    [save.error, settings],
  );
  const panels = usePanels(settings, problems);
  const marked = form === "form" ? countProblems(problems) : 0;
  useEffect(() => {
    if (save.error)
      fields.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-invalid] input')?.focus();
  }, [save.error]);
  const keep = (then?: () => void) =>
    save.mutate(
      { settings, revision },
      {
        onSuccess: (p) => {
          adopt(p.draft?.settings ?? none, p.revision);
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
            ? `The draft is saved. ${policy.live > 0 ? `Devices keep to version ${policy.live} until it is published.` : "It reaches no device until it is published."}`
            : policy.live > 0
              ? `Version ${policy.live} is in force.`
              : policy.newest > 0
                ? `These are the settings of version ${policy.newest}.`
                : "Nothing is published yet."}
      </Text>
      {changed && (
        <Button
          variant="default"
          onClick={() => {
            save.reset();
            adopt(saved, policy.revision);
          }}
        >
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
            <Group gap="sm">
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
              {form === "form" && settings.length > 1 && <PanelButtons settings={settings} panels={panels} />}
            </Group>
            {mayManage && form === "form" && (
              <SettingPicker
                entries={entries}
                taken={settings.map((s) => s.id)}
                onPick={(id) => {
                  setSettings([...settings, { id, value: {} }]);
                  setFresh(id);
                  panels.open([id]);
                }}
              />
            )}
          </Group>
          {((overtaken && !save.isPending) || isOutdated(save.error)) && (
            <Alert color="yellow" title="Somebody else has changed this policy meanwhile" role="alert">
              Your changes are still here. Copy what you need from the JSON view, undo your changes to see
              theirs, and make yours again.
            </Alert>
          )}
          {save.error &&
            !isOutdated(save.error) &&
            (marked > 0 ? (
              <Alert color="red" variant="light" title="The draft was not saved" role="alert">
                {countWords(marked, "field needs", "fields need")} another look, marked below: in{" "}
                {[...problems.keys()].map((id) => nameOf(id, entryOf(entries, id))).join(", ")}.
              </Alert>
            ) : (
              <ErrorPanel error={save.error} title="The draft was not saved" />
            ))}
          <KeepUnsaved when={changed} what="the settings" />
          <Stack gap="xs" ref={fields} key={turn}>
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
                  entry={entryOf(entries, s.id)}
                  opened={panels.opened.has(s.id)}
                  onToggle={() => panels.toggle(s.id)}
                  problems={problems.get(s.id)}
                  readOnly={!mayManage}
                  isFresh={s.id === fresh}
                  onChange={(value) =>
                    setSettings(settings.map((o) => (o.id === s.id ? { ...o, value } : o)))
                  }
                  onRemove={() => setSettings(settings.filter((o) => o.id !== s.id))}
                />
              ))
            )}
          </Stack>
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
