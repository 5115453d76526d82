import { Alert, Button, Center, Group, Skeleton, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError, wordsOf } from "../api/client.ts";
import { SearchIcon, WarningIcon } from "./icons.tsx";

/** Why something did not work, with a way to try again and the id to quote from the log. */
export function ErrorPanel({
  error,
  onRetry,
  title,
}: {
  error: unknown;
  onRetry?: () => void;
  title?: string;
}) {
  const id = error instanceof ApiError ? error.requestId : "";
  const refused = error instanceof ApiError && error.status === 403; // asking again changes nothing
  return (
    <Alert
      color="red"
      icon={<WarningIcon />}
      title={title ?? "This could not be loaded"}
      role="alert"
      variant="light"
    >
      <Text size="md">
        {wordsOf(error)}
        {refused && onRetry && " An administrator can change them."}
      </Text>
      {((onRetry && !refused) || id) && (
        <Group mt="xs" gap="md">
          {onRetry && !refused && (
            <Button size="xs" variant="default" onClick={onRetry}>
              Try again
            </Button>
          )}
          {id && (
            <Text size="sm" className="quiet">
              Request <span className="mono">{id}</span>
            </Text>
          )}
        </Group>
      )}
    </Alert>
  );
}

/** What to show where there is nothing yet, and what to do about it. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Center py={48} px="md">
      <Stack align="center" gap="xs" maw={440} ta="center">
        {icon && <span className="quiet">{icon}</span>}
        <Text fw={600} size="lg">
          {title}
        </Text>
        {children && (
          <Text c="dimmed" component="div">
            {children}
          </Text>
        )}
        {action && <div style={{ marginTop: 8 }}>{action}</div>}
      </Stack>
    </Center>
  );
}

interface NoMatchProps {
  /** As "No device matches". */
  title: string;
  /** The way out, as "Show all devices". */
  verb: string;
  onAll: () => void;
  children?: ReactNode;
}

/** What to show where filters leave nothing of a list: the way back to all of it. */
export function NoMatch({ title, verb, onAll, children }: NoMatchProps) {
  return (
    <Empty
      icon={<SearchIcon size={32} />}
      title={title}
      action={
        <Button variant="default" onClick={onAll}>
          {verb}
        </Button>
      }
    >
      {children}
    </Empty>
  );
}

/** Grey rows while a list loads. */
export function SkeletonRows({ rows = 6, height = 20 }: { rows?: number; height?: number }) {
  return (
    <Stack gap="md" p="md" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: grey rows have no identity
        <Skeleton key={i} height={height} width={`${92 - ((i * 17) % 40)}%`} />
      ))}
    </Stack>
  );
}

/**
 * Shows a query in each of its states. What was loaded stays on screen when a refresh
 * fails; only a first load that fails takes the place of the content.
 */
export function Loaded<T>({
  query,
  loading,
  children,
}: {
  query: UseQueryResult<T, Error>;
  loading?: ReactNode;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />;
  return loading ?? <SkeletonRows />;
}
