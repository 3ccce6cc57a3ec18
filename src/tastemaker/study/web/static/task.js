// The page on which a rater works: shows the view that the server sends, and sends back what the rater does.

import * as api from "./api.js";
import { Clock } from "./clock.js";
import { once, part } from "./dom.js";
import { HELP, KINDS } from "./kinds.js";
import * as messages from "./messages.js";
import { lay, loadBeforehand } from "./pictures.js";
import * as zoom from "./zoom.js";

const POLL = 5000; // milliseconds
const clock = new Clock();

let view = { state: "" };
let question = null;
let shown = []; // figure and pick of each image
let press = () => false; // what keys do
let ready = false; // all images are there
let busy = true; // a post is on its way
let latest = 0; // number of the newest request
let polling = 0;

const offline = (line) => (part("offline").textContent = line);
const note = (line) => (part("note").textContent = line);
const large = (position) => zoom.open(view.images, position);

/** Send an answer. While there is none to give, `lock` keeps clicks away and `work` keys. */
function say(answer) {
  const answers = { [question.name]: answer };
  act("/api/vote", { token: view.token, answers, seconds: clock.seconds(), key: api.newKey() });
}

function undo() {
  const before = view.state === "task" && answeredBefore();
  if (busy) return;
  if (before) ask(before);
  else if (view.can_undo) act("/api/undo", { key: api.newKey() });
}

function skip() {
  if (!busy && view.state === "task") act("/api/skip", { token: view.token });
}

function act(path, body) {
  busy = true;
  note("");
  lock();
  return follow(() => api.post(path, body, offline), recover);
}

/** Show the view that `request` gives, unless a newer request was made since. */
async function follow(request, refused) {
  clearTimeout(polling);
  latest += 1;
  const turn = latest;
  try {
    const next = await request();
    if (turn === latest) show(next);
  } catch (problem) {
    if (!(problem instanceof api.Refused)) throw problem;
    refused(problem);
  }
}

const load = () => follow(() => api.load(offline), stop);

/** After a post that was refused: say why and go on with the task at hand, or stop where nothing can follow. */
function recover(problem) {
  if (api.UNKNOWN.includes(problem.status)) return stop(problem);
  note(problem.message);
  return load();
}

function stop(problem) {
  busy = true;
  view = { state: "stopped" };
  messages.stop(problem);
  tools();
}

function show(next) {
  const before = view;
  [view, busy] = [next, false];
  messages.progress(view.progress);
  if (view.state === "task") showTask(before);
  else rest(before);
  tools();
}

function showTask(before) {
  messages.hide();
  if (before.token !== view.token) layImages();
  ask(view.questions.find(({ name }) => !(name in view.answered)) ?? view.questions.at(-1));
}

function layImages() {
  const { token, images, next_images } = view;
  ready = false;
  if (zoom.isOpen()) zoom.close();
  scrollTo(0, 0);
  const allThere = () => {
    if (view.token !== token) return; // skipped meanwhile
    ready = true;
    lock();
    clock.start();
    loadBeforehand(next_images ?? []);
  };
  shown = lay(images, allThere, large);
}

function ask(next) {
  question = next;
  part("task").dataset.kind = view.kind;
  part("question").textContent = question.text;
  const count = view.questions.length;
  part("step").textContent = count > 1 ? `Question ${view.questions.indexOf(question) + 1} of ${count}` : "";
  showPrompt();
  press = KINDS[view.kind](shown, say, { names: view.flags, zoom: large });
  messages.help(HELP[view.kind]);
  lock();
  clock.start();
  part("question").focus({ preventScroll: true });
}

function showPrompt() {
  const there = view.prompt !== null && !question.hidden;
  part("prompt").textContent = there ? view.prompt : "The prompt is hidden for this question.";
  part("prompt").classList.toggle("absent", !there);
}

/** The last question before this one that has an answer: undo begins with it. */
function answeredBefore() {
  const earlier = view.questions.slice(0, view.questions.indexOf(question));
  return earlier.findLast(({ name }) => name in view.answered);
}

function lock() {
  const locked = busy || !ready;
  part("choices").disabled = locked;
  document.querySelectorAll("#images .pick, #images .flags").forEach((control) => (control.disabled = locked));
  part("task").setAttribute("aria-busy", locked);
  tools();
}

function tools() {
  part("skip").hidden = view.state !== "task";
  part("skip").disabled = busy;
  part("undo").disabled = busy || !(view.can_undo || (view.state === "task" && answeredBefore()));
}

/** Nothing to do, for now or for good. */
function rest(before) {
  ready = false;
  messages.rest(view, before.state !== view.state || before.pictures?.length !== view.pictures?.length);
  if (messages.passing(view.state)) polling = setTimeout(load, POLL);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const own = ["Enter", " "].includes(key) && event.target.closest("button, a, summary");
  if (!own && (zoom.isOpen() ? zoom.press(key) : work(key))) event.preventDefault();
}

function work(key) {
  if (key === "u") undo();
  else if (key === "s") skip();
  else if (view.state !== "task") return false;
  else if (key === "z") large(0);
  else return !busy && ready && press(key);
  return true;
}

function begin() {
  zoom.prepare();
  part("undo").onclick = once(undo);
  part("skip").onclick = once(skip);
  document.addEventListener("keydown", pressed);
  addEventListener("beforeunload", (event) => view.state !== "stopped" && api.unanswered() && event.preventDefault());
  const kept = api.unanswered(); // sent before the page was loaded again
  if (kept) act(...kept);
  else load();
}

begin();
