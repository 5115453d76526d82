/** The page of the browser tests: a viewer, and a gateway and a device inside the page. */
import { createRoot } from "react-dom/client";
import { GatewaySocket } from "../src/browser/socket.ts";
import { startSession } from "../src/browser/start.ts";
import { Viewer } from "../src/react/Viewer.tsx";
import { FakeAgent } from "./agent.ts";
import { FakeGateway } from "./gateway.ts";
import { addTools } from "./tools.ts";

const gateway = new FakeGateway();
gateway.install();
const agent = new FakeAgent(gateway);
gateway.agent = agent;

const query = new URLSearchParams(location.search);
const state = query.get("state");
if (state !== null) gateway.state = { ...gateway.state, state: state as typeof gateway.state.state };
if (state === "requested") {
  gateway.state = { ...gateway.state, granted: [], deadline_us: (Date.now() + 47_000) * 1000 };
}
if (query.has("message")) gateway.state = { ...gateway.state, message: query.get("message") ?? "" };
if (query.has("other")) agent.status = { ...agent.status, control: "peer_other" };
if (query.has("tools")) addTools(agent, query.has("alone"));
if (query.has("alone")) gateway.state = { ...gateway.state, granted: ["diagnostics"] };
const scheme = query.get("scheme");
if (scheme !== null) document.documentElement.dataset.mantineColorScheme = scheme;

const calls: string[] = [];
const socket = new GatewaySocket({ url: "ws://in.page/", ticket: gateway.ticket });
const { session } = startSession({ socket, create: async () => "ses_test", deviceName: "demo-desktop" });

Object.assign(globalThis, { lab: { gateway, agent, socket, session, calls } });

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <Viewer
      socket={socket}
      sessionId="ses_test"
      deviceName="demo-desktop"
      operatorName="Ada Admin"
      preconnected={session}
      tool={query.get("tool") ?? undefined}
      onTool={(id) => calls.push(`tool ${id}`)}
      onLeave={() => calls.push("leave")}
      onEnd={() => {
        calls.push("end");
      }}
      onAgain={() => calls.push("again")}
      askCapabilities={(wanted) => {
        calls.push(`ask ${wanted.join(" ")}`);
      }}
    />,
  );
}
