import { CancelledError, MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  type RouterHistory,
  redirect,
} from "@tanstack/react-router";
import type { ReactNode } from "react";
import { meQuery } from "../api/account.ts";
import { ApiError, isSignedOut, untilReachable } from "../api/client.ts";
import type { Me } from "../api/types.ts";
import { NotFoundPage, RouteErrorPage } from "../features/shell/Fallbacks.tsx";
import { Shell } from "../features/shell/Shell.tsx";
import {
  auditSearch,
  complianceSearch,
  deviceSearch,
  devicesSearch,
  duplicatesSearch,
  liveSearch,
  newScriptSearch,
  policiesSearch,
  policySearch,
  rolloutsSearch,
  rulesSearch,
  sessionsSearch,
  signInSearch,
  softwareSearch,
} from "./search.ts";

/** Server data for the whole console. A refused request is not tried again; an unreachable gateway is. */
export function makeQueryClient(): QueryClient {
  // Whatever request finds out first that nobody is signed in, all pages learn it.
  const onError = (error: unknown) => {
    if (!isSignedOut(error)) return;
    if (client.getQueryData(meQuery.queryKey)) client.setQueryData(meQuery.queryKey, null);
  };
  const client = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        retry: (count, error) =>
          count < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
        retryDelay: (attempt) => 400 * 2 ** attempt,
      },
      mutations: { retry: false },
    },
  });
  return client;
}

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Outlet,
  errorComponent: RouteErrorPage,
  notFoundComponent: NotFoundPage,
});

/**
 * A page whose code is fetched when it is first opened. While the gateway cannot be reached, the page
 * before stays, with its word on that, and this one opens once it can; only code that is gone from a
 * reachable gateway, after an update, has the browser load the console anew.
 */
const lazyPage = ((load: () => Promise<never>, name?: never) =>
  lazyRouteComponent(
    () =>
      load().catch(async () => {
        await untilReachable();
        return load();
      }),
    name,
  )) as typeof lazyRouteComponent;

const SetupPage = lazyPage(() => import("../features/entry/SetupPage.tsx"), "SetupPage");
const SignInPage = lazyPage(() => import("../features/entry/SignInPage.tsx"), "SignInPage");
const OverviewPage = lazyPage(() => import("../features/overview/OverviewPage.tsx"), "OverviewPage");
const DevicesPage = lazyPage(() => import("../features/devices/DevicesPage.tsx"), "DevicesPage");
const DuplicatesPage = lazyPage(() => import("../features/devices/DuplicatesPage.tsx"), "DuplicatesPage");
const AssetsPage = lazyPage(() => import("../features/assets/AssetsPage.tsx"), "AssetsPage");
const SoftwarePage = lazyPage(() => import("../features/software/SoftwarePage.tsx"), "SoftwarePage");
const TitlePage = lazyPage(() => import("../features/software/TitlePage.tsx"), "TitlePage");
const DevicePage = lazyPage(() => import("../features/devices/DevicePage.tsx"), "DevicePage");
const SessionsPage = lazyPage(() => import("../features/sessions/SessionsPage.tsx"), "SessionsPage");
const SessionPage = lazyPage(() => import("../features/sessions/SessionPage.tsx"), "SessionPage");
const LivePage = lazyPage(() => import("../features/sessions/LivePage.tsx"), "LivePage");
const EnrollmentPage = lazyPage(() => import("../features/enrollment/EnrollmentPage.tsx"), "EnrollmentPage");
const GroupsPage = lazyPage(() => import("../features/groups/GroupsPage.tsx"), "GroupsPage");
const PoliciesPage = lazyPage(() => import("../features/policies/PoliciesPage.tsx"), "PoliciesPage");
const PolicyPage = lazyPage(() => import("../features/policies/PolicyPage.tsx"), "PolicyPage");
const RolloutsPage = lazyPage(() => import("../features/policies/RolloutsPage.tsx"), "RolloutsPage");
const LabelsPage = lazyPage(() => import("../features/labels/LabelsPage.tsx"), "LabelsPage");
const CommandsPage = lazyPage(() => import("../features/commands/CommandsPage.tsx"), "CommandsPage");
const BulkPage = lazyPage(() => import("../features/commands/BulkPage.tsx"), "BulkPage");
const ScriptsPage = lazyPage(() => import("../features/scripts/ScriptsPage.tsx"), "ScriptsPage");
const ScriptPage = lazyPage(() => import("../features/scripts/ScriptPage.tsx"), "ScriptPage");
const NewScriptPage = lazyPage(() => import("../features/scripts/ScriptPage.tsx"), "NewScriptPage");
const CompliancePage = lazyPage(() => import("../features/compliance/CompliancePage.tsx"), "CompliancePage");
const RulesPage = lazyPage(() => import("../features/compliance/RulesPage.tsx"), "RulesPage");
const RulePage = lazyPage(() => import("../features/compliance/RulePage.tsx"), "RulePage");
const NewRulePage = lazyPage(() => import("../features/compliance/NewRulePage.tsx"), "NewRulePage");
const OperatorsPage = lazyPage(() => import("../features/operators/OperatorsPage.tsx"), "OperatorsPage");
const OperatorPage = lazyPage(() => import("../features/operators/OperatorPage.tsx"), "OperatorPage");
const AuditPage = lazyPage(() => import("../features/audit/AuditPage.tsx"), "AuditPage");
const AccountPage = lazyPage(() => import("../features/account/AccountPage.tsx"), "AccountPage");
const AboutPage = lazyPage(() => import("../features/account/AboutPage.tsx"), "AboutPage");

/** Has the code of a page fetched when its route is, before anything renders. */
function fetchedWith(page: { preload?: () => Promise<void> | undefined }, route: () => ReactNode) {
  return Object.assign(route, { preload: () => page.preload?.() });
}

const setup = createRoute({ getParentRoute: () => root, path: "/setup", component: SetupPage });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: signInSearch,
  component: fetchedWith(SignInPage, function SignIn() {
    return <SignInPage to={signIn.useSearch().to} />;
  }),
});

/** Who is signed in. A change that is told of meanwhile has it asked again: then the new answer counts. */
async function whoIsThere(client: QueryClient): Promise<Me | null> {
  for (;;) {
    try {
      return await client.ensureQueryData(meQuery);
    } catch (error) {
      if (!(error instanceof CancelledError)) throw error;
    }
  }
}

/** Everything below needs somebody signed in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ context, location }) => {
    const me = await whoIsThere(context.queryClient);
    if (!me) throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { to: location.href } });
    return { me };
  },
  errorComponent: RouteErrorPage,
});

const framed = createRoute({
  getParentRoute: () => inside,
  id: "framed",
  component: Shell,
  errorComponent: RouteErrorPage,
  notFoundComponent: NotFoundPage,
});

const overview = createRoute({ getParentRoute: () => framed, path: "/", component: OverviewPage });

const devices = createRoute({
  getParentRoute: () => framed,
  path: "/devices",
  validateSearch: devicesSearch,
  component: fetchedWith(DevicesPage, function Devices() {
    const navigate = devices.useNavigate();
    const { view, ...filter } = devices.useSearch();
    return (
      <DevicesPage
        filter={filter}
        view={view}
        onOpen={(next, opened) =>
          void navigate({ search: { ...next, view: opened }, replace: opened === view, resetScroll: false })
        }
      />
    );
  }),
});

const duplicates = createRoute({
  getParentRoute: () => framed,
  path: "/devices/duplicates",
  validateSearch: duplicatesSearch,
  component: fetchedWith(DuplicatesPage, function Duplicates() {
    const navigate = duplicates.useNavigate();
    return (
      <DuplicatesPage
        kept={duplicates.useSearch().kept ?? false}
        onKept={(kept) => void navigate({ search: { kept: kept || undefined }, replace: true })}
      />
    );
  }),
});

const assets = createRoute({ getParentRoute: () => framed, path: "/assets", component: AssetsPage });

const software = createRoute({
  getParentRoute: () => framed,
  path: "/software",
  validateSearch: softwareSearch,
  component: fetchedWith(SoftwarePage, function Software() {
    const navigate = software.useNavigate();
    return (
      <SoftwarePage
        filter={software.useSearch()}
        onFilter={(filter) => void navigate({ search: filter, replace: true, resetScroll: false })}
      />
    );
  }),
});

const title = createRoute({
  getParentRoute: () => framed,
  path: "/software/$softwareId",
  component: fetchedWith(TitlePage, function Title() {
    const { softwareId } = title.useParams();
    return <TitlePage key={softwareId} id={softwareId} />;
  }),
});

const device = createRoute({
  getParentRoute: () => framed,
  path: "/devices/$deviceId",
  validateSearch: deviceSearch,
  component: fetchedWith(DevicePage, function Device() {
    const { deviceId } = device.useParams();
    const navigate = device.useNavigate();
    return (
      <DevicePage
        key={deviceId}
        id={deviceId}
        tab={device.useSearch().tab ?? "overview"}
        onTab={(tab) =>
          void navigate({ search: { tab: tab === "overview" ? undefined : tab }, resetScroll: false })
        }
      />
    );
  }),
});

const sessions = createRoute({
  getParentRoute: () => framed,
  path: "/sessions",
  validateSearch: sessionsSearch,
  component: fetchedWith(SessionsPage, function Sessions() {
    const navigate = sessions.useNavigate();
    return (
      <SessionsPage
        filter={sessions.useSearch()}
        onFilter={(filter) => void navigate({ search: filter, replace: true, resetScroll: false })}
      />
    );
  }),
});

const session = createRoute({
  getParentRoute: () => framed,
  path: "/sessions/$sessionId",
  component: fetchedWith(SessionPage, function SupportSession() {
    const { sessionId } = session.useParams();
    return <SessionPage key={sessionId} id={sessionId} />;
  }),
});

const live = createRoute({
  getParentRoute: () => inside,
  path: "/sessions/$sessionId/live",
  validateSearch: liveSearch,
  component: fetchedWith(LivePage, function Live() {
    const { sessionId } = live.useParams();
    const { tool } = live.useSearch();
    const navigate = live.useNavigate();
    return (
      <LivePage
        key={sessionId}
        id={sessionId}
        tool={tool}
        onTool={(next) => void navigate({ search: { tool: next ?? undefined }, replace: true })}
      />
    );
  }),
});

const enrollment = createRoute({
  getParentRoute: () => framed,
  path: "/enrollment",
  component: EnrollmentPage,
});
const groups = createRoute({ getParentRoute: () => framed, path: "/groups", component: GroupsPage });
const labels = createRoute({ getParentRoute: () => framed, path: "/labels", component: LabelsPage });
const policies = createRoute({
  getParentRoute: () => framed,
  path: "/policies",
  validateSearch: policiesSearch,
  component: fetchedWith(PoliciesPage, function Policies() {
    const navigate = policies.useNavigate();
    return (
      <PoliciesPage
        group={policies.useSearch().group}
        onGroup={(group) => void navigate({ search: { group }, replace: true, resetScroll: false })}
      />
    );
  }),
});

const rollouts = createRoute({
  getParentRoute: () => framed,
  path: "/rollouts",
  validateSearch: rolloutsSearch,
  component: fetchedWith(RolloutsPage, function Rollouts() {
    const navigate = rollouts.useNavigate();
    return (
      <RolloutsPage
        state={rollouts.useSearch().state}
        onState={(state) => void navigate({ search: { state }, replace: true, resetScroll: false })}
      />
    );
  }),
});

const policy = createRoute({
  getParentRoute: () => framed,
  path: "/policies/$policyId",
  validateSearch: policySearch,
  component: fetchedWith(PolicyPage, function Policy() {
    const { policyId } = policy.useParams();
    const navigate = policy.useNavigate();
    return (
      <PolicyPage
        key={policyId}
        id={policyId}
        tab={policy.useSearch().tab ?? "settings"}
        onTab={(tab) =>
          void navigate({ search: { tab: tab === "settings" ? undefined : tab }, resetScroll: false })
        }
      />
    );
  }),
});

const commands = createRoute({ getParentRoute: () => framed, path: "/commands", component: CommandsPage });

const bulk = createRoute({
  getParentRoute: () => framed,
  path: "/commands/$bulkId",
  component: fetchedWith(BulkPage, function Order() {
    const { bulkId } = bulk.useParams();
    return <BulkPage key={bulkId} id={bulkId} />;
  }),
});

const scripts = createRoute({ getParentRoute: () => framed, path: "/scripts", component: ScriptsPage });
const newScript = createRoute({
  getParentRoute: () => framed,
  path: "/scripts/new",
  validateSearch: newScriptSearch,
  component: fetchedWith(NewScriptPage, function NewScript() {
    const { from } = newScript.useSearch();
    return <NewScriptPage key={from} from={from} />;
  }),
});

const script = createRoute({
  getParentRoute: () => framed,
  path: "/scripts/$scriptId",
  component: fetchedWith(ScriptPage, function Script() {
    const { scriptId } = script.useParams();
    return <ScriptPage key={scriptId} id={scriptId} />;
  }),
});

const compliance = createRoute({
  getParentRoute: () => framed,
  path: "/compliance",
  validateSearch: complianceSearch,
  component: fetchedWith(CompliancePage, function Compliance() {
    const navigate = compliance.useNavigate();
    return (
      <CompliancePage
        day={compliance.useSearch().day}
        onDay={(day) => void navigate({ search: { day }, replace: true, resetScroll: false })}
      />
    );
  }),
});

const rules = createRoute({
  getParentRoute: () => framed,
  path: "/compliance/rules",
  validateSearch: rulesSearch,
  component: fetchedWith(RulesPage, function Rules() {
    const navigate = rules.useNavigate();
    return (
      <RulesPage
        {...rules.useSearch()}
        onFilter={(search) => void navigate({ search, replace: true, resetScroll: false })}
      />
    );
  }),
});
const newRule = createRoute({
  getParentRoute: () => framed,
  path: "/compliance/rules/new",
  component: NewRulePage,
});

const rule = createRoute({
  getParentRoute: () => framed,
  path: "/compliance/rules/$slug",
  component: fetchedWith(RulePage, function Rule() {
    const { slug } = rule.useParams();
    return <RulePage key={slug} slug={slug} />;
  }),
});

const operators = createRoute({ getParentRoute: () => framed, path: "/operators", component: OperatorsPage });

const operator = createRoute({
  getParentRoute: () => framed,
  path: "/operators/$operatorId",
  component: fetchedWith(OperatorPage, function Operator() {
    const { operatorId } = operator.useParams();
    return <OperatorPage key={operatorId} id={operatorId} />;
  }),
});

const audit = createRoute({
  getParentRoute: () => framed,
  path: "/audit",
  validateSearch: auditSearch,
  component: fetchedWith(AuditPage, function Audit() {
    const navigate = audit.useNavigate();
    return (
      <AuditPage
        filter={audit.useSearch()}
        onFilter={(filter) => void navigate({ search: filter, replace: true, resetScroll: false })}
      />
    );
  }),
});

const account = createRoute({ getParentRoute: () => framed, path: "/account", component: AccountPage });
const about = createRoute({ getParentRoute: () => framed, path: "/about", component: AboutPage });

const tree = root.addChildren([
  setup,
  signIn,
  inside.addChildren([
    framed.addChildren([
      overview,
      devices,
      duplicates,
      device,
      assets,
      software,
      title,
      sessions,
      session,
      enrollment,
      groups,
      labels,
      policies,
      policy,
      rollouts,
      compliance,
      rules,
      newRule,
      rule,
      commands,
      bulk,
      scripts,
      newScript,
      script,
      operators,
      operator,
      audit,
      account,
      about,
    ]),
    live,
  ]),
]);

/** The console's pages; `history` is the browser's own unless a test brings another. */
export function makeRouter(queryClient: QueryClient, history?: RouterHistory) {
  const router = createRouter({
    routeTree: tree,
    context: { queryClient },
    ...(history ? { history } : {}),
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
    defaultNotFoundComponent: NotFoundPage,
    defaultErrorComponent: RouteErrorPage,
  });
  // Signed out, here or by an admin: the page checks again who is there, and goes to sign-in.
  queryClient.getQueryCache().subscribe((event) => {
    if (event.type !== "updated" || event.query.queryKey[0] !== meQuery.queryKey[0]) return;
    if (event.query.state.data === null) void router.invalidate();
  });
  return router;
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
