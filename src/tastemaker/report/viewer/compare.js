// Two models' images of one prompt over each other: a divider to drag, or one and the other in turn.
"use strict";

const Compare = (() => {
  const { data } = Select;
  const by = (id) => document.getElementById(id);
  const dialog = by("compare");
  const stage = by("stage");
  const divider = by("divider");
  let now = null; // { left, right, prompt, sample, order, state, turn }: turn is which one is shown whole, or null

  function place(percent) {
    const at = Math.min(100, Math.max(0, percent));
    divider.value = at;
    stage.style.setProperty("--at", `${at}%`);
    const [left, right] = [now.left, now.right].map((model) => data.models[model].name);
    divider.setAttribute("aria-valuetext", `left ${Math.round(at)} % ${left}, rest ${right}`);
  }

  // shows one whole; null is both, with the divider
  function take(turn) {
    now.turn = turn;
    stage.dataset.turn = turn ?? "";
    by("flicker").textContent = turn === null ? "Flicker (F)" : `Shown: ${data.models[now[turn]].name} (F)`;
  }

  function flicker() {
    take(now.turn === "right" ? "left" : "right");
    by("said").textContent = `${data.models[now[now.turn]].name} is shown`;
  }

  function move(percent) {
    take(null);
    place(percent);
  }

  function side(name) {
    const model = now[name];
    const { width, height } = data.models[model];
    const image = by(`image-${name}`);
    image.src = Rows.file(model, now.prompt, now.sample);
    image.alt = Rows.describe(model, now.prompt);
    image.classList.toggle("small", Math.max(width, height) <= 128);
    by(`tag-${name}`).textContent = data.models[model].name;
    by(`choose-${name}`).value = model;
  }

  function table() {
    const cells = (scorer) => ["left", "right"].map((name) => Select.score(scorer, now[name], now.prompt, now.sample));
    const rows = data.scorers.map((scorer, index) => {
      const [left, right] = cells(index);
      const change = left === null || right === null ? "–" : Rows.signed(right - left);
      const texts = [Rows.number(left), Rows.number(right), change].map((text) => Rows.make("td", {}, text));
      return Rows.make("tr", {}, Rows.make("th", { scope: "row" }, Rows.scorerName(scorer, [now.left, now.right])), ...texts);
    });
    by("scores").hidden = !rows.length;
    by("scores-rows").replaceChildren(...rows);
  }

  function show() {
    const place = now.order.indexOf(now.prompt);
    by("compare-title").textContent = data.prompts[now.prompt];
    by("compare-place").textContent = `${place + 1} of ${now.order.length}`;
    ["left", "right"].forEach(side);
    const { width, height } = data.models[now.left];
    stage.style.setProperty("--shape", `${width} / ${height}`);
    stage.style.setProperty("--aspect", width / height);
    by("choose-sample").value = now.sample;
    by("before").disabled = place <= 0;
    by("after").disabled = place >= now.order.length - 1;
    table();
  }

  function step(by) {
    const prompt = now.order[now.order.indexOf(now.prompt) + by];
    if (prompt === undefined) return;
    now.prompt = prompt;
    show();
  }

  // the page's left model is on the left, on the right the one that was asked for, or else the page's right one
  function open(state, order, { model, prompt, sample }) {
    const right = model === state.left ? state.right : model;
    now = { left: state.left, right, prompt, sample, order, turn: null };
    show();
    move(50);
    if (!dialog.open) dialog.showModal();
    divider.focus();
  }

  function drag(event) {
    const box = stage.getBoundingClientRect();
    move((100 * (event.clientX - box.left)) / box.width);
  }

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    divider.focus();
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => stage.hasPointerCapture(event.pointerId) && drag(event));
  divider.addEventListener("input", () => move(Number(divider.value)));
  for (const name of ["left", "right"]) {
    by(`choose-${name}`).addEventListener("change", (event) => {
      now[name] = Number(event.target.value);
      show();
      take(now.turn);
      place(Number(divider.value));
    });
  }
  by("choose-sample").addEventListener("change", (event) => {
    now.sample = Number(event.target.value);
    show();
  });
  by("flicker").addEventListener("click", flicker);
  by("before").addEventListener("click", () => step(-1));
  by("after").addEventListener("click", () => step(1));
  by("close").addEventListener("click", () => dialog.close());

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typed = event.target.matches("select");
    const keys = {
      f: flicker, PageDown: () => step(1), PageUp: () => step(-1),
      ArrowLeft: () => move(Number(divider.value) - 2), ArrowRight: () => move(Number(divider.value) + 2),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || typed) return;
    event.preventDefault();
    act();
  });

  return Object.freeze({ open });
})();
