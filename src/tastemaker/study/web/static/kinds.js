// What is done with the images of a task, a function a kind. Each puts its controls under the question and on the
// images (`shown`: figure and pick of each), calls `say` with the answer by position on the screen, and returns what
// keys do: a function that is given a key's name and says whether it knew it.

import { make, once, part } from "./dom.js";
import { nameOf } from "./pictures.js";

const ANY = [["u", "undo"], ["s", "skip"], ["z", "zoom; 1…9 and arrows change the image, Esc closes"]];

/** The keys of each kind and what they do, for people. */
export const HELP = {
  pair: [["← or 1", "image A"], ["→ or 2", "image B"], ["↓, 0 or t", "tie"], ...ANY],
  best: [["1…9", "the best image"], ...ANY],
  rank: [["1…9", "next in order"], ["Backspace", "take the last one back"], ["Enter", "done"], ...ANY],
  flag: [["Tab, Space", "mark what is wrong"], ["Enter", "done"], ...ANY],
};

function pair(shown, say) {
  const answers = [[0, "Image A", "←"], ["tie", "Tie", "↓"], [1, "Image B", "→"]];
  part("choices").replaceChildren(...answers.map(([answer, text, key]) => choice(text, key, () => say(answer))));
  shown.forEach(({ pick }, position) => (pick.onclick = once(() => say(position))));
  const keys = { ArrowLeft: 0, 1: 0, ArrowRight: 1, 2: 1, ArrowDown: "tie", 0: "tie", t: "tie" };
  return (key) => known(key in keys, () => say(keys[key]));
}

function best(shown, say) {
  part("choices").replaceChildren(hint("Choose an image."));
  shown.forEach(({ pick }, position) => (pick.onclick = once(() => say(position))));
  return (key) => known(key - 1 in shown, () => say(key - 1));
}

function rank(shown, say) {
  const order = [];
  const done = choice("Done", "Enter", () => say([...order]));
  const left = hint("");
  part("choices").replaceChildren(left, done);
  const change = (position) => {
    const at = order.indexOf(position);
    at < 0 ? order.push(position) : order.splice(at, 1);
    showRanks(shown, order, left, done);
  };
  shown.forEach(({ pick }, position) => (pick.onclick = () => change(position)));
  showRanks(shown, order, left, done);
  return (key) => {
    if (key === "Enter") return known(!done.disabled, () => say([...order]));
    if (key === "Backspace") return known(order.length > 0, () => change(order.at(-1)));
    return known(key - 1 in shown, () => order.includes(key - 1) || change(key - 1));
  };
}

function flag(shown, say, { names, zoom }) {
  shown.forEach(({ figure, pick }, position) => {
    figure.querySelector(".flags")?.remove();
    figure.append(boxes(names, position));
    pick.onclick = once(() => zoom(position));
  });
  const marked = () => [...document.querySelectorAll(".flags :checked")].map((box) => [+box.dataset.image, box.value]);
  const done = choice("Done", "Enter", () => say(marked()));
  part("choices").replaceChildren(hint("Mark nothing where nothing is wrong."), done);
  return (key) => known(key === "Enter", () => say(marked()));
}

/** By the kind's name. */
export const KINDS = { pair, best, rank, flag };

function known(is, act) {
  if (is) act();
  return is;
}

function choice(text, key, act) {
  const shortcut = make("kbd", { ariaHidden: "true" }, key);
  return make("button", { type: "button", className: "choice", onclick: once(act) }, text, " ", shortcut);
}

const hint = (text) => make("p", { className: "hint" }, text);

function showRanks(shown, order, left, done) {
  shown.forEach(({ pick }, position) => {
    const at = order.indexOf(position);
    pick.setAttribute("aria-pressed", at >= 0);
    pick.querySelector(".rank")?.remove();
    const word = make("span", { className: "unseen" }, " rank ");
    if (at >= 0) pick.append(make("span", { className: "rank" }, word, at + 1));
  });
  left.textContent = `${order.length} of ${shown.length} in order`;
  done.disabled = order.length < shown.length;
}

function boxes(names, position) {
  const legend = make("legend", { className: "unseen" }, `What is wrong with ${nameOf(position)}?`);
  const labels = names.map((name) => {
    const box = make("input", { type: "checkbox", value: name });
    box.dataset.image = position;
    return make("label", {}, box, make("span", { dir: "auto" }, name));
  });
  return make("fieldset", { className: "flags" }, legend, ...labels);
}
