// Which prompts are shown, in which order, and how that stands in the page's address. Nothing here touches the page.
"use strict";

const Select = (() => {
  const data = globalThis.VIEWER;
  const RESULTS = ["all", "win", "tie", "loss"];
  const ORDERS = ["prompt", "gain", "loss"];
  // rows on a page: about as many as make 60 images, so that a page is drawn at once
  const PAGE = Math.min(20, Math.max(4, Math.round(60 / (data.models.length * data.samples))));
  const texts = data.prompts.map((prompt) => prompt.toLocaleLowerCase());
  const known = new Map();

  const start = () => ({
    left: 0, right: Math.min(1, data.models.length - 1), scorer: 0, result: "all", order: "prompt", text: "",
    groups: data.groups.map(() => ""), favourites: new Set(), starred: false, sample: -1, page: 0,
  });

  // float32, as the scores were stored, so that ties here are the ties of metrics.json; null is unscored
  function score(scorer, model, prompt, sample) {
    const value = data.scorers[scorer].scores[model][prompt * data.samples + sample];
    return value === null ? null : Math.fround(value);
  }

  // mean over the samples of score(right) − score(left), or of the one sample that the evaluation kept
  function difference(scorer, left, right, prompt) {
    let sum = 0;
    const count = data.kept ? 1 : data.samples;
    for (let sample = 0; sample < count; sample++) {
      const [one, other] = [left, right].map((model) =>
        score(scorer, model, prompt, data.kept ? data.kept[model][prompt] : sample));
      if (one === null || other === null) return null;
      sum += other - one;
    }
    return sum / count;
  }

  function differences(scorer, left, right) {
    const key = [scorer, left, right].join();
    if (!known.has(key)) known.set(key, data.prompts.map((_, prompt) => difference(scorer, left, right, prompt)));
    return known.get(key);
  }

  function outcome(value, scorer) {
    const { epsilon } = data.scorers[scorer];
    return value === null ? "" : value > epsilon ? "win" : value < -epsilon ? "loss" : "tie";
  }

  const groupOf = ({ values, of }, prompt) => values[of[prompt]];

  function fits(state, words, prompt) {
    return words.every((word) => texts[prompt].includes(word))
      && state.groups.every((value, field) => !value || groupOf(data.groups[field], prompt) === value)
      && (!state.starred || state.favourites.has(prompt));
  }

  // the prompts that `state` lets through, in its order, and how many of each result there were before that filter
  function select(state) {
    const words = state.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const found = data.prompts.map((_, prompt) => prompt).filter((prompt) => fits(state, words, prompt));
    const counts = { win: 0, tie: 0, loss: 0 };
    if (!data.scorers.length) return { prompts: found, counts };
    const by = differences(state.scorer, state.left, state.right);
    for (const prompt of found) if (by[prompt] !== null) counts[outcome(by[prompt], state.scorer)]++;
    const asked = (prompt) => state.result === "all" || outcome(by[prompt], state.scorer) === state.result;
    const kept = found.filter(asked);
    return { prompts: state.order === "prompt" ? kept : sorted(kept, by, state.order === "gain" ? -1 : 1), counts };
  }

  function sorted(prompts, by, sign) {
    const last = (prompt) => (by[prompt] === null ? Infinity : sign * by[prompt]);
    return [...prompts].sort((one, other) => (last(one) < last(other) ? -1 : last(one) > last(other) ? 1 : one - other));
  }

  // 0, 1, 2, 7 as "1-3.8": numbers as people see them
  function ranges(set) {
    const runs = [];
    for (const prompt of [...set].sort((one, other) => one - other)) {
      const run = runs.at(-1);
      if (run && run[1] === prompt - 1) run[1] = prompt;
      else runs.push([prompt, prompt]);
    }
    return runs.map(([from, to]) => (from === to ? `${from + 1}` : `${from + 1}-${to + 1}`)).join(".");
  }

  function unranged(text) {
    const set = new Set();
    for (const [, from, to] of text.matchAll(/(\d+)(?:-(\d+))?/g)) {
      const last = Math.min(Number(to ?? from), data.prompts.length);
      for (let number = Math.max(1, Number(from)); number <= last; number++) set.add(number - 1);
    }
    return set;
  }

  function toHash(state) {
    const usual = start();
    const hash = new URLSearchParams();
    for (const name of ["left", "right", "scorer", "result", "order", "text", "sample", "page"]) {
      const shift = typeof usual[name] === "number" ? 1 : "";
      if (state[name] !== usual[name]) hash.set(name, shift ? state[name] + 1 : state[name]);
    }
    state.groups.forEach((value, field) => value && hash.set(`by.${data.groups[field].name}`, value));
    if (state.favourites.size) hash.set("favourites", ranges(state.favourites));
    if (state.starred) hash.set("only", "favourites");
    return `#${hash}`;
  }

  // what the address says; whatever does not fit this folder's images is left as it usually is
  function fromHash(text) {
    const state = start();
    const hash = new URLSearchParams(text.replace(/^#/, ""));
    const [models, scorers] = [data.models.length, data.scorers.length];
    const limits = { left: models, right: models, scorer: scorers, sample: data.samples, page: Infinity };
    for (const [name, limit] of Object.entries(limits)) {
      const number = /^\d{1,6}$/.test(hash.get(name) ?? "") ? Number(hash.get(name)) - 1 : -1;
      if (number >= 0 && number < limit) state[name] = number;
    }
    if (RESULTS.includes(hash.get("result")) && data.scorers.length) state.result = hash.get("result");
    if (ORDERS.includes(hash.get("order")) && data.scorers.length) state.order = hash.get("order");
    state.text = hash.get("text") ?? "";
    const asked = ({ name }) => hash.get(`by.${name}`);
    state.groups = data.groups.map((group) => group.values.find((value) => value === asked(group)) ?? "");
    state.favourites = unranged(hash.get("favourites") ?? "");
    state.starred = hash.get("only") === "favourites";
    return state;
  }

  return Object.freeze({ data, PAGE, start, score, differences, outcome, select, toHash, fromHash });
})();
