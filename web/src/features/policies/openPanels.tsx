import { Button, Group, Text } from "@mantine/core";
import { useState } from "react";
import type { PolicySetting } from "../../api/types.ts";
import type { Problems } from "../../ui/settingValue.ts";
import { countWords } from "../../ui/words.ts";

const fewPanels = 3; // as many are open from the start; more would be an endless page

/** Which settings stand open. Those the gateway complains of open by themselves. */
export function usePanels(settings: readonly PolicySetting[], problems: ReadonlyMap<string, Problems>) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(
    () => new Set(settings.length <= fewPanels ? settings.map((s) => s.id) : []),
  );
  const [told, setTold] = useState(problems);
  if (told !== problems) {
    setTold(problems);
    if (problems.size > 0) setOpened(new Set([...opened, ...problems.keys()]));
  }
  return {
    opened,
    open: (ids: readonly string[]) => setOpened(new Set([...opened, ...ids])),
    close: () => setOpened(new Set()),
    toggle: (id: string) => {
      const next = new Set(opened);
      if (!next.delete(id)) next.add(id);
      setOpened(next);
    },
  };
}

interface PanelButtonsProps {
  settings: readonly PolicySetting[];
  panels: ReturnType<typeof usePanels>;
}

/** How many settings there are, and all of them open or closed by one click. */
export function PanelButtons({ settings, panels }: PanelButtonsProps) {
  const open = settings.filter((s) => panels.opened.has(s.id)).length;
  return (
    <Group gap={4}>
      <Text size="sm" c="dimmed">
        {countWords(settings.length, "setting")}
      </Text>
      <Button
        size="compact-sm"
        variant="subtle"
        disabled={open === settings.length}
        onClick={() => panels.open(settings.map((s) => s.id))}
      >
        Open all
      </Button>
      <Button size="compact-sm" variant="subtle" disabled={open === 0} onClick={panels.close}>
        Close all
      </Button>
    </Group>
  );
}
