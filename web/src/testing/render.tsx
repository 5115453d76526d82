import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { LiveUpdates } from "../api/live.tsx";
import { ViewingProvider } from "../api/viewing.tsx";
import { makeQueryClient, makeRouter } from "../routes/router.tsx";
import { theme } from "../ui/theme.ts";

/** The whole console at an address, against the gateway that the test stands in for. */
export function openConsole(path: string) {
  const queryClient = makeQueryClient();
  queryClient.setDefaultOptions({ queries: { retry: false, staleTime: 10_000 } });
  const history = createMemoryHistory({ initialEntries: [path] });
  const router = makeRouter(queryClient, history);
  render(
    <Frame>
      <QueryClientProvider client={queryClient}>
        <LiveUpdates>
          <ViewingProvider>
            <RouterProvider router={router} />
          </ViewingProvider>
        </LiveUpdates>
      </QueryClientProvider>
    </Frame>,
  );
  return { router, queryClient };
}

function Frame({ children }: { children: ReactNode }) {
  return (
    <MantineProvider theme={theme} env="test">
      {children}
    </MantineProvider>
  );
}
