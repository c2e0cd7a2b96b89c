// The page begins: it opens the first day, and redraws itself as its window changes.

function whenParsed() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
}

async function openDay(number) {
  if (!days.has(number)) {
    if (!$(`day-${number}`)) await whenParsed(); // days after the first follow this script
    if (days.size > 3) days.delete(days.keys().next().value); // a phone has no room for a month
    days.set(number, await Day.open(JSON.parse($(`day-${number}`).textContent)));
  }
  return days.get(number);
}

/** Shows a day, or says why it cannot be shown: a browser may be too old. */
async function showDay(number) {
  try {
    await drawDay(number);
  } catch (error) {
    $("state").hidden = false;
    $("state").textContent = `This day cannot be shown: ${error.message}. Browsers since 2023 can.`;
    throw error;
  }
}

let wanted = 0;

async function drawDay(number) {
  $("state").textContent = "Unpacking …";
  $("state").hidden = false;
  wanted = number;
  const day = await openDay(number);
  if (wanted !== number) return; // another day was chosen meanwhile
  Object.assign(state, { number, day });
  resetView();
  state.cursor = findStart(day);
  describeDay(day);
  build();
  $("state").hidden = true;
  document.documentElement.dataset.ready = String(number);
}

/** Where the cursor begins: the top of what was filled, where most filled pixels have echo. */
function findStart(day) {
  const { filled } = day.fields;
  const counts = new Int32Array(day.count),
    tops = new Int32Array(day.count);
  day.filledAt.forEach((number, pixel) => {
    if (number < 0) return;
    tops[pixel % day.count] = Math.floor(pixel / day.count);
    if (filled.whole[number] !== filled.missing) counts[pixel % day.count] += 1;
  });
  const most = counts.reduce((best, count) => Math.max(best, count), 0);
  const profile = most ? counts.indexOf(most) : Math.floor(day.count / 2);
  return { profile, row: tops[profile] };
}

function resetView() {
  const [from, to] = state.day.span;
  state.view = { from, to, low: Math.max(0, state.day.edges[0]), high: findTop() };
}

function findTop() {
  const { day } = state;
  return state.isLow ? Math.min(4000, day.top) : day.top;
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
setTheme(prefersDark.matches ? "dark" : "light");
prefersDark.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
new ResizeObserver(() => {
  if (!charts.field) return;
  if ((state.left === 38) !== $("field").clientWidth < 480) {
    build();
    return;
  }
  charts.field.setSize({ width: $("field").clientWidth, height: fieldHeight() });
  charts.profile.setSize({ width: $("profile").clientWidth, height: SIDE.height });
  charts.rates?.setSize({ width: $("rates").clientWidth, height: 170 });
  paintOverview();
  plan();
}).observe(document.querySelector("main"));
listenToButtons();
listenToKeys();
listenToOverview();
showDay(0);
