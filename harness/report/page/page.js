// Tables that sort, and charts that follow the controls. DATA is the report's (page_data.h) with
// `charts`, `styles` and `lengths` of charts.py.
const DATA = JSON.parse(document.getElementById("data").textContent);
const find = (selector) => document.querySelector(selector);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const unique = (values) => [...new Set(values)];

// ---- tables -------------------------------------------------------------------------------------
// Numbers by their value, "-" (nothing there) at the end either way.
function compare(a, b, isNumber) {
  if (!isNumber) return a.localeCompare(b);
  return parseFloat(a) - parseFloat(b);
}

function sortRows(table, body, column, header) {
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const isNumber = table.columns[column].is_number;
  const isMissing = (text) => text === "" || (isNumber && Number.isNaN(parseFloat(text)));
  const textOf = (row) => row.children[column].textContent;
  const rows = [...body.children].sort((a, b) => {
    const missing = isMissing(textOf(a)) - isMissing(textOf(b));
    if (missing !== 0 || isMissing(textOf(a))) return missing;
    return compare(textOf(a), textOf(b), isNumber) * (descending ? -1 : 1);
  });
  body.append(...rows);
}

function tableElement(table) {
  const body = element("tbody");
  const head = element("tr");
  table.columns.forEach((column, i) => {
    const button = element("button", { type: "button" }, column.name);
    const header = element("th", { scope: "col", ...(column.is_number && { class: "number" }) }, button);
    button.addEventListener("click", () => sortRows(table, body, i, header));
    head.append(header);
  });
  for (const row of table.rows) {
    body.append(element("tr", {}, ...row.map((text, i) => element("td", {
      ...(table.columns[i].is_number ? { class: "number" } : text.length > 40 && { class: "long" }),
    }, text))));
  }
  return element("div", { class: "table", role: "region", tabindex: "0", "aria-label": table.title },
    element("table", {}, element("thead", {}, head), body));
}

function addTables() {
  for (const table of DATA.tables) {
    // Long tables are built when they are opened: thousands of rows would make the page slow.
    if (!table.is_long) {
      find("#tables").append(element("h3", {}, table.title), tableElement(table));
      continue;
    }
    const details = element("details", {},
      element("summary", {}, `${table.title} (${table.rows.length} rows)`));
    details.addEventListener("toggle", () => {
      if (details.children.length === 1) details.append(tableElement(table));
    });
    find("#tables").append(details);
  }
}

// ---- texts --------------------------------------------------------------------------------------
function addTexts() {
  find("#answer").append(element("h2", {}, DATA.question));
  for (const text of DATA.warnings) {
    find("#answer").append(element("p", { class: "warning" }, text));
  }
  for (const text of DATA.answers) find("#answer").append(element("p", {}, text));
  for (const text of DATA.origins) find("#origins").append(element("p", {}, text));
}

// ---- charts -------------------------------------------------------------------------------------
const views = [];
const state = { hidden: [] };

function update() {
  for (const view of views) {
    for (const [name, value] of Object.entries(state)) {
      if (view.kvbenchParams.includes(name)) view.signal(name, value);
    }
    view.runAsync();
  }
}

// A control whose choices are [value, words]; one choice needs none.
function addControl(label, choices, choose) {
  choose(choices[0][0]);
  if (choices.length === 1) return;
  const select = element("select", {}, ...choices.map(([, words], i) =>
    element("option", { value: i }, words)));
  select.addEventListener("change", () => choose(choices[select.value][0]));
  find(".controls").append(element("label", {}, label, select));
}

async function addChart(name, caption, datasets) {
  const spec = DATA.charts[name];
  const place = element("div", { class: "chart" });
  find(".charts").append(element("figure", { id: name },
    element("figcaption", {}, caption), place));
  const params = spec.params.map((param) => ({ ...param, value: state[param.name] ?? param.value }));
  const { view } = await vegaEmbed(place, { ...spec, params, datasets },
    { actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg" });
  view.kvbenchParams = params.map((param) => param.name);
  views.push(view);
  return view;
}

function addLegend() {
  for (const style of DATA.styles) {
    const picture = `<svg width="34" height="14" viewBox="-17 -7 34 14" aria-hidden="true">
      <line x1="-17" x2="17" stroke="${style.colour}" stroke-width="2"
        stroke-dasharray="${style.dash[0] === 1 ? "" : style.dash}"/>
      <path d="${style.shape}" transform="scale(4.5)" fill="${style.colour}"/></svg>`;
    const button = element("button", { type: "button", "aria-pressed": "true" });
    button.innerHTML = picture;
    button.append(style.policy);
    button.addEventListener("click", () => {
      const hide = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!hide));
      state.hidden = hide ? [...state.hidden, style.policy]
        : state.hidden.filter((policy) => policy !== style.policy);
      update();
    });
    find(".legend").append(button);
  }
}

function addControls() {
  const set = (name) => (value) => { state[name] = value; update(); };
  addControl("Samples", DATA.blocks.map(({ block, title }) => [block, title]), set("block"));
  const tasks = unique(DATA.scores.map((row) => row.task));
  const real = tasks.filter((task) => task !== "average");
  addControl("Task", (real.length > 1 ? ["average", ...real] : real).map((task) => [task, task]),
    set("task"));
  const series = Object.keys(DATA.lengths);
  if (series.length === 0) return;
  const ratios = unique(DATA.scores.map((row) => row.ratio)).filter((ratio) => ratio > 0)
    .sort((a, b) => a - b);
  addControl("Curves over length", series.map((name) => [name, name]), set("series"));
  addControl("Ratio of the curves over length", ratios.map((ratio) => [ratio, ratio]), set("ratio"));
}

function heads(budget) {
  return budget.kept.map((kept, i) => ({
    layer: Math.floor(i / budget.n_kv_heads), "KV head": i % budget.n_kv_heads, kept,
  }));
}

async function addBudgets() {
  if (DATA.even_budgets.length > 0) {
    find("#plots").append(element("p", { class: "note" },
      `The same share in every layer and head: ${DATA.even_budgets.join(", ")}.`));
  }
  if (DATA.budgets.length === 0) return;
  const view = await addChart("budgets", "Share that each layer and KV head keeps",
    { budgets: heads(DATA.budgets[0]) });
  addControl("Budgets of", DATA.budgets.map((budget) => [budget,
    `${budget.policy}, ratio ${budget.ratio ?? "of its own"}`
    + (DATA.blocks.length > 1 ? `, ${DATA.blocks[budget.block].title}` : "")]),
    (budget) => view.data("budgets", heads(budget)).resize().runAsync());
}

async function addCharts() {
  if (DATA.scores.length === 0) {
    find("#plots").remove();
    return;
  }
  addControls();
  addLegend();
  const { scores, choices } = DATA;
  await addChart("ratio", "Score against ratio", { scores });
  await addChart("bytes", "Score against bytes", { scores });
  if (choices.some((row) => row.tpot_ms !== null)) {
    await addChart("tpot",
      "Score against TPOT; the grey line joins what no other beats in both, with their ratios",
      { choices });
  }
  if (Object.keys(DATA.lengths).length > 0) {
    await addChart("length", "Score against length", { scores });
  }
  await addBudgets();
  window.dispatchEvent(new Event("resize")); // the first charts were alone in their row
}

// ---- worst samples ------------------------------------------------------------------------------
function words(sample) {
  const block = DATA.blocks.length > 1 ? `, ${DATA.blocks[sample.block].title}` : "";
  return `${sample.policy}, ratio ${sample.ratio ?? "of its own"}, ${sample.task}, `
    + `sample ${sample.sample}${block}`;
}

function showTexts(sample) {
  const score = (value) => (value === null ? "-" : value.toFixed(1));
  const texts = {
    "The prompt's end": sample.prompt_tail,
    [`Said, score ${score(sample.score)}`]: sample.said,
    [`The full cache said, score ${score(sample.full_score)}`]: sample.full_said,
    Expected: sample.expected,
  };
  find("#worst dl").replaceChildren(...Object.entries(texts)
    .filter(([, text]) => text !== "")
    .flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

async function addWorst() {
  if (DATA.worst.length === 0) {
    find("#worst").remove();
    return;
  }
  const select = element("select", {}, ...DATA.worst.map((sample, i) =>
    element("option", { value: i }, words(sample))));
  find("#worst .controls").append(element("label", {}, "Sample", select));
  showTexts(DATA.worst[0]);
  const first = DATA.worst.find((sample) => sample.needle !== null);
  if (first === undefined) {
    select.addEventListener("change", () => showTexts(DATA.worst[select.value]));
    return;
  }
  const place = element("div", { class: "chart" });
  const figure = element("figure", { id: "needle" }, element("figcaption", {},
    "Share of the tokens that the answer stands in, kept by each layer and KV head"), place);
  find("#worst").append(figure);
  const { view } = await vegaEmbed(place,
    { ...DATA.charts.needle, datasets: { needle: heads(first.needle) } },
    { actions: false, renderer: "svg" });
  const choose = () => {
    const sample = DATA.worst[select.value];
    showTexts(sample);
    figure.hidden = sample.needle === null;
    if (sample.needle !== null) view.data("needle", heads(sample.needle)).resize().runAsync();
  };
  select.addEventListener("change", choose);
  choose();
}

addTexts();
addTables();
await addCharts();
await addWorst();
document.body.dataset.ready = "yes"; // for whoever waits for the charts
