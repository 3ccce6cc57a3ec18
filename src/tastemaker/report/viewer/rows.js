// One prompt as it stands on the page: its text, what every model drew, and the scores.
"use strict";

const Rows = (() => {
  const { data } = Select;

  // an element with properties and children; text is only ever text
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("aria-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  const minus = (text) => text.replace("-", "−");
  const number = (value) => (value === null ? "–" : minus(value.toPrecision(4)));
  const signed = (value) => (value > 0 ? "+" : "") + number(value);
  const file = (model, prompt, sample) => `images/${data.models[model].files[prompt * data.samples + sample]}`;
  // † took part in training one of `models`, ‡ chose the samples
  function scorerName({ name, marks }, models = data.models.keys()) {
    const said = [...new Set([...models].flatMap((model) => [...marks[model]]))].sort().join("");
    return said ? `${name} ${said}` : name;
  }

  const short = (text, most = 150) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const describe = (model, prompt) => `${data.models[model].name} for: ${short(data.prompts[prompt])}`;

  function picture(model, prompt, sample) {
    const { width, height } = data.models[model];
    const small = Math.max(width, height) <= 128 ? "small" : "";
    return make("img", {
      loading: "lazy", decoding: "async", width, height, className: small, alt: describe(model, prompt),
      src: file(model, prompt, sample),
    });
  }

  // of each scorer the highest score of this prompt and sample, where there is more than one
  function highest(prompt, sample) {
    return data.scorers.map((_, scorer) => {
      const values = data.models.map((_, model) => Select.score(scorer, model, prompt, sample));
      return data.models.length > 1 ? Math.max(...values.filter((value) => value !== null)) : NaN;
    });
  }

  function scores(model, prompt, sample, chosen, most) {
    return data.scorers.map((scorer, index) => {
      const value = Select.score(index, model, prompt, sample);
      const top = value === most[index];
      const item = make("div", { className: index === chosen ? "chosen" : "" });
      item.append(make("dt", {}, scorerName(scorer, [model])), make("dd", { className: top ? "top" : "", title: top ? "highest of this row" : "" }, number(value)));
      return item;
    });
  }

  function figure(state, model, prompt, sample, most) {
    const button = make("button", { type: "button", className: "open", "aria-haspopup": "dialog" });
    Object.assign(button.dataset, { model, prompt, sample });
    button.append(picture(model, prompt, sample));
    const side = model === state.left ? "left" : model === state.right ? "right" : "";
    const kept = data.kept && data.kept[model][prompt] === sample ? " (kept)" : "";
    const caption = make("figcaption", {}, make("b", { dir: "auto" }, data.models[model].name + kept));
    if (data.scorers.length) caption.append(make("dl", {}, ...scores(model, prompt, sample, state.scorer, most)));
    return make("figure", { className: side }, button, caption);
  }

  function grid(state, prompt, sample) {
    const most = highest(prompt, sample);
    const figures = data.models.map((_, model) => figure(state, model, prompt, sample, most));
    const block = make("div", { className: "models" }, ...figures);
    block.style.setProperty("--models", data.models.length);  // the policy of the page forbids style attributes
    if (data.samples === 1) return [block];
    return [make("h3", {}, `Sample ${sample + 1}`), block];
  }

  function star(prompt, on) {
    const button = make("button", { type: "button", className: "star", "aria-pressed": String(on) }, on ? "★" : "☆");
    button.setAttribute("aria-label", `Favourite: prompt ${prompt + 1}`);
    button.dataset.star = prompt;
    return button;
  }

  // difference and result by the chosen scorer, as words beside the colour
  function verdict(state, prompt) {
    if (!data.scorers.length || state.left === state.right) return [];
    const value = Select.differences(state.scorer, state.left, state.right)[prompt];
    if (value === null) return [make("span", { className: "chip" }, "unscored")];
    const result = Select.outcome(value, state.scorer);
    const name = scorerName(data.scorers[state.scorer], [state.left, state.right]);
    return [make("span", { className: `chip ${result}` }, `${name} ${signed(value)} ${result}`)];
  }

  function row(state, prompt) {
    const id = `prompt-${prompt}`;
    const groups = data.groups.map(({ of, values }) => values[of[prompt]]).filter(Boolean);
    const chips = make("p", { className: "chips" }, ...verdict(state, prompt));
    chips.append(...groups.map((value) => make("span", { className: "chip" }, value)));
    const title = make("h2", { id, dir: "auto" }, data.prompts[prompt]);
    const place = make("span", { className: "number" }, `${prompt + 1}`);
    const head = make("div", { className: "head" }, place, title, star(prompt, state.favourites.has(prompt)));
    const samples = state.sample < 0 ? [...Array(data.samples).keys()] : [state.sample];
    const pictures = samples.flatMap((sample) => grid(state, prompt, sample));
    return make("article", { "aria-labelledby": id }, head, chips, ...pictures);
  }

  return Object.freeze({ make, row, file, number, signed, scorerName, describe, verdict });
})();
