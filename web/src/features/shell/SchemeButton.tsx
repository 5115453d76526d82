import { ActionIcon, Menu, useMantineColorScheme } from "@mantine/core";
import { CheckIcon, MoonIcon, SunIcon, SystemIcon } from "../../ui/icons.tsx";

const schemes = [
  { value: "light", label: "Light", icon: SunIcon },
  { value: "dark", label: "Dark", icon: MoonIcon },
  { value: "auto", label: "As the system", icon: SystemIcon },
] as const;

/** Chooses light, dark, or what the system says. */
export function SchemeButton() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Current = schemes.find((s) => s.value === colorScheme)?.icon ?? SystemIcon;
  return (
    <Menu position="top-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Light or dark">
          <Current />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {schemes.map((s) => (
          <Menu.Item
            key={s.value}
            role="menuitemradio"
            aria-checked={s.value === colorScheme}
            leftSection={<s.icon size={16} />}
            rightSection={s.value === colorScheme ? <CheckIcon size={16} /> : null}
            onClick={() => setColorScheme(s.value)}
          >
            {s.label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
