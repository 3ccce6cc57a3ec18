// The page: controls, the rows of the current page, and the address that holds both.
"use strict";

(() => {
  const { data, PAGE } = Select;
  const { make } = Rows;
  const by = (id) => document.getElementById(id);
  let state = Select.fromHash(location.hash);
  let found = { prompts: [], counts: {} };

  const count = (value) => value.toLocaleString("en");
  const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

  function options(select, entries) {
    select.replaceChildren(...entries.map(([value, text]) => make("option", { value: String(value) }, text)));
  }

  function controls() {
    const models = data.models.map(({ name }, model) => [model, name]);
    for (const id of ["left", "right", "choose-left", "choose-right"]) options(by(id), models);
    options(by("scorer"), data.scorers.map((scorer, index) => [index, Rows.scorerName(scorer)]));
    const samples = Array.from({ length: data.samples }, (_, sample) => [sample, `${sample + 1}`]);
    options(by("sample"), [[-1, "all"], ...samples]);
    options(by("choose-sample"), samples);
    for (const label of document.querySelectorAll(".of-scores")) label.hidden = !data.scorers.length;
    for (const label of document.querySelectorAll(".of-samples")) label.hidden = data.samples < 2;
    for (const label of document.querySelectorAll(".of-models")) label.hidden = data.models.length < 2;
    by("groups").replaceChildren(...data.groups.map(group));
    for (const note of document.querySelectorAll("[data-mark]")) {
      note.hidden = !data.scorers.some(({ marks }) => marks.join("").includes(note.dataset.mark));
    }
  }

  function group({ name, values }, field) {
    const select = make("select", { id: `group-${field}` });
    options(select, [["", "all"], ...values.filter(Boolean).map((value) => [value, value])]);
    select.addEventListener("change", () => change({ groups: Object.assign([...state.groups], { [field]: select.value }) }));
    return make("label", {}, name, select);
  }

  // the controls as `state` has them
  function reflect() {
    for (const name of ["left", "right", "scorer", "sample", "result", "order"]) by(name).value = state[name];
    if (by("text").value !== state.text) by("text").value = state.text;
    by("starred").checked = state.starred;
    state.groups.forEach((value, field) => { by(`group-${field}`).value = value; });
  }

  function status() {
    const shown = found.prompts.length;
    const parts = [`${count(shown)} of ${plural(data.prompts.length, "prompt")}.`];
    const { win, tie, loss } = found.counts;
    if (data.scorers.length && state.left !== state.right && win + tie + loss) {
      const [left, right] = [state.left, state.right].map((model) => data.models[model].name);
      const rate = (100 * (win + tie / 2)) / (win + tie + loss);
      const result = `${plural(win, "win")}, ${plural(tie, "tie")}, ${count(loss)} ${loss === 1 ? "loss" : "losses"}`;
      const scorer = Rows.scorerName(data.scorers[state.scorer], [state.left, state.right]);
      parts.push(`${right} against ${left} by ${scorer}: ${result} (win rate ${rate.toFixed(1)} %).`);
    }
    by("status").textContent = parts.join(" ");
    by("favourites").textContent = `only favourites (${count(state.favourites.size)})`;
  }

  function pager() {
    const pages = Math.max(1, Math.ceil(found.prompts.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    for (const [button, there] of [["previous", state.page > 0], ["next", state.page < pages - 1]]) {
      for (const element of document.querySelectorAll(`[data-page="${button}"]`)) element.disabled = !there;
    }
    const place = `page ${count(state.page + 1)} of ${count(pages)}`;
    for (const element of document.querySelectorAll(".place")) element.textContent = place;
    for (const element of document.querySelectorAll(".pager")) element.hidden = pages === 1;
  }

  function render() {
    found = Select.select(state);
    pager();
    const shown = found.prompts.slice(state.page * PAGE, (state.page + 1) * PAGE);
    by("rows").replaceChildren(...shown.map((prompt) => Rows.row(state, prompt)));
    by("nothing").hidden = shown.length > 0;
    status();
    reflect();
    remember();
  }

  const remember = () => history.replaceState(null, "", Select.toHash(state));

  function change(part) {
    state = { ...state, page: 0, ...part };
    render();
  }

  function turn(to) {
    state.page += to;
    render();
    by("results").focus({ preventScroll: true });
    by("results").scrollIntoView();
  }

  function favourite(button) {
    const prompt = Number(button.dataset.star);
    const on = !state.favourites.delete(prompt);
    if (on) state.favourites.add(prompt);
    if (state.starred) return render();
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "★" : "☆";
    status();
    return remember();
  }

  function clicked(event) {
    const star = event.target.closest("[data-star]");
    const image = event.target.closest(".open");
    if (star) favourite(star);
    if (image) {
      const { model, prompt, sample } = image.dataset;
      Compare.open(state, found.prompts, { model: Number(model), prompt: Number(prompt), sample: Number(sample) });
    }
  }

  controls();
  const on = (id, kind, read) => by(id).addEventListener(kind, (event) => change(read(event.target)));
  for (const name of ["left", "right", "scorer"]) on(name, "change", ({ value }) => ({ [name]: Number(value) }));
  for (const name of ["result", "order"]) on(name, "change", ({ value }) => ({ [name]: value }));
  on("sample", "change", ({ value }) => ({ sample: Number(value), page: state.page }));
  on("text", "input", ({ value }) => ({ text: value }));
  on("starred", "change", ({ checked }) => ({ starred: checked }));
  by("reset").addEventListener("click", () => change({ ...Select.start(), favourites: state.favourites }));
  by("rows").addEventListener("click", clicked);
  for (const button of document.querySelectorAll("[data-page]")) {
    button.addEventListener("click", () => turn(button.dataset.page === "next" ? 1 : -1));
  }
  addEventListener("hashchange", () => { state = Select.fromHash(location.hash); render(); });
  if (matchMedia("(min-width: 40.01rem)").matches) by("filters").open = true;
  render();
})();
