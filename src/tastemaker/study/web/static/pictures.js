// The images of a task on the page.

import { make, once, part } from "./dom.js";

const SMALL = 128; // pixels; images below it are enlarged with sharp edges
let beforehand = [];

/** What an image is called: by its position alone. */
export const nameOf = (position) => `image ${letter(position)}`;

const letter = (position) => String.fromCharCode(65 + position);

/** Put the images up; `ready` is called when all are loaded, `zoom` with a position to see one large. */
export function lay(urls, ready, zoom) {
  let missing = urls.length;
  const loaded = () => {
    missing -= 1;
    if (missing === 0) ready();
  };
  const figures = urls.map((url, position) => figure(url, position, loaded, zoom));
  part("images").replaceChildren(...figures);
  part("images").dataset.count = urls.length;
  return figures.map((each) => ({ figure: each, pick: each.querySelector(".pick") }));
}

/** Load the images of the next task, so that they are there when it comes. */
export function loadBeforehand(urls) {
  beforehand = urls.map((url) => Object.assign(new Image(), { src: url }));
}

/** Mark `image` when it is so small that its pixels are to be seen. */
export function markSmall(image) {
  image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) < SMALL);
}

function figure(url, position, loaded, zoom) {
  const image = make("img", { alt: nameOf(position), draggable: false });
  const again = make("button", { type: "button", className: "again", hidden: true }, "Load again");
  const pick = make("button", { type: "button", className: "pick" }, image);
  const lens = make("button", { type: "button", className: "lens", onclick: once(() => zoom(position)) });
  lens.setAttribute("aria-label", `Zoom ${nameOf(position)}`);
  const mark = make("span", { className: "letter", ariaHidden: "true" }, letter(position));
  const whole = make("figure", { className: "loading" }, make("div", { className: "frame" }, pick, mark, lens, again));
  fetchInto(image, url, whole, again, loaded);
  return whole;
}

function fetchInto(image, url, whole, again, loaded) {
  const state = (name) => {
    whole.className = name;
    again.hidden = name !== "broken";
  };
  image.onload = () => (state("loaded"), markSmall(image), loaded());
  image.onerror = () => state("broken");
  again.onclick = () => (state("loading"), (image.src = url));
  image.src = url;
}
