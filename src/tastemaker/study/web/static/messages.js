// What the page says besides the task: progress, help, and why there is no task.

import { make, part } from "./dom.js";

const MESSAGES = {
  done: ["Thank you!", "You have done all your tasks. You can close this page."],
  closed: ["The study is closed", "Thank you for taking part. You can close this page."],
  wait: ["Nothing to do right now", "Others are at the last tasks. If one is left over, it appears here by itself."],
  paused: ["The study is paused", "It goes on here by itself as soon as it is opened again."],
  between: ["Please wait for the next round", "The model learns from the answers; the next round appears here."],
};
const PASSING = ["wait", "paused", "between"];

/** Whether a state ends by itself. */
export const passing = (state) => PASSING.includes(state);

/** How far the rater is. */
export function progress({ done, of }) {
  part("count").textContent = `${done} of ${of}`;
  Object.assign(part("progress"), { max: Math.max(of, 1), value: done });
}

/** The keys that work, each with what it does. */
export function help(keys) {
  part("keys").replaceChildren(
    ...keys.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]),
  );
}

/** Show the task, no message. */
export function hide() {
  part("message").hidden = true;
  part("task").hidden = false;
}

/** Why there is no task; the focus goes there when that is `news`. Of a run, what its model drew last. */
export function rest({ state, pictures = [] }, news) {
  if (news) say(...MESSAGES[state], ...pictures.slice(-1).map((address) => drawn(address, pictures.length)));
}

function drawn(address, round) {
  const alt = `What the model drew in round ${round}, a prompt a row`;
  return make("figure", {}, make("img", { src: address, alt }), make("figcaption", {}, alt));
}

/** Nothing can follow on this page: a line and a link. */
export function stop({ status, message }) {
  const [text, address] = status === 401 ? ["Go to the start", "/"] : ["Load the page again", "/task"];
  say("This page cannot go on", message, make("a", { href: address, className: "button" }, text));
}

function say(title, text, ...more) {
  part("task").hidden = true;
  part("images").replaceChildren();
  part("message").hidden = false;
  part("message-title").textContent = title;
  part("message-text").textContent = text;
  part("message-more").replaceChildren(...more);
  part("message-title").focus();
}
