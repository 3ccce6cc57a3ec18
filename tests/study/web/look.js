// What is wrong with the page as it stands: too wide, too small to hit, too pale, inline style, a telling description.
() => {
  const called = (e) => `${e.tagName}#${e.id}.${e.className} ${(e.textContent || e.value || "").trim().slice(0, 30)}`;
  const dialog = document.querySelector("dialog[open]");
  const all = [...(dialog ?? document.body).querySelectorAll("*")];
  const seen = all.filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }));
  const box = (e) => e.getBoundingClientRect();

  const scrolls = ".scroll, .unseen, textarea, .zoom.actual .zoom-image";
  const wide = seen.filter((e) => !e.closest(scrolls) && box(e).right > innerWidth + 1);
  if (document.documentElement.scrollWidth > innerWidth) wide.push(document.documentElement);

  const target = (e) => (e.type === "checkbox" ? e.closest("label, .check") : e);
  const controls = seen.filter((e) => e.matches("button, .button, summary, input, textarea"));
  const small = controls.filter((e) => box(target(e)).height < 43.9 || box(target(e)).width < 43.9);

  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (top, under) => top.rgb.map((c, i) => c * top.a + under[i] * (1 - top.a));
  const ground = (e) => {
    if (!e) return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
    const own = parse(getComputedStyle(e).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(e.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (e) => {
    const under = ground(e);
    const [dark, bright] = [light(over(parse(getComputedStyle(e).color), under)), light(under)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const typed = "input:not([type=checkbox]), textarea";
  const says = (e) => e.matches(typed) || [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const pale = seen.filter((e) => says(e) && !e.closest(":disabled, .unseen") && contrast(e) < 4.5);

  const inline = [...document.querySelectorAll("[style], style, script:not([src])")];
  const alt = [...document.querySelectorAll("main.working img")].filter((e) => !/^image [A-Z]$/.test(e.alt));
  return Object.fromEntries(Object.entries({ wide, small, pale, inline, alt }).map(([k, v]) => [k, v.map(called)]));
};
