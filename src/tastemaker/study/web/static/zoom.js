// One image as large as the window, and the others by keys.

import { make, once, part } from "./dom.js";
import { markSmall, nameOf } from "./pictures.js";

let urls = [];
let at = 0;

/** Whether it is open. */
export const isOpen = () => part("zoom").open;

/** Show image `position` of `images` (their addresses). */
export function open(images, position) {
  urls = images;
  show(position);
  if (!isOpen()) part("zoom").showModal();
}

/** Close it. */
export const close = () => part("zoom").close();

/** What `key` does while it is open; whether it is known. */
export function press(key) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[key];
  if (step) turn(step);
  else if (key - 1 in urls) show(key - 1);
  else if (key === "z") close();
  else return false;
  return true;
}

/** Make its buttons work. */
export function prepare() {
  part("zoom-close").onclick = once(close);
  part("zoom-before").onclick = () => turn(-1);
  part("zoom-after").onclick = () => turn(1);
  part("zoom-size").onclick = () => size(!part("zoom").classList.contains("actual"));
}

const turn = (step) => show((at + step + urls.length) % urls.length);

function show(position) {
  at = position;
  const image = make("img", { alt: nameOf(position) });
  image.onload = () => markSmall(image);
  image.src = urls[position];
  part("zoom-image").replaceChildren(image);
  part("zoom-name").textContent = nameOf(position);
  [part("zoom-before"), part("zoom-after")].forEach((button) => (button.hidden = urls.length < 2));
}

function size(actual) {
  part("zoom").classList.toggle("actual", actual);
  part("zoom-size").setAttribute("aria-pressed", actual);
}
