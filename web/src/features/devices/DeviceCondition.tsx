import { Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { deviceComplianceQuery } from "../../api/compliance.ts";
import { useMe } from "../../api/me.ts";
import { deviceSettingsQuery } from "../../api/policies.ts";
import type { Device } from "../../api/types.ts";
import { ComplianceMark, complianceStates, complianceWords } from "../../ui/complianceWords.tsx";
import { PageLink } from "../../ui/links.tsx";
import { may } from "../../ui/permissions.ts";
import { SettingMark, settingStates, stateWords } from "../../ui/settingWords.tsx";
import { countWords } from "../../ui/words.ts";

/** At a glance whether the device is as it should be; each line leads to what is behind it. */
export function DeviceCondition({ device }: { device: Device }) {
  const me = useMe();
  const rules = may(me, "compliance.view");
  const policies = may(me, "policy.view");
  if (!rules && !policies) return null;
  return (
    <section className="panel panel-pad" aria-labelledby="device-condition">
      <Title order={2} id="device-condition" mb="xs">
        Condition
      </Title>
      <dl className="facts">
        {rules && <Rules device={device} />}
        {policies && <Settings device={device} />}
        {device.updates !== undefined && (
          <>
            <dt>Updates</dt>
            <dd>
              {device.updates === 0
                ? "None is missing"
                : `${countWords(device.updates, "is", "are")} missing${device.security_updates ? `, ${device.security_updates.toLocaleString("en")} of them for security` : ""}`}
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Rules({ device }: { device: Device }) {
  const c = useQuery(deviceComplianceQuery(device.id)).data;
  if (!c) return null;
  const bad = complianceStates.filter(
    (s) => c.counts[s] > 0 && (s === "non_compliant" || s === "error" || s === "in_grace"),
  );
  return (
    <>
      <dt>Compliance</dt>
      <dd>
        {c.items.length === 0 ? (
          <span className="quiet">Not checked yet</span>
        ) : (
          <>
            <ComplianceMark state={c.overall} />{" "}
            <PageLink to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: "compliance" }}>
              {bad.length === 0
                ? countWords(c.items.length, "rule")
                : bad
                    .map((s) => `${countWords(c.counts[s], "rule")} ${complianceWords(s).toLowerCase()}`)
                    .join(", ")}
            </PageLink>
          </>
        )}
      </dd>
    </>
  );
}

function Settings({ device }: { device: Device }) {
  const data = useQuery(deviceSettingsQuery(device.id)).data;
  if (!data) return null;
  const counts = settingStates.flatMap((state) => {
    const n = data.settings.filter((s) => s.state === state).length;
    return n > 0 ? [{ state, n }] : [];
  });
  const worst = counts[0];
  return (
    <>
      <dt>Policies</dt>
      <dd>
        {worst ? (
          <>
            <SettingMark state={worst.state} />{" "}
            <PageLink to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: "settings" }}>
              {counts.length === 1
                ? countWords(worst.n, "setting")
                : counts.map((c) => `${c.n} ${stateWords(c.state).toLowerCase()}`).join(", ")}
            </PageLink>
          </>
        ) : (
          <span className="quiet">No policy reaches this device</span>
        )}
      </dd>
    </>
  );
}
