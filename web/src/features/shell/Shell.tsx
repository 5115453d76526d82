import { AppShell, Burger, Group, Menu, ScrollArea, Text, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { useSignOut } from "../../api/account.ts";
import { useLive } from "../../api/live.tsx";
import { useMe } from "../../api/me.ts";
import {
  AccountIcon,
  AuditIcon,
  CommandIcon,
  ComplianceIcon,
  DeviceIcon,
  DownIcon,
  GroupIcon,
  InfoIcon,
  LabelIcon,
  OverviewIcon,
  PeopleIcon,
  PolicyIcon,
  RolloutIcon,
  SessionIcon,
  SignOutIcon,
  SoftwareIcon,
  TokenIcon,
} from "../../ui/icons.tsx";
import { Logo } from "../../ui/Logo.tsx";
import { MenuLink, PageLink } from "../../ui/links.tsx";
import { may } from "../../ui/permissions.ts";
import { useKeptFocus } from "./keepFocus.ts";
import { SchemeButton } from "./SchemeButton.tsx";

/** The frame of every page: menu, way to the content, live state, who is signed in. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  useKeptFocus();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new path closes the menu
  useEffect(close, [path]);
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <AppShell
        header={{ height: { base: 52, sm: 0 } }}
        navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !opened } }}
        padding="md"
        layout="alt"
      >
        <AppShell.Header hiddenFrom="sm" bg="var(--handrail-surface)">
          <Group h="100%" px="md" justify="space-between">
            <PageLink to="/" underline="never" c="inherit" aria-label="Handrail, overview">
              <Logo size={26} />
            </PageLink>
            <Burger
              opened={opened}
              onClick={toggle}
              size="sm"
              aria-label={opened ? "Close menu" : "Open menu"}
              aria-expanded={opened}
            />
          </Group>
        </AppShell.Header>
        <AppShell.Navbar bg="var(--handrail-surface)" aria-label="Main menu">
          <Navigation onClose={close} />
        </AppShell.Navbar>
        <AppShell.Main id="main" tabIndex={-1} style={{ outline: "none" }}>
          <LiveNotice />
          <LoadingBar />
          <Outlet />
        </AppShell.Main>
      </AppShell>
    </>
  );
}

const entries = [
  { to: "/", label: "Overview", icon: OverviewIcon, need: "overview.view" },
  { to: "/devices", label: "Devices", icon: DeviceIcon, need: "device.view" },
  { to: "/software", label: "Software", icon: SoftwareIcon, need: "device.view" },
  { to: "/sessions", label: "Sessions", icon: SessionIcon, need: "session.list" },
  { to: "/enrollment", label: "Enrollment", icon: TokenIcon, need: "device.enroll" },
  { to: "/policies", label: "Policies", icon: PolicyIcon, need: "policy.view" },
  { to: "/rollouts", label: "Roll-outs", icon: RolloutIcon, need: "policy.view" },
  { to: "/compliance", label: "Compliance", icon: ComplianceIcon, need: "compliance.view" },
  { to: "/commands", label: "Commands", icon: CommandIcon, need: "device.view" },
  { to: "/groups", label: "Groups", icon: GroupIcon, need: "group.view" },
  { to: "/labels", label: "Labels", icon: LabelIcon, need: "device.view" },
  { to: "/operators", label: "Operators", icon: PeopleIcon, need: "operator.view" },
  { to: "/audit", label: "Audit", icon: AuditIcon, need: "audit.view" },
] as const;

function Navigation({ onClose }: { onClose: () => void }) {
  const me = useMe();
  return (
    <>
      <AppShell.Section p="md" pb="xs">
        <Group justify="space-between" wrap="nowrap">
          <PageLink to="/" underline="never" c="inherit" aria-label="Handrail, overview">
            <Logo size={26} />
          </PageLink>
          <Burger hiddenFrom="sm" opened onClick={onClose} size="sm" aria-label="Close menu" />
        </Group>
        <Text size="sm" c="dimmed" mt={4} className="one-line" title={me.organisation}>
          {me.organisation}
        </Text>
      </AppShell.Section>
      <AppShell.Section grow component={ScrollArea} px={8}>
        {entries
          .filter((e) => may(me, e.need))
          .map((e) => (
            <MenuLink
              key={e.to}
              to={e.to}
              label={e.label}
              leftSection={<e.icon />}
              activeOptions={{ exact: e.to === "/", includeSearch: false }}
              activeProps={{ active: true, "aria-current": "page" }}
              className="menu-link"
            />
          ))}
      </AppShell.Section>
      <AppShell.Section p={8} style={{ borderTop: "1px solid var(--handrail-line)" }}>
        <UserMenu />
      </AppShell.Section>
    </>
  );
}

function UserMenu() {
  const me = useMe();
  const navigate = useNavigate();
  const signOut = useSignOut();
  return (
    <Group gap={4} wrap="nowrap">
      <Menu position="top-start" width={208}>
        <Menu.Target>
          <UnstyledButton className="user-button">
            <div style={{ minWidth: 0, flex: 1 }}>
              <Text fw={550} size="md" className="one-line">
                {me.name}
              </Text>
              <Text size="xs" c="dimmed" className="one-line">
                {me.email}
              </Text>
            </div>
            <DownIcon size={16} />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<AccountIcon size={16} />}
            onClick={() => void navigate({ to: "/account" })}
          >
            Your account
          </Menu.Item>
          <Menu.Item leftSection={<InfoIcon size={16} />} onClick={() => void navigate({ to: "/about" })}>
            About Handrail
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            leftSection={<SignOutIcon size={16} />}
            onClick={() => signOut.mutate(undefined, { onSettled: () => void navigate({ to: "/sign-in" }) })}
          >
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <SchemeButton />
    </Group>
  );
}

/** While the next page is fetched over a slow line, the one before stays; this says that the click was heard. */
function LoadingBar() {
  const loading = useRouterState({ select: (s) => s.isLoading });
  return loading && <div className="loading-bar" role="progressbar" aria-label="Loading the page" />;
}

/** Says so when what is shown may be old. Silent for the first moments, so that it does not flicker. */
function LiveNotice() {
  const { connected, lostSince } = useLive();
  return (
    <div aria-live="polite">
      {!connected && lostSince !== undefined && (
        <div className="live-notice" role="status">
          Not connected to the gateway. What you see may be out of date; reconnecting…
        </div>
      )}
    </div>
  );
}
