/** The parts of a policy's page, in the order of their tabs. */
export const policyTabs = ["settings", "assignments", "rollouts", "versions"] as const;

export type PolicyTab = (typeof policyTabs)[number];
