import {
  Button,
  Group,
  PasswordInput,
  SegmentedControl,
  Stack,
  Text,
  Title,
  useMantineColorScheme,
} from "@mantine/core";
import { useForm } from "@mantine/form";
import { useChangePassword } from "../../api/account.ts";
import { useMe } from "../../api/me.ts";
import { showFieldProblems } from "../../ui/form.ts";
import { notifyDone } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { passwordProblem, shortestPassword } from "../../ui/password.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { ApiTokens } from "./ApiTokens.tsx";

/** One's own account. */
export function AccountPage() {
  const me = useMe();
  return (
    <Page title="Your account" lead={`${me.name}, ${me.email}`} narrow>
      <Stack gap="md">
        <RolesShown />
        <PasswordForm />
        <ApiTokens />
        <Appearance />
      </Stack>
    </Page>
  );
}

function RolesShown() {
  const me = useMe();
  return (
    <section className="panel panel-pad" aria-labelledby="your-roles">
      <Title order={2} id="your-roles" mb="xs">
        Your roles
      </Title>
      <dl className="facts">
        {me.grants.map((g) => (
          <div key={`${g.role} ${g.group_id}`} style={{ display: "contents" }}>
            <dt>{g.role_name}</dt>
            <dd>on {g.group_name}</dd>
          </div>
        ))}
      </dl>
      {me.grants.length === 0 && <Text c="dimmed">You have no role yet. Ask your admin for one.</Text>}
    </section>
  );
}

function PasswordForm() {
  const me = useMe();
  const change = useChangePassword();
  const form = useForm({
    initialValues: { current: "", next: "" },
    validate: { current: (v) => (v === "" ? "Your password of now." : null), next: passwordProblem },
  });
  const submit = form.onSubmit((v) =>
    change.mutate(v, {
      onSuccess: () => {
        form.reset();
        notifyDone("Your password is changed. Other browsers are signed out.");
      },
      onError: (error) => showFieldProblems(form, error),
    }),
  );
  return (
    <section className="panel panel-pad" aria-labelledby="password">
      <Title order={2} id="password" mb="xs">
        Password
      </Title>
      <form onSubmit={submit} noValidate>
        <input type="text" name="username" autoComplete="username" value={me.email} readOnly hidden />
        <Stack gap="sm" maw={380}>
          <PasswordInput
            label="Password now"
            autoComplete="current-password"
            visibilityToggleButtonProps={{ "aria-label": "Show or hide the password" }}
            {...form.getInputProps("current")}
          />
          <PasswordInput
            label="New password"
            description={`At least ${shortestPassword} characters`}
            autoComplete="new-password"
            visibilityToggleButtonProps={{ "aria-label": "Show or hide the new password" }}
            {...form.getInputProps("next")}
          />
          {change.isError && <ErrorPanel error={change.error} title="Not changed" />}
          <Group>
            <Button type="submit" loading={change.isPending}>
              Change password
            </Button>
          </Group>
        </Stack>
      </form>
    </section>
  );
}

function Appearance() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <section className="panel panel-pad" aria-labelledby="appearance">
      <Title order={2} id="appearance" mb="xs">
        Light or dark
      </Title>
      <SegmentedControl
        aria-labelledby="appearance"
        value={colorScheme}
        onChange={(v) => setColorScheme(v as "light" | "dark" | "auto")}
        data={[
          { value: "auto", label: "As the system" },
          { value: "light", label: "Light" },
          { value: "dark", label: "Dark" },
        ]}
      />
    </section>
  );
}
