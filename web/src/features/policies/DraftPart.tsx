import { Alert, Button, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { catalogueQuery, useDiscardDraft, useSaveDraft, versionQuery } from "../../api/policies.ts";
import type { CatalogueEntry, Policy, PolicySetting } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { PolicyIcon } from "../../ui/icons.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Overtaken } from "../../ui/Overtaken.tsx";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { Differences, settingTitle } from "./Differences.tsx";
import { editDifferences, mergeEdits, useEdits } from "./edits.ts";
import { JsonEditor } from "./JsonEditor.tsx";
import { KeepUnsaved } from "./KeepUnsaved.tsx";
import { PanelButtons, usePanels } from "./openPanels.tsx";
import { PublishDialog } from "./PublishDialog.tsx";
import { countProblems, settingProblems } from "./problems.ts";
import { SettingPanel } from "./SettingPanel.tsx";
import { SettingPicker } from "./SettingPicker.tsx";
import { entryOf, nameOf } from "./settingLine.ts";
import { shownVersion } from "./versionWords.ts";

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

function Editor({ policy, saved, mayManage }: EditorProps) {
  const edits = useEdits(policy, saved);
  const { value: settings, setValue: setSettings, changed, overtaken, revision, adopt, turn } = edits;
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
          {overtaken && !save.isPending && (
            <OvertakenSettings
              base={edits.base}
              mine={settings}
              theirs={saved}
              entries={entries}
              onGoOn={(next) => {
                save.reset();
                adopt(saved, policy.revision, next);
              }}
            />
          )}
          {isOutdated(save.error) && !overtaken && (
            <Alert
              color="yellow"
              className="overtaken"
              title="Somebody else has changed this policy meanwhile"
              role="alert"
            >
              It was not the settings that they changed. Yours are still here: save them again.
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
          <KeepUnsaved when={changed && !save.isPending} what="the settings" />
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

interface OvertakenSettingsProps {
  base: PolicySetting[];
  mine: PolicySetting[];
  theirs: PolicySetting[];
  entries: CatalogueEntry[];
  /** Goes on from theirs with these settings in the editor. */
  onGoOn: (settings: PolicySetting[]) => void;
}

/** A colleague saved other settings: theirs, mine, and both together. */
function OvertakenSettings({ base, mine, theirs, entries, onGoOn }: OvertakenSettingsProps) {
  const they = editDifferences(base, theirs);
  const me = editDifferences(base, mine);
  const both = me.filter((d) => they.some((t) => t.id === d.id)).map((d) => settingTitle(entries, d.id));
  return (
    <Overtaken
      of="policy"
      theirs={<Differences items={they} />}
      mine={<Differences items={me} />}
      words={
        both.length === 0
          ? "Not the same settings: both can stand together. Nothing is saved before you say so."
          : `Of what you both changed, yours counts then: ${both.join(", ")}. Nothing is saved before you say so.`
      }
      verb="Go on with both"
      onGoOn={() => onGoOn(mergeEdits(base, mine, theirs))}
      onTakeTheirs={() => onGoOn(theirs)}
    />
  );
}
