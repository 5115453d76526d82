import { Alert, Button, FileButton, Group, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { useImportAssets } from "../../api/assets.ts";
import { devicesFile } from "../../api/devices.ts";
import type { AssetField, AssetImport } from "../../api/types.ts";
import { ExportIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface File {
  name: string;
  text: string;
}

/** The values of all devices as a file: out, changed in a spreadsheet, and in again after a look. */
export function FilePart({ fields, mayImport }: { fields: readonly AssetField[]; mayImport: boolean }) {
  const [file, setFile] = useState<File | null>(null);
  const look = useImportAssets(true);
  const take = useImportAssets(false);
  const close = () => {
    setFile(null);
    look.reset();
    take.reset();
  };
  return (
    <section className="panel panel-pad" aria-labelledby="asset-file" style={{ marginTop: "1rem" }}>
      <Title order={2} id="asset-file" mb="xs">
        Values as a file
      </Title>
      <Text c="dimmed" mb="sm" maw="46rem">
        Export what is there, fill it in with a spreadsheet, and import it. Rows are matched by the column{" "}
        <code>id</code>, else <code>serial</code>, else <code>name</code>; other columns are read where their
        heading is the name or key of a field. An empty cell forgets the value. You see what would change
        before anything does.
      </Text>
      <Group gap="xs">
        <Button
          component="a"
          variant="default"
          leftSection={<ExportIcon size={16} />}
          href={devicesFile({}, ["name", "serial", "model", "group", ...fields.map((f) => `asset.${f.key}`)])}
          download="assets.csv"
        >
          Export all devices
        </Button>
        {mayImport && (
          <FileButton
            accept=".csv,text/csv"
            // The same file, mended, may be chosen again.
            key={file ? "again" : "first"}
            onChange={(f) => {
              if (!f) return;
              take.reset();
              void f.text().then((text) => {
                setFile({ name: f.name, text });
                look.mutate(text);
              });
            }}
            inputProps={{ "aria-label": "CSV file to import" }}
          >
            {(props) => (
              <Button variant={file ? "default" : "filled"} {...props}>
                {file ? "Choose another file…" : "Import a file…"}
              </Button>
            )}
          </FileButton>
        )}
      </Group>
      <div aria-live="polite">
        {look.isPending && (
          <Text c="dimmed" mt="md">
            Reading {file?.name}…
          </Text>
        )}
        {look.error && (
          <div style={{ marginTop: "1rem" }}>
            <ErrorPanel error={look.error} title={`${file?.name ?? "The file"} cannot be imported`} />
          </div>
        )}
        {file && look.data && (
          <Preview
            name={file.name}
            seen={look.data}
            fields={fields}
            busy={take.isPending}
            onClose={close}
            onTake={() =>
              take.mutate(file.text, {
                onSuccess: (done) => {
                  if (done.applied) {
                    notifyDone(`${countWords(done.changed, "device")} changed.`);
                    close();
                  } else {
                    look.mutate(file.text); // the devices changed meanwhile
                  }
                },
                onError: (e) => notifyFailed("Nothing was imported", e),
              })
            }
          />
        )}
      </div>
    </section>
  );
}

interface PreviewProps {
  name: string;
  seen: AssetImport;
  fields: readonly AssetField[];
  busy: boolean;
  onTake: () => void;
  onClose: () => void;
}

function Preview({ name, seen, fields, busy, onTake, onClose }: PreviewProps) {
  const wrong = seen.problems.length;
  const nameOf = (key: string) => fields.find((f) => f.key === key)?.name ?? key;
  return (
    <Stack gap="sm" mt="md">
      <Title order={3} className="wrap-anywhere">
        {name}
      </Title>
      <Text role="status">
        {countWords(seen.rows, "row")}: {countWords(seen.devices, "device")} found,{" "}
        {seen.changed === 0 ? "none of them changes" : `${seen.changed.toLocaleString("en")} would change`}
        {wrong > 0 && `, ${countWords(wrong, "problem")}`}.
      </Text>
      {wrong > 0 && (
        <Alert color="red" variant="light" title="Nothing is imported while a row has a problem">
          <ul style={{ margin: 0, paddingLeft: "1.1rem" }}>
            {seen.problems.map((p) => (
              <li key={`${p.row} ${p.message}`}>
                Row {p.row}: {p.message}
              </li>
            ))}
          </ul>
          {wrong === 100 && <Text mt={4}>There may be more.</Text>}
        </Alert>
      )}
      {seen.preview.length > 0 && (
        <div className="sideways">
          <table className="numbers" aria-label="What would change">
            <thead>
              <tr>
                <th scope="col" data-text>
                  Row
                </th>
                <th scope="col" data-text>
                  Device
                </th>
                <th scope="col" data-text>
                  Field
                </th>
                <th scope="col" data-text>
                  Now
                </th>
                <th scope="col" data-text>
                  Then
                </th>
              </tr>
            </thead>
            <tbody>
              {seen.preview.flatMap((row) =>
                row.changes.map((c, i) => (
                  <tr key={`${row.row} ${c.field}`}>
                    <td data-text>{i === 0 ? row.row : ""}</td>
                    <td data-text>
                      {i === 0 && (
                        <PageLink to="/devices/$deviceId" params={{ deviceId: row.device_id }}>
                          {row.name}
                        </PageLink>
                      )}
                    </td>
                    <td data-text>{nameOf(c.field)}</td>
                    <td data-text className="wrap-anywhere">
                      {c.from || <span className="quiet">nothing</span>}
                    </td>
                    <td data-text className="wrap-anywhere">
                      {c.to || <span className="quiet">nothing</span>}
                    </td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </div>
      )}
      {seen.changed > seen.preview.length && (
        <Text size="sm" c="dimmed">
          And {countWords(seen.changed - seen.preview.length, "more device", "more devices")}.
        </Text>
      )}
      <Group gap="xs">
        {wrong === 0 && seen.changed > 0 && (
          <Button loading={busy} onClick={onTake}>
            Change {countWords(seen.changed, "device")}
          </Button>
        )}
        <Button variant="default" onClick={onClose}>
          {wrong === 0 && seen.changed > 0 ? "Cancel" : "Close"}
        </Button>
      </Group>
    </Stack>
  );
}
