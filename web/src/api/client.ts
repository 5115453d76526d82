/** One field of a request that the gateway refused, with its words. */
export interface FieldProblem {
  /** Where: "name", "unattended.capabilities"; without the leading "body.". */
  field: string;
  message: string;
}

/**
 * A request that did not succeed, in words fit for a person. `status` is 0 when the
 * gateway could not be reached at all.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Machine-readable reason, as in signaling/code.go; "" where the gateway gave none. */
  readonly code: string;
  /** What to quote to whoever reads the gateway's log; "" where unknown. */
  readonly requestId: string;
  readonly fields: readonly FieldProblem[];
  /** How long to wait before the next try; 0 where the gateway did not say. */
  readonly retryAfterMs: number;

  constructor(about: {
    status: number;
    message: string;
    code?: string;
    requestId?: string;
    fields?: FieldProblem[];
    retryAfterMs?: number;
  }) {
    super(about.message);
    this.status = about.status;
    this.code = about.code ?? "";
    this.requestId = about.requestId ?? "";
    this.fields = about.fields ?? [];
    this.retryAfterMs = about.retryAfterMs ?? 0;
  }
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The part of an address behind "?"; what is undefined or empty is left out. */
export type Query = Record<string, string | number | boolean | undefined>;

interface CallOptions {
  query?: Query;
  body?: unknown;
  /** A file in place of a body. */
  csv?: string;
  signal?: AbortSignal;
  /** The revision the change was made from: the gateway refuses it when there is a newer one. */
  ifMatch?: number | undefined;
}

/** What is asked is asked again by itself; what is changed is for the person to do again. */
function onwards(method: Method): string {
  return method === "GET" ? "This page keeps trying." : "Try again in a moment.";
}

/**
 * Calls the REST API and returns the decoded body (undefined for an empty one). Throws
 * ApiError for everything but success and an abort. Only the files of this folder call it.
 */
export async function call<T>(method: Method, path: string, options: CallOptions = {}): Promise<T> {
  const response = await ask(method, path, options);
  const text = await response.text().catch(() => "");
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Fetches a file that the gateway makes, whole. Throws like call. */
export async function callFile(path: string, query: Query): Promise<Blob> {
  const response = await ask("GET", path, { query });
  try {
    return await response.blob();
  } catch {
    throw unreachable("POST"); // nothing tries it again by itself
  }
}

function unreachable(method: Method): ApiError {
  return new ApiError({
    status: 0,
    message: `The gateway cannot be reached. Check your network. ${onwards(method)}`,
    code: "unreachable",
  });
}

/** The answer to a request, once it is known that it is no refusal. */
async function ask(method: Method, path: string, options: CallOptions): Promise<Response> {
  const init: RequestInit = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { Accept: "application/json", "Content-Type": "application/json" };
  }
  if (options.csv !== undefined) {
    init.body = options.csv;
    init.headers = { Accept: "application/json", "Content-Type": "text/csv" };
  }
  if (options.ifMatch !== undefined) {
    init.headers = { ...init.headers, "If-Match": `"${options.ifMatch}"` };
  }
  let response: Response;
  try {
    response = await fetch(withQuery(path, options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable(method);
  }
  if (!response.ok) throw problemOf(method, response, await response.text().catch(() => ""));
  return response;
}

/** An address of the API with its query, for links to files. */
export function withQuery(path: string, query: Query | undefined): string {
  if (!query) return path;
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The parts of an RFC 9457 problem document that the console reads. */
interface Problem {
  title?: string;
  detail?: string;
  code?: string;
  id?: string;
  retry_after_ms?: number;
  errors?: { message?: string; location?: string }[] | null;
}

function problemOf(method: Method, response: Response, text: string): ApiError {
  let problem: Problem = {};
  try {
    problem = (JSON.parse(text) as Problem | null) ?? {};
  } catch {
    // a proxy in between answered with a page of its own
  }
  const fields = (problem.errors ?? []).map((e) => ({
    field: (e.location ?? "").replace(/^(body|query|path)\.?/, ""),
    message: sentence(e.message ?? ""),
  }));
  const seconds = Number(response.headers.get("Retry-After"));
  return new ApiError({
    status: response.status,
    message:
      sentence((problem.detail ?? "").replace(` (${problem.id})`, "")) || wordsFor(method, response.status),
    code: problem.code ?? "",
    requestId: problem.id ?? "",
    fields,
    retryAfterMs: problem.retry_after_ms ?? (Number.isFinite(seconds) ? seconds * 1000 : 0),
  });
}

/** The gateway speaks as a log does; people read sentences. */
export function sentence(text: string): string {
  if (text === "") return "";
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

function wordsFor(method: Method, status: number): string {
  switch (status) {
    case 401:
      return "You are not signed in any more.";
    case 403:
      return "Your role does not allow this.";
    case 404:
      return "This does not exist, or not any more.";
    case 429:
      return "Too many attempts. Wait a moment, then try again.";
    case 502:
    case 503:
    case 504:
      return `The gateway is not ready. It may be starting. ${onwards(method)}`;
    default:
      return `The gateway answered with an error (${status}).`;
  }
}

const askAgainMs = 2000;

/** Resolves once the gateway answers, whatever it says. */
export async function untilReachable(): Promise<void> {
  for (;;) {
    try {
      await fetch("/", { method: "HEAD", cache: "no-store" });
      return;
    } catch {
      await new Promise((next) => setTimeout(next, askAgainMs));
    }
  }
}

/** The words to show for anything thrown. */
export function wordsOf(error: unknown): string {
  if (error instanceof Error && error.message !== "") return error.message;
  return "Something went wrong.";
}

/** Whether the answer means that nobody is signed in (any more). */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401 && error.code !== "wrong_password";
}

/** Whether somebody else changed the thing since it was fetched. */
export function isOutdated(error: unknown): boolean {
  return error instanceof ApiError && error.status === 412;
}

/** Whether the answer means that the thing asked for does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
