import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Confirm } from "./Confirm.tsx";
import { notifyDone } from "./notify.ts";

interface RevokeTokenProps {
  /** The token asked about; null: nothing is asked. */
  token: { id: string } | null;
  revoke: UseMutationResult<void, Error, string>;
  onClose: () => void;
  /** What stops with it. */
  children: ReactNode;
}

/** Asks once more before a token stops working for good. */
export function RevokeToken({ token, revoke, onClose, children }: RevokeTokenProps) {
  return (
    <Confirm
      opened={token !== null}
      title="Revoke this token?"
      verb="Revoke token"
      busy={revoke.isPending}
      error={revoke.error}
      onClose={() => {
        revoke.reset();
        onClose();
      }}
      onConfirm={() => {
        if (!token) return;
        revoke.mutate(token.id, {
          onSuccess: () => {
            notifyDone("The token is revoked.");
            onClose();
          },
        });
      }}
    >
      {children}
    </Confirm>
  );
}
