import { type QueryClient, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, call, isSignedOut } from "./client.ts";
import type { Me, OwnPassword, Setup, SignIn, Ticket } from "./types.ts";

/** Who is signed in; null when nobody is. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }): Promise<Me | null> => {
    try {
      return await call<Me>("GET", "/api/me", { signal });
    } catch (error) {
      if (isSignedOut(error)) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

/** Whether the gateway still waits for its first admin. The route is gone once there is one. */
export const setupOpenQuery = queryOptions({
  queryKey: ["setup"],
  queryFn: async ({ signal }): Promise<boolean> => {
    try {
      return (await call<{ needed: boolean }>("GET", "/api/setup", { signal })).needed;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  },
  staleTime: 60_000,
});

/** Forgets what the last operator saw. The query of who is signed in stays: pages watch it. */
function forget(client: QueryClient): void {
  client.removeQueries({ predicate: (q) => q.queryKey[0] !== meQuery.queryKey[0] });
}

/** Somebody new is signed in. */
async function arrive(client: QueryClient): Promise<void> {
  forget(client);
  await client.fetchQuery({ ...meQuery, staleTime: 0 });
}

/** Makes the first admin account and signs it in. */
export function useSetup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Setup) => call<void>("POST", "/api/setup", { body }),
    onSuccess: () => arrive(client),
  });
}

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: SignIn) => call<void>("POST", "/api/sign-in", { body }),
    onSuccess: () => arrive(client),
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<void>("POST", "/api/sign-out"),
    onSettled: () => {
      client.setQueryData(meQuery.queryKey, null);
      forget(client);
    },
  });
}

export function useChangePassword() {
  return useMutation({
    mutationFn: (body: OwnPassword) => call<void>("POST", "/api/me/password", { body }),
  });
}

/** A one-time ticket that opens the browser's socket. */
export async function socketTicket(signal: AbortSignal): Promise<string> {
  const { ticket } = await call<Ticket>("POST", "/api/socket-ticket", { signal });
  return ticket;
}
