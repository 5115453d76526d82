import { Button, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { setupOpenQuery, useSetup } from "../../api/account.ts";
import { showFieldProblems } from "../../ui/form.ts";
import { ButtonLink } from "../../ui/links.tsx";
import { passwordProblem, shortestPassword } from "../../ui/password.ts";
import { ErrorPanel, Loaded } from "../../ui/states.tsx";
import { EntryFrame } from "./EntryFrame.tsx";

/** The first page anybody sees: makes the first admin account with the one-time token. */
export function SetupPage() {
  // The token is in the fragment, which a browser sends to nobody.
  const [token] = useState(() => decodeURIComponent(window.location.hash.slice(1)));
  const open = useQuery(setupOpenQuery);
  return (
    <Loaded query={open} loading={<EntryFrame title="Set up Handrail">{null}</EntryFrame>}>
      {(isOpen) => {
        if (!isOpen) {
          return (
            <EntryFrame
              title="Already set up"
              lead="This gateway has an admin, so its setup link works no more."
            >
              <ButtonLink to="/sign-in">Go to sign-in</ButtonLink>
            </EntryFrame>
          );
        }
        if (token === "") return <NoToken />;
        return <SetupForm token={token} />;
      }}
    </Loaded>
  );
}

function NoToken() {
  return (
    <EntryFrame title="Open the setup link">
      <Text>
        This gateway has no admin yet. When it started, it printed a one-time link that ends in{" "}
        <code>/setup#…</code>: open that link, with everything after the <code>#</code>.
      </Text>
      <Text mt="sm" c="dimmed">
        Link lost? Start the gateway again; it prints a new one.
      </Text>
    </EntryFrame>
  );
}

function SetupForm({ token }: { token: string }) {
  const navigate = useNavigate();
  const setup = useSetup();
  const [general, setGeneral] = useState<unknown>(null);
  const form = useForm({
    initialValues: { organisation: "", name: "", email: "", password: "" },
    validate: {
      organisation: (v) => (v.trim() === "" ? "Enter a name; people at the devices see it." : null),
      name: (v) => (v.trim() === "" ? "Enter your name; people at the devices see it." : null),
      email: (v) => (/^\S+@\S+$/.test(v.trim()) ? null : "An address such as you@example.org."),
      password: passwordProblem,
    },
  });
  const submit = form.onSubmit((values) => {
    setGeneral(null);
    setup.mutate(
      {
        token,
        organisation: values.organisation.trim(),
        name: values.name.trim(),
        email: values.email.trim(),
        password: values.password,
      },
      {
        onSuccess: () => void navigate({ to: "/", replace: true }),
        onError: (error) => {
          if (!showFieldProblems(form, error)) setGeneral(error);
        },
      },
    );
  });
  return (
    <EntryFrame title="Set up Handrail" lead="This makes the first admin account. It takes a minute.">
      <form onSubmit={submit} noValidate>
        <Stack gap="sm">
          <TextInput
            label="Organisation"
            description="Shown to people when you ask to see their screen"
            autoComplete="organization"
            required
            autoFocus
            {...form.getInputProps("organisation")}
          />
          <TextInput label="Your name" autoComplete="name" required {...form.getInputProps("name")} />
          <TextInput
            label="Email"
            description="You sign in with it"
            type="email"
            autoComplete="username"
            required
            {...form.getInputProps("email")}
          />
          <PasswordInput
            label="Password"
            description={`At least ${shortestPassword} characters`}
            autoComplete="new-password"
            required
            visibilityToggleButtonProps={{ "aria-label": "Show or hide the password" }}
            {...form.getInputProps("password")}
          />
          {general ? <ErrorPanel error={general} title="Setup did not work" /> : null}
          <Button type="submit" loading={setup.isPending} fullWidth mt="xs">
            Create admin account
          </Button>
        </Stack>
      </form>
    </EntryFrame>
  );
}
