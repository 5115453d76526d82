import { useQuery } from "@tanstack/react-query";
import { assetFieldsQuery } from "../../api/assets.ts";
import { useMe } from "../../api/me.ts";
import { PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Loaded } from "../../ui/states.tsx";
import { FieldsPart } from "./FieldsPart.tsx";
import { FilePart } from "./FilePart.tsx";

/** The organisation's own fields of devices, and their values as a file. */
export function AssetsPage() {
  const me = useMe();
  const query = useQuery(assetFieldsQuery);
  return (
    <Page
      title="Asset fields"
      lead="What you keep of your devices beside what they report: who owns them, what pays for them, how long the warranty lasts."
      above={
        <PageLink to="/devices" search={{ view: "all" }} size="sm" c="dimmed">
          ← Devices
        </PageLink>
      }
    >
      <Loaded query={query}>
        {({ fields }) => (
          <>
            <FieldsPart
              key={fields.map((f) => f.key).join(" ")}
              fields={fields}
              mayChange={may(me, "group.manage")}
            />
            <FilePart fields={fields} mayImport={may(me, "device.manage")} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
