import "@fontsource-variable/inter/wght.css";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./ui/console.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { LiveUpdates } from "./api/live.tsx";
import { ViewingProvider } from "./api/viewing.tsx";
import { makeQueryClient, makeRouter } from "./routes/router.tsx";
import { colorVariables, theme } from "./ui/theme.ts";

// The same key as public/start.js reads before the first paint.
const scheme = localStorageColorSchemeManager({ key: "handrail-scheme" });
const queryClient = makeQueryClient();
const router = makeRouter(queryClient);

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={colorVariables}
      colorSchemeManager={scheme}
      defaultColorScheme="auto"
    >
      <Notifications position="bottom-right" limit={4} />
      <QueryClientProvider client={queryClient}>
        <LiveUpdates>
          <ViewingProvider>
            <RouterProvider router={router} />
          </ViewingProvider>
        </LiveUpdates>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
