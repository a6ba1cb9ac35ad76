// The table of rules: a row for each, and below it, unless collapsed, its targets and reasons.

import { by, bytes, element, number, rate, reconcile, say, sortHeads, steady, time } from "/live.js";
import { act, confirmed } from "/token.js";

const REASONS = {
  global_limit: "limit of all rules", rule_limit: "limit of the rule", client_limit: "limit per client",
  rate: "too many a second", denied: "denied", draining: "draining",
};

// Orderly ends are the rule, so they are not shown.
const CUT_OFF = {
  client_reset: "reset by the client", target_reset: "reset by the target",
  client_stalled: "the client took no bytes", target_stalled: "the target took no bytes",
  client_timed_out: "no TCP acknowledgement from the client", target_timed_out: "no TCP acknowledgement from the target",
  client_failed: "the client's side failed", target_failed: "the target's side failed",
  no_target: "no target", idle: "idle", lifetime: "open for too long", operator: "by the operator",
  drained: "open at the end of the drain", removed: "the rule or target was removed",
  loop: "it came back through the forwarder itself",
};

/** Worst first. */
const STATES = { down: "bad", "backing off": "warn", draining: "warn", unknown: "", up: "good" };
const SEVERITY = Object.keys(STATES);

const sum = list => list.reduce((all, it) => all + it.count, 0);
const newestError = rule => rule.targets.filter(it => it.last_error)
  .reduce((best, it) => !best || it.last_error.ago < best.ago ? it.last_error : best, null);
const worst = rule => Math.min(...rule.targets.map(it => SEVERITY.indexOf(it.health)), SEVERITY.length - 1);

// Title, class, value to sort by, text for a rule, text for a target.
const COLUMNS = [
  ["Rule and targets", "", rule => rule.name],
  ["Health", "", rule => -worst(rule)],
  ["Open", "number", rule => rule.open, it => number(it.open), it => number(it.active)],
  ["Limit", "number", rule => rule.max_connections, it => number(it.max_connections), () => ""],
  ["Clients", "number", rule => rule.clients, it => number(it.clients), () => ""],
  ["Accepted", "number", rule => rule.accepted, it => number(it.accepted), it => number(it.total)],
  ["Refused, failed", "number", rule => sum(rule.refused), it => number(sum(it.refused)), it => number(it.failures)],
  ["Up now", "number", rule => rule.bytes_up_per_second, it => rate(it.bytes_up_per_second), it => rate(it.bytes_up_per_second)],
  ["Down now", "number", rule => rule.bytes_down_per_second, it => rate(it.bytes_down_per_second), it => rate(it.bytes_down_per_second)],
  ["Up in all", "number", rule => rule.bytes_up, it => bytes(it.bytes_up), it => bytes(it.bytes_up)],
  ["Down in all", "number", rule => rule.bytes_down, it => bytes(it.bytes_down), it => bytes(it.bytes_down)],
  ["Last error", "error", rule => -(newestError(rule)?.ago ?? Infinity)],
];
const NUMBERS = COLUMNS.slice(2, -1);

/** Rules that are shown before "Show all", and rows up to which everything is expanded at first. */
const FEW = 100, FEW_ROWS = 16;
/** Seconds after which an error fades. */
const OLD = 300;

export class Rules {
  constructor() {
    Object.assign(this, { sort: null, order: "descending", all: false, search: "", toggled: new Map(), expanded: null });
    this.table = by("rules");
    this.mark = sortHeads(this.table, COLUMNS.map(([title, kind], index) => [title, kind, String(index)]), sort => this.sortBy(sort));
    this.mark(null);
    by("rules-search").addEventListener("input", event => { this.search = event.target.value.trim().toLowerCase(); this.draw(true); });
    by("rules-expand").addEventListener("click", () => {
      this.expanded = !this.expanded;
      this.toggled.clear();
      this.draw();
    });
    by("rules-more").addEventListener("click", () => { this.all = true; this.draw(); });
  }

  /** A column once more turns its order, and a third time goes back to that of the configuration. */
  sortBy(sort) {
    const first = sort === "0" ? "ascending" : "descending";
    if (this.sort !== sort) [this.sort, this.order] = [sort, first];
    else if (this.order === first) this.order = first === "ascending" ? "descending" : "ascending";
    else this.sort = null;
    this.mark(this.sort, this.order);
    this.draw(true);
  }

  show(rules, actions, refresh) {
    Object.assign(this, { rules, actions, refresh });
    this.expanded ??= rules.reduce((rows, rule) => rows + 1 + rule.targets.length, 0) <= FEW_ROWS;
    this.draw();
  }

  matching() {
    const words = this.search.split(/\s+/).filter(Boolean);
    const text = rule => [rule.name, rule.listen, ...rule.targets.map(it => `${it.endpoint} ${it.health}`)].join(" ").toLowerCase();
    const found = this.rules.filter(rule => { const it = words.length && text(rule); return words.every(word => it.includes(word)); });
    if (this.sort === null) return found;
    const value = COLUMNS[this.sort][2], sign = this.order === "ascending" ? 1 : -1;
    const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b || 0;
    return found.map(rule => [value(rule), rule]).sort((a, b) => sign * compare(a[0], b[0])).map(it => it[1]);
  }

  draw(reorder = false) {
    if (!this.rules) return;
    const found = this.matching();
    const bodies = [...this.table.tBodies];
    const ordered = reorder ? found : steady(bodies, found, rule => rule.name);
    const shown = this.all ? ordered : ordered.slice(0, FEW);
    const many = this.rules.length;
    say(by("rules-count"), found.length === many ? number(many) : `${number(found.length)} of ${number(many)}`);
    by("rules-none").hidden = found.length > 0;
    by("rules-more").hidden = shown.length === found.length;
    say(by("rules-more"), `Show all ${number(found.length)}`);
    say(by("rules-expand"), this.expanded ? "Collapse all" : "Expand all");
    this.table.tHead.rows[0].lastElementChild.hidden = !this.actions;
    reconcile(this.table, shown, rule => rule.name, () => this.make(), (body, rule) => this.update(body, rule), bodies);
  }

  make() {
    const toggle = element("button", { type: "button", className: "toggle", onclick: () => {
      this.toggled.set(body.dataset.key, !this.isExpanded(body.dataset.key));
      this.draw();
    } }, element("b"), element("span", { className: "faint" }));
    const row = cells(element("th", { scope: "rowgroup" }, toggle));
    row.className = "rule";
    const body = element("tbody", {}, row);
    return body;
  }

  isExpanded(name) {
    return this.toggled.get(name) ?? this.expanded;
  }

  update(body, rule) {
    const expanded = this.isExpanded(rule.name), row = body.rows[0];
    const toggle = row.cells[0].firstElementChild, [name, listen] = toggle.children;
    toggle.setAttribute("aria-expanded", String(expanded));
    say(name, rule.name);
    say(listen, rule.name === rule.listen ? "" : rule.listen);
    const states = SEVERITY.map(state => [state, rule.targets.filter(it => it.health === state).length]).filter(it => it[1]);
    const text = states.length === 1 && states[0][1] === 1 ? states[0][0] : states.map(([state, count]) => `${count} ${state}`).join(", ");
    fill(row, rule, 3, text, states[0]?.[0], expanded ? null : newestError(rule));
    row.cells[COLUMNS.length].hidden = !this.actions;
    const items = !expanded ? [] : rule.targets.map((target, index) => ({ ...target, index }));
    const facts = expanded ? reasons(rule) : "";
    if (facts) items.push({ endpoint: "", facts });
    reconcile(body, items, it => it.endpoint, it => it.facts ? factsRow() : targetRow(it),
      (node, it) => it.facts ? say(node.cells[0], it.facts) : this.updateTarget(node, rule, it), [...body.rows].slice(1));
  }

  updateTarget(row, rule, target) {
    const backing = target.health === "backing off";
    const text = !backing ? target.health : target.retry_in > 0 ? `backing off, ${time(target.retry_in)}` : "backing off, on trial";
    fill(row, target, 4, text, target.health, target.last_error);
    say(row.cells[0].lastElementChild, target.weight === 1 ? "" : `weight ${target.weight}`);
    const cell = row.cells[COLUMNS.length];
    cell.hidden = !this.actions;
    const button = cell.firstElementChild;
    say(button, target.drained ? "Take back" : "Drain");
    button.ariaLabel = `${button.textContent} ${target.endpoint}`;
    button.onclick = () => drain(rule, target, this.refresh);
  }
}

/** A row with its first cell, the health and so on. */
function cells(first, ...last) {
  const rest = COLUMNS.slice(1).map(([, kind]) => element("td", { className: kind }));
  rest[0].append(element("span"));
  return element("tr", {}, first, ...rest, element("td", { className: "number" }, ...last));
}

function targetRow(target) {
  const name = element("th", { scope: "row" }, element("span", { className: "mono", textContent: target.endpoint }), " ",
    element("span", { className: "faint" }));
  return cells(name, element("button", { type: "button" }));
}

function factsRow() {
  return element("tr", {}, element("td", { className: "facts faint", colSpan: COLUMNS.length + 1 }));
}

function fill(row, it, text, health, state, error) {
  const pill = row.cells[1].firstElementChild;
  say(pill, health);
  pill.className = `pill ${STATES[state] ?? ""}`;
  NUMBERS.forEach((column, index) => say(row.cells[index + 2], column[text](it)));
  const last = row.cells[COLUMNS.length - 1];
  say(last, error ? `${time(error.ago)} ago: ${error.text}` : "");
  last.title = last.textContent;
  last.classList.toggle("old", error?.ago > OLD);
}

function reasons(rule) {
  const list = (all, what) => all.filter(it => it.count > 0)
    .map(it => `${number(it.count)} ${what}: ${REASONS[it.reason] ?? CUT_OFF[it.reason] ?? it.reason.replaceAll("_", " ")}`);
  const facts = [...list(rule.refused, "refused"), ...list(rule.waits, "times clients waited"),
    ...list(rule.ended.filter(it => it.reason in CUT_OFF), "cut off"), ...list(rule.dropped ?? [], "datagrams dropped")];
  if (rule.targets.length > 1) facts.unshift(rule.balance);
  return facts.join(" · ");
}

async function drain(rule, target, refresh) {
  const path = `/rules/${encodeURIComponent(rule.name)}/targets/${target.index}`;
  if (target.drained) await act(`${path}/undrain`);
  else if (await confirmed("Drain this target?", `${target.endpoint} keeps its ${number(target.active)} connections and gets no new ones.`, "Drain"))
    await act(`${path}/drain`);
  refresh();
}
