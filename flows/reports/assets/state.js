// The state of a page: which day, layer and part of it are in view.

const $ = (id) => document.getElementById(id);
const common = JSON.parse($("common").textContent);
const state = {
  number: 0,
  day: null,
  layer: LAYERS[1],
  view: null,
  cursor: { profile: 0, row: 0 },
  isHatched: true,
  isLow: true,
  fan: "quantiles",
};
const charts = { field: null, profile: null, rates: null };
const days = new Map();

const SIDE = { height: 330 };
