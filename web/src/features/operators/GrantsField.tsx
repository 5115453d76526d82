import { Button, Group, Input, Select, Stack } from "@mantine/core";
import type { DeviceGroup, Grant, Role } from "../../api/types.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { groupTrees } from "../../ui/groupTree.ts";
import { IconButton } from "../../ui/IconButton.tsx";
import { CloseIcon, EnrollIcon } from "../../ui/icons.tsx";

interface GrantsFieldProps {
  value: Grant[];
  onChange: (grants: Grant[]) => void;
  roles: Role[];
  groups: DeviceGroup[];
  error?: string | undefined;
}

/** A list of "role on group". */
export function GrantsField({ value, onChange, roles, groups, error }: GrantsFieldProps) {
  const change = (i: number, part: Partial<Grant>) =>
    onChange(value.map((g, j) => (j === i ? { ...g, ...part } : g)));
  return (
    <Input.Wrapper label="Roles" description="Each counts on its group and all below it" error={error}>
      <Stack gap="xs" mt={6}>
        {value.map((g, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a grant has no identity but its place
          <Group key={i} gap="xs" wrap="nowrap">
            <Select
              aria-label={`Role ${i + 1}`}
              style={{ flex: 1 }}
              allowDeselect={false}
              data={roles.map((r) => ({ value: r.role, label: r.name }))}
              value={g.role}
              onChange={(role) => role && change(i, { role: role as Grant["role"] })}
            />
            <span className="quiet">on</span>
            <GroupSelect
              aria-label={`Group of role ${i + 1}`}
              style={{ flex: 1.3 }}
              allowDeselect={false}
              groups={groups}
              value={g.group_id}
              onChange={(group_id) => group_id && change(i, { group_id })}
            />
            <IconButton
              label={`Take away role ${i + 1}`}
              onClick={() => onChange(value.filter((_, j) => j !== i))}
            >
              <CloseIcon size={16} />
            </IconButton>
          </Group>
        ))}
        <Button
          variant="default"
          size="xs"
          leftSection={<EnrollIcon size={14} />}
          style={{ alignSelf: "flex-start" }}
          onClick={() =>
            onChange([...value, { role: "technician", group_id: groupTrees(groups)[0]?.group.id ?? "" }])
          }
        >
          Add a role
        </Button>
      </Stack>
    </Input.Wrapper>
  );
}
