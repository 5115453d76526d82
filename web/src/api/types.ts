/**
 * The nouns of the REST API under the names the console uses. All of them are generated
 * from the gateway's OpenAPI document: nothing is declared here a second time.
 */
import type { components } from "./schema.gen.ts";

type Schemas = components["schemas"];

/** One thing an operator may do in a session; the same words as signaling/capability.go. */
export type Capability = Schemas["UnattendedBody"]["capabilities"][number];

export type Me = Schemas["Me"];
export type Setup = Schemas["SetupInput"];
export type SignIn = Schemas["SignInInput"];
export type OwnPassword = Schemas["OwnPasswordInput"];
export type Ticket = Schemas["TicketBody"];

export type Operator = Schemas["OperatorBody"];
export type OperatorList = Schemas["ListOperatorBody"];
export type NewOperator = Schemas["NewOperatorInput"];
export type OperatorChange = Schemas["OperatorChange"];
export type Grant = Schemas["GrantBody"];
export type Role = Schemas["RoleBody"];
export type RoleList = Schemas["ListRoleBody"];

/** `unattended` is null where the group inherits. */
export type DeviceGroup = Schemas["GroupBody"];
export type DeviceGroupList = Schemas["ListGroupBody"];
export type NewGroup = Schemas["NewGroupInput"];
export type GroupChange = Schemas["GroupChange"];

export type Device = Schemas["DeviceBody"];
export type DeviceState = Device["state"];
export type DeviceList = Schemas["ListDeviceBody"];
export type DeviceChange = Schemas["DeviceChange"];
export type Inventory = Schemas["InventoryBody"];
export type InventorySections = Schemas["InventorySections"];
export type Disk = Schemas["Disk"];
export type Filesystem = Schemas["Filesystem"];
export type NetworkInterface = Schemas["Interface"];

export type EnrollmentToken = Schemas["TokenBody"];
export type EnrollmentTokenList = Schemas["ListTokenBody"];
export type TokenWish = Schemas["NewTokenInput"];
export type NewToken = Schemas["NewTokenBody"];

export type ApiToken = Schemas["APITokenBody"];
export type ApiTokenWish = Schemas["NewAPITokenInput"];
export type NewApiToken = Schemas["NewAPITokenBody"];

export type SupportSession = Schemas["SessionBody"];
export type SupportSessionDetail = Schemas["SessionDetail"];
export type SupportSessionList = Schemas["ListSessionBody"];
export type SessionStateName = SupportSession["state"];
export type SessionWish = Schemas["NewSessionInput"];
export type TimelineEntry = Schemas["TimelineBody"];

export type AuditEntry = Schemas["AuditBody"];
export type AuditList = Schemas["ListAuditBody"];
export type AuditVerdict = Schemas["VerdictBody"];
export type Overview = Schemas["OverviewBody"];
export type Attention = Schemas["AttentionBody"];
export type Settings = Schemas["SettingsBody"];

export type CommandKind = Schemas["KindBody"];
export type CommandKindList = Schemas["ListKindBody"];
export type Command = Schemas["CommandBody"];
export type CommandState = Command["state"];
export type CommandDetail = Schemas["CommandDetail"];
export type CommandList = Schemas["ListCommandBody"];
export type CommandOrder = Schemas["NewCommandInput"];
export type CommandTarget = Schemas["CommandTarget"];
export type CommandPreview = Schemas["PreviewBody"];
export type Ordered = Schemas["OrderedBody"];
export type Cancelled = Schemas["CancelledBody"];
export type Bulk = Schemas["BulkBody"];
export type BulkList = Schemas["ListBulkBody"];

export type Script = Schemas["ScriptBody"];
export type ScriptList = Schemas["ListScriptBody"];
export type ScriptDetail = Schemas["ScriptDetail"];
export type ScriptVersion = Schemas["ScriptVersionBody"];
export type ScriptParameter = Schemas["ScriptParameterBody"];
export type ScriptWish = Schemas["NewScriptInput"];
export type ScriptChange = Schemas["ScriptChange"];
export type ScriptVersionWish = Schemas["NewVersionInput"];

/** One key of the catalogue of settings. */
export type CatalogueEntry = Schemas["EntryBody"];
export type Catalogue = Schemas["ListEntryBody"];
/** One typed value within a setting, or of a command or a script: what a form is made of. */
export type Field = Schemas["Field"];
export type Policy = Schemas["PolicyBody"];
export type PolicyList = Schemas["ListPolicyBody"];
export type PolicyChange = Schemas["PolicyChange"];
export type PolicyWish = Schemas["NewPolicyInput"];
export type PolicySetting = Schemas["SettingBody"];
export type PolicyStatus = Schemas["PolicyStatusBody"];
export type PolicyVersion = Schemas["VersionBody"];
export type PolicyVersionList = Schemas["ListVersionBody"];
export type PolicyDifference = Schemas["DiffBody"];
export type SettingDifference = Schemas["Change"];
export type Assignment = Schemas["AssignmentBody"];
export type WhatIfWish = Schemas["WhatIfInput"];
export type Effect = Schemas["EffectBody"];
export type StateCounts = Schemas["CountsBody"];
export type Rollout = Schemas["RolloutBody"];
export type RolloutList = Schemas["ListRolloutBody"];
export type RolloutDeviceList = Schemas["ListRolloutDevice"];
export type RolloutPlan = Schemas["RolloutPlan"];
export type SettingsOfDevice = Schemas["DeviceSettingsBody"];
export type SettingOfDevice = Schemas["DeviceSettingBody"];
export type SettingState = SettingOfDevice["state"];
export type SettingClaim = Schemas["ClaimBody"];

export type Label = Schemas["LabelBody"];
export type LabelList = Schemas["ListLabelBody"];
export type LabelWish = Schemas["NewLabelInput"];
export type LabelChange = Schemas["LabelChange"];
export type LabelPreview = Schemas["LabelPreviewBody"];
export type LabelColor = Label["color"];
export type DeviceLabel = Schemas["DeviceLabelBody"];

export type Compliance = Schemas["ComplianceBody"];
export type ComplianceCounts = Schemas["StateCounts"];
export type ComplianceRule = Schemas["RuleBody"];
export type ComplianceRuleList = Schemas["ListRuleBody"];
export type ComplianceRuleWish = Schemas["NewRuleInput"];
export type ComplianceRuleChange = Schemas["RuleInput"];
export type ComplianceState = keyof ComplianceCounts;
export type Severity = ComplianceRule["severity"];
export type DeviceCompliance = Schemas["DeviceComplianceBody"];
export type DeviceComplianceItem = Schemas["DeviceComplianceItem"];
export type Mending = Schemas["MendingBody"];
export type ComplianceDeviceList = Schemas["ListStandingDevice"];
export type ComplianceTrial = Schemas["TryBody"];
export type ComplianceTrialWish = Schemas["TryInput"];
export type Waiver = Schemas["WaiverBody"];
export type WaiverList = Schemas["ListWaiverBody"];
export type WaiverWish = Schemas["NewWaiverInput"];
export type Remedy = Schemas["RemediateBody"];
export type DeviceBulk = Schemas["BulkDevicesInput"];
export type DeviceBulkDone = Schemas["BulkDevicesBody"];
export type Chapter = Schemas["ChapterBody"];
export type ChapterList = Schemas["ListChapterBody"];
export type InventoryDifference = Schemas["InventoryDiffBody"];
export type InstalledSoftware = Schemas["SoftwareBody"];
export type SoftwareNameList = Schemas["ListSoftwareNameBody"];
export type SoftwareName = Schemas["SoftwareNameBody"];
export type SoftwareVersions = Schemas["SoftwareVersionsBody"];
export type SoftwareVersion = Schemas["SoftwareVersionBody"];
export type View = Schemas["ViewBody"];
export type ViewList = Schemas["ListViewBody"];
export type ViewWish = Schemas["ViewInput"];
export type DeviceLayout = Schemas["DeviceListBody"];
export type AssetField = Schemas["AssetFieldBody"];
export type AssetFields = Schemas["AssetFieldsBody"];
export type AssetImport = Schemas["AssetImportBody"];
export type Duplicate = Schemas["DuplicateBody"];
export type DuplicateList = Schemas["ListDuplicateBody"];
