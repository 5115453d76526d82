import { Alert, Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { setupOpenQuery, useSignIn } from "../../api/account.ts";
import { ApiError, wordsOf } from "../../api/client.ts";
import { WarningIcon } from "../../ui/icons.tsx";
import { EntryFrame } from "./EntryFrame.tsx";

/** Signs an operator in, then goes to where they wanted to be. */
export function SignInPage({ to }: { to?: string | undefined }) {
  const router = useRouter();
  const signIn = useSignIn();
  const setupOpen = useQuery(setupOpenQuery);
  const wait = useCountdown(signIn.error instanceof ApiError ? signIn.error : null);
  const form = useForm({
    initialValues: { email: "", password: "" },
    validate: {
      email: (v) => (v.trim() === "" ? "Your email address." : null),
      password: (v) => (v === "" ? "Your password." : null),
    },
  });
  const submit = form.onSubmit((values) =>
    signIn.mutate(
      { email: values.email.trim(), password: values.password },
      {
        onSuccess: () => router.history.replace(to ?? "/"),
        onError: () => form.setFieldValue("password", ""),
      },
    ),
  );
  return (
    <EntryFrame title="Sign in">
      <form onSubmit={submit} noValidate>
        <Stack gap="sm">
          {setupOpen.data && (
            <Alert color="rail" variant="light">
              This gateway has no admin yet. Open the setup link it printed when it started.
            </Alert>
          )}
          <TextInput
            label="Email"
            type="email"
            autoComplete="username"
            required
            autoFocus
            {...form.getInputProps("email")}
          />
          <PasswordInput
            label="Password"
            autoComplete="current-password"
            required
            visibilityToggleButtonProps={{ "aria-label": "Show or hide the password" }}
            {...form.getInputProps("password")}
          />
          {signIn.isError && (
            <Alert color="red" variant="light" icon={<WarningIcon />} role="alert">
              {refusal(signIn.error)}
              {wait > 0 && ` You can try again in ${wait} s.`}
            </Alert>
          )}
          <Button type="submit" loading={signIn.isPending} disabled={wait > 0} fullWidth mt="xs">
            Sign in
          </Button>
        </Stack>
      </form>
    </EntryFrame>
  );
}

function refusal(error: unknown): string {
  if (error instanceof ApiError && error.status === 401) {
    return "Email and password do not match. Passwords are set and reset by your admin.";
  }
  return wordsOf(error);
}

/** Seconds left until the gateway takes another try. */
function useCountdown(error: ApiError | null): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const wait = error?.retryAfterMs ?? 0;
    const until = Date.now() + wait;
    const tick = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    tick();
    if (wait === 0) return;
    const timer = setInterval(tick, 500);
    return () => clearInterval(timer);
  }, [error]);
  return left;
}
