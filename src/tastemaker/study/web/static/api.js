// Talking to the server. A request is sent until it is answered, so that no answer is lost.

const PAUSES = [1, 2, 4, 8, 15]; // seconds between tries; the last goes on
const LONGEST_PAUSE = 60; // seconds, whatever the server asks for
const PATIENCE = 20; // seconds for one try
const PASSING = [408, 425, 429];
export const UNKNOWN = [401, 403];
const KEPT = "tastemaker-unanswered";
const CONNECTION = "No connection; trying again.";
const ANSWER = "No connection; your answer is kept and will be sent again.";

/** An answer of the server that trying again would not change: its status and its line for people. */
export class Refused extends Error {
  constructor(status, line) {
    super(line);
    this.status = status;
  }
}

/** A new key: the same post has the same key however often it is sent. */
export function newKey() {
  // crypto.randomUUID is there under https only
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The view of the task at hand. `tell` gets a line while there is no connection, and "" when there is. */
export const load = (tell) => answered("/api/task", {}, tell, CONNECTION);

/** Post `body`; the view that follows. What is not answered yet outlives a reload of the page: see `unanswered`. */
export async function post(path, body, tell) {
  sessionStorage.setItem(KEPT, JSON.stringify([path, body]));
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf() };
  try {
    const view = await answered(path, { method: "POST", headers, body: JSON.stringify(body) }, tell, ANSWER);
    sessionStorage.removeItem(KEPT);
    return view;
  } catch (problem) {
    // who is not known any more may come back by the same link, and then it is sent
    if (!UNKNOWN.includes(problem.status)) sessionStorage.removeItem(KEPT);
    throw problem;
  }
}

/** Path and body of the post that is still without an answer, or null. */
export const unanswered = () => JSON.parse(sessionStorage.getItem(KEPT));

const csrf = () => document.querySelector('meta[name="csrf-token"]').content;

async function answered(path, options, tell, line) {
  for (let tries = 0; ; tries += 1) {
    const reply = await once(path, options);
    if (!reply.again) tell("");
    if (reply.view) return reply.view;
    if (!reply.again) throw new Refused(reply.status, reply.line);
    tell(line);
    await pause(Math.max(PAUSES[Math.min(tries, PAUSES.length - 1)], reply.after));
  }
}

/** One try: `view` when all is well, else whether to try `again`, `after` how many seconds at least. */
async function once(path, options) {
  try {
    const reply = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE * 1000) });
    const after = Math.min(Number(reply.headers.get("Retry-After")) || 0, LONGEST_PAUSE);
    if (reply.status >= 500 || PASSING.includes(reply.status)) return { again: true, after };
    // a 200 that is no JSON is not from our server but from a network that asks people to log in
    if (reply.ok) return { view: await reply.json() };
    return { status: reply.status, line: await lineOf(reply) };
  } catch {
    return { again: true, after: 0 };
  }
}

async function lineOf(reply) {
  const said = await reply.json().catch(() => ({}));
  return said.error ?? `The server answered ${reply.status}.`;
}

/** Wait, but not longer than until the connection is back. */
function pause(seconds) {
  return new Promise((go) => {
    const timer = setTimeout(go, seconds * 1000);
    addEventListener("online", () => (clearTimeout(timer), go()), { once: true });
  });
}
