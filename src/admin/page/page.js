// Asks the router for its state every two seconds and shows it. Text only ever becomes text, never markup.
"use strict";

const EVERY_MS = 2000;
const KEPT = 300; // samples for the chart: ten minutes
const COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#eeca3b", "#9d755d", "#7f7f7f", "#ff9da6"];
const STATES = { ready: ["ready", "good"], suspended: ["suspended", "bad"], probe_due: ["probe due", "wait"], probing: ["probing", "wait"] };

let latest = null; // the last answer, and when it came
let samples = []; // { at, counts: Map from model to attempts }

const byId = (id) => document.getElementById(id);
const clock = (text) => new Date(text).toLocaleTimeString([], { hour12: false });

function element(name, { text, className, title } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (title) made.title = title;
  made.append(...children);
  return made;
}

const cell = (text, className, title) => element("td", { text: String(text), className, title });

function fill(id, rows, nothing) {
  const body = byId(id).tBodies[0];
  const columns = byId(id).tHead.rows[0].cells.length;
  if (rows.length === 0) {
    const empty = cell(nothing, "empty");
    empty.colSpan = columns;
    rows = [element("tr", {}, empty)];
  }
  body.replaceChildren(...rows);
}

function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

// Milliseconds in the unit in which they are a number to read: 18 µs, 1.4 ms, 230 ms.
function milliseconds(value) {
  if (value > 0 && value < 1) return `${Math.round(value * 1000)}\u00a0µs`;
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)}\u00a0ms`;
}

function state(of) {
  const [text, className] = STATES[of.state] ?? [of.state, ""];
  const passed = (Date.now() - latest.at) / 1000;
  const left = of.remaining_seconds === null ? "" : `, ${duration(of.remaining_seconds - passed)} left`;
  return cell(text + left, `state ${className}`);
}

// The state of a target, with the failure behind a suspension and the operations that it lacks.
function why(target) {
  const shown = state(target);
  const { last_failure: failure, suspended_operations: lacking } = target;
  const lines = lacking.map((operation) => `without ${operation}`);
  if (failure && target.state !== "ready") {
    lines.unshift(`${failure.status || ""} ${failure.code} ${clock(failure.at)}`);
  }
  lines.forEach((text) => shown.append(element("div", { text, className: "soft" })));
  return shown;
}

function showTargets({ targets, classifiers }) {
  fill("targets", targets.map((target) => element("tr", {},
    element("td", { text: target.model }, element("span", { text: ` @\u00a0${target.endpoint}`, className: "soft" })),
    why(target), cell(target.dispatched, "number"), cell(target.served, "number wide"),
    cell(target.failed, target.failed ? "number bad" : "number"), cell(target.used_by.join(", "), "wide soft"))),
  "The policy has no target.");
  byId("asked").hidden = classifiers.length === 0;
  fill("classifiers", classifiers.map((classifier) => element("tr", {},
    cell(classifier.name), state(classifier), cell(classifier.calls, "number"),
    cell(Object.entries(classifier.verdicts).filter(([, count]) => count).map(([verdict, count]) => `${verdict} ${count}`).join(", "), "wide soft"))), "");
}

function showUsage({ usage }) {
  byId("used").hidden = usage.length === 0;
  const count = (number) => number.toLocaleString();
  fill("usage", usage.map((row) => element("tr", {},
    element("td", { text: row.model || "(as asked)" }, element("span", { text: ` @\u00a0${row.endpoint}`, className: "soft" })),
    cell(count(row.responses), "number", row.not_exact ? `${count(row.not_exact)} of them estimated, incomplete or unread` : undefined),
    cell(count(row.input), "number"), cell(count(row.cached_input), "number wide"), cell(count(row.output), "number"),
    cell(row.costs.map(([amount, currency]) => `${amount.toFixed(4)}\u00a0${currency}`).join(" + "), "number"),
    cell(`${row.api}/${row.environment}`, "wide soft"))), "");
}

function answer(decision) {
  if (!decision.watched) return cell("not looked at", "soft");
  if (!decision.outcome) return cell("waiting", "wait");
  const on = decision.goes_on ? ", next" : "";
  const what = decision.status ? `${decision.status} ${decision.outcome}` : "none: the client left or the provider broke off";
  const text = `${what} in ${milliseconds(decision.took_ms)}${on}`;
  const took = `, router ${milliseconds(decision.worked_ms)}`;
  return element("td", { text, className: decision.status && decision.status < 400 ? "good" : "bad" }, element("span", { text: took, className: "soft" }));
}

function showDecisions({ decisions }) {
  fill("decisions", decisions.map((decision) => element("tr", {},
    element("td", {}, element("time", { text: clock(decision.at), title: decision.at })),
    element("td", { text: decision.model || "(as asked)" }, element("span", { text: ` @\u00a0${decision.endpoint}`, className: "soft" })),
    cell(decision.attempt > 1 ? `attempt ${decision.attempt}; ${decision.reason}` : decision.reason),
    answer(decision), cell(decision.requested, "wide"), cell(`${decision.api}/${decision.environment}`, "wide soft"),
    cell(decision.request_id.slice(0, 8), "wide soft", decision.request_id))),
  "No request has come yet.");
}

function showPolicy({ policy, refused, router_version }) {
  document.title = refused ? "(!) model-router" : "model-router";
  byId("policy").textContent =
    `${router_version} · policy version ${policy.version}, ${policy.sha256.slice(0, 12)}, live since ${clock(policy.applied_at)} · ${policy.file}`;
  byId("refused").hidden = !refused;
  if (refused) {
    byId("refused").querySelector("time").textContent = `Tried at ${clock(refused.at)}.`;
    byId("refused").querySelector("pre").textContent = refused.report;
  }
}

function sample(targets) {
  const counts = new Map();
  for (const target of targets) counts.set(target.model, (counts.get(target.model) ?? 0) + target.dispatched);
  const last = samples.at(-1);
  const started = last && [...counts].some(([model, count]) => count < (last.counts.get(model) ?? 0));
  samples = started ? [] : samples.slice(1 - KEPT); // a router that was started again counts from 0
  samples.push({ at: Date.now(), counts });
}

// The share of each model among the attempts of each interval, as areas upon each other; gaps where nobody asked.
function shares() {
  const models = [...new Set(samples.flatMap(({ counts }) => [...counts.keys()]))].sort();
  const intervals = samples.slice(1).map((now, at) => {
    const made = models.map((model) => (now.counts.get(model) ?? 0) - (samples[at].counts.get(model) ?? 0));
    const sum = made.reduce((a, b) => a + b, 0);
    return { made, sum };
  });
  return { models, intervals };
}

// The shares of everything that the router has counted, for a page that was opened when nobody asks.
function soFar(models) {
  const made = models.map((model) => samples.at(-1).counts.get(model) ?? 0);
  return { made, sum: made.reduce((a, b) => a + b, 0) };
}

function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function showChart() {
  let { models, intervals } = shares();
  const isQuiet = intervals.every(({ sum }) => sum === 0);
  if (isQuiet) intervals = [soFar(models)];
  const width = isQuiet ? 600 : 600 / Math.max(intervals.length, 30);
  const bars = intervals.flatMap(({ made, sum }, at) => {
    let top = 120;
    return made.map((count, index) => {
      const height = sum ? (120 * count) / sum : 0;
      top -= height;
      return svg("rect", { x: at * width, y: top, width: width + 0.3, height, fill: COLOURS[index % COLOURS.length] });
    });
  });
  byId("chart").replaceChildren(...bars);
  const totals = models.map((_, index) => intervals.reduce((sum, { made }) => sum + made[index], 0));
  const all = totals.reduce((a, b) => a + b, 0);
  byId("legend").replaceChildren(...models.map((model, index) => {
    const mark = svg("svg", { viewBox: "0 0 1 1" });
    mark.append(svg("rect", { width: 1, height: 1, fill: COLOURS[index % COLOURS.length] }));
    const share = all ? `${Math.round((100 * totals[index]) / all)} %` : "none yet";
    return element("li", {}, mark, `${model} `, element("span", { text: share, className: "soft" }));
  }));
  byId("span").textContent = isQuiet ? "since the router's start" : `since ${clock(samples[0].at)}`;
}

async function poll() {
  try {
    const response = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    latest = { at: Date.now(), state: await response.json() };
    sample(latest.state.targets);
    showPolicy(latest.state);
    showDecisions(latest.state);
    showUsage(latest.state);
    showChart();
    byId("connection").textContent = "live";
    byId("connection").className = "state good";
  } catch (error) {
    const since = latest ? `, what is shown is of ${clock(latest.at)}` : "";
    byId("connection").textContent = `the router can't be reached${since} (${error.message})`;
    byId("connection").className = "state bad";
  }
  setTimeout(poll, EVERY_MS);
}

setInterval(() => latest && showTargets(latest.state), 1000);
poll().then(() => latest && showTargets(latest.state));
