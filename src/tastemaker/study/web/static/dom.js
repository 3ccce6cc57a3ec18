// Small helpers for the page's elements.

/** The element with this id. */
export const part = (id) => document.getElementById(id);

/** A new element with `properties`, and `inside` as its content. */
export function make(tag, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

/** A click that calls `act` once, also when the mouse or the finger bounces. */
export const once = (act) => (event) => {
  if (event.detail < 2) act();
};
