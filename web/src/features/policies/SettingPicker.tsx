import { Button, Group, Modal, Stack, Text, TextInput, UnstyledButton } from "@mantine/core";
import { useMemo, useState } from "react";
import type { CatalogueEntry } from "../../api/types.ts";
import { EnrollIcon, SearchIcon } from "../../ui/icons.tsx";
import { Empty } from "../../ui/states.tsx";

interface SettingPickerProps {
  entries: readonly CatalogueEntry[];
  /** Ids that the policy holds already. */
  taken: readonly string[];
  onPick: (id: string) => void;
}

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

/** Chooses a setting of the catalogue; those there may be several of get a name. */
export function SettingPicker({ entries, taken, onPick }: SettingPickerProps) {
  const [opened, setOpened] = useState(false);
  const [text, setText] = useState("");
  // Who picked goes on in the new setting; who did not, where they were.
  const [picked, setPicked] = useState(false);
  const [naming, setNaming] = useState<CatalogueEntry | null>(null);
  const byCategory = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = entries.filter((e) => {
      const all = `${e.title} ${e.description} ${e.key} ${e.category}`.toLowerCase();
      return words.every((w) => all.includes(w));
    });
    const out = new Map<string, CatalogueEntry[]>();
    for (const e of fitting) out.set(e.category, [...(out.get(e.category) ?? []), e]);
    return out;
  }, [entries, text]);
  const close = () => {
    setOpened(false);
    setNaming(null);
    setText("");
  };
  const pick = (id: string) => {
    setPicked(true);
    onPick(id);
    close();
  };
  const isTaken = (e: CatalogueEntry) =>
    e.several
      ? (e.instances ?? []).length > 0 && (e.instances ?? []).every((i) => taken.includes(`${e.key}/${i}`))
      : taken.includes(e.key);
  return (
    <>
      <Button
        leftSection={<EnrollIcon size={16} />}
        variant="default"
        onClick={() => {
          setPicked(false);
          setOpened(true);
        }}
      >
        Add setting
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        returnFocus={!picked}
        size="lg"
        title={<Text fw={650}>{naming ? naming.title : "Add a setting"}</Text>}
      >
        {naming ? (
          <Naming entry={naming} taken={taken} onPick={pick} onBack={() => setNaming(null)} />
        ) : (
          <Stack>
            <TextInput
              type="search"
              aria-label="Search settings"
              placeholder="Search settings"
              leftSection={<SearchIcon size={16} />}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
              data-autofocus
            />
            {byCategory.size === 0 && <Empty title="No setting matches" icon={<SearchIcon size={32} />} />}
            {[...byCategory].map(([category, list]) => (
              <section key={category} aria-label={category}>
                <Text size="sm" fw={650} c="dimmed" mb={4}>
                  {category}
                </Text>
                {list.map((e) => (
                  <UnstyledButton
                    key={e.key}
                    className="pick"
                    disabled={isTaken(e)}
                    onClick={() => (e.several ? setNaming(e) : pick(e.key))}
                  >
                    <Text fw={550}>
                      {e.title}
                      {isTaken(e) && " · in this policy already"}
                    </Text>
                    <Text size="sm" c="dimmed">
                      {e.description}
                    </Text>
                  </UnstyledButton>
                ))}
              </section>
            ))}
          </Stack>
        )}
      </Modal>
    </>
  );
}

interface NamingProps {
  entry: CatalogueEntry;
  taken: readonly string[];
  onPick: (id: string) => void;
  onBack: () => void;
}

function Naming({ entry, taken, onPick, onBack }: NamingProps) {
  const [name, setName] = useState("");
  const [error, setError] = useState("");
  if (entry.instances && entry.instances.length > 0) {
    return (
      <Stack gap="xs">
        <Text>Which one?</Text>
        {entry.instances.map((i) => (
          <UnstyledButton
            key={i}
            className="pick"
            disabled={taken.includes(`${entry.key}/${i}`)}
            onClick={() => onPick(`${entry.key}/${i}`)}
          >
            {i}
          </UnstyledButton>
        ))}
        <Group>
          <Button variant="default" onClick={onBack}>
            Back
          </Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        const id = `${entry.key}/${name.trim()}`;
        if (!namePattern.test(name.trim()))
          setError("Letters, digits, dot, underscore and hyphen; no spaces.");
        else if (taken.includes(id)) setError("This policy has one of that name already.");
        else onPick(id);
      }}
    >
      <Stack>
        <TextInput
          label="Name"
          description="There may be several of this setting. The name tells them apart, on devices too: policies that use the same name mean the same thing."
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={error}
          placeholder="office"
          maxLength={64}
          data-autofocus
          required
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onBack}>
            Back
          </Button>
          <Button type="submit">Add</Button>
        </Group>
      </Stack>
    </form>
  );
}
