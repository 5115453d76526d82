import { Text, Title } from "@mantine/core";
import { useMe } from "../../api/me.ts";
import { DeviceIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty } from "../../ui/states.tsx";

/** What somebody does first on a gateway that has no devices yet, in order. */
export function FirstSteps() {
  const me = useMe();
  if (!may(me, "device.enroll")) {
    return (
      <div className="panel">
        <Empty icon={<DeviceIcon size={36} />} title="No devices yet">
          When an admin enrolls devices in your groups, they appear here.
        </Empty>
      </div>
    );
  }
  return (
    <section className="panel panel-pad" aria-labelledby="first-steps">
      <Title order={2} id="first-steps">
        First steps
      </Title>
      <Text c="dimmed" mb="sm">
        No devices yet. Once there are some, this page says what needs attention.
      </Text>
      <ol className="first-steps">
        <li>
          <Text fw={600}>Enroll a device</Text>
          <Text>
            Make an enrollment token and run one command on the device. It appears here by itself, with its
            inventory, and can be supported at once.
          </Text>
          <ButtonLink to="/enrollment" mt="xs">
            Enroll the first device
          </ButtonLink>
        </li>
        {may(me, "policy.manage") && (
          <li>
            <Text fw={600}>Say what devices must be</Text>
            <Text>
              <PageLink to="/policies" underline="always">
                Make a policy
              </PageLink>{" "}
              of settings such as screen lock, firewall or Wi-Fi, and assign it to a{" "}
              <PageLink to="/groups" underline="always">
                group
              </PageLink>{" "}
              or a{" "}
              <PageLink to="/labels" underline="always">
                label
              </PageLink>
              . Devices become so and stay so.
            </Text>
          </li>
        )}
        {may(me, "compliance.view") && (
          <li>
            <Text fw={600}>See how they stand</Text>
            <Text>
              Each device is checked against{" "}
              <PageLink to="/compliance/rules" underline="always">
                rules
              </PageLink>{" "}
              that come with Handrail; many of them are mended by one click.
            </Text>
          </li>
        )}
        {may(me, "operator.manage") && (
          <li>
            <Text fw={600}>Bring in your colleagues</Text>
            <Text>
              <PageLink to="/operators" underline="always">
                Operators
              </PageLink>{" "}
              have a role on a group of devices, and see no others.
            </Text>
          </li>
        )}
      </ol>
    </section>
  );
}
