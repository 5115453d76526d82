import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { meQuery } from "../../api/account.ts";
import { ButtonLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, ErrorPanel } from "../../ui/states.tsx";

/** For an address that leads nowhere. */
export function NotFoundPage() {
  return (
    <main style={{ padding: "1rem" }}>
      <Page title="Nothing here">
        <div className="panel">
          <Empty title="This page does not exist" action={<ButtonLink to="/">Go to the overview</ButtonLink>}>
            The address may be mistyped, or what it pointed to has been deleted.
          </Empty>
        </div>
      </Page>
    </main>
  );
}

/** For a page that broke, or could not be fetched. */
export function RouteErrorPage({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  const client = useQueryClient();
  const again = () => {
    client.removeQueries({ queryKey: meQuery.queryKey, predicate: (q) => q.state.status === "error" });
    reset();
    void router.invalidate();
  };
  return (
    <div style={{ padding: "1rem" }}>
      <Page title="This page did not load" narrow>
        <ErrorPanel error={error} onRetry={again} title="What went wrong" />
        <Button mt="md" variant="subtle" onClick={() => window.location.reload()}>
          Reload the console
        </Button>
      </Page>
    </div>
  );
}
