// The table of connections: sorted by the server, since that knows them all.

import { by, bytes, element, number, rate, reconcile, say, time } from "/live.js";
import { act, confirmed } from "/token.js";

// Title, what the server sorts by, class, text.
const COLUMNS = [
  ["Client", "client", "mono", it => it.client ?? "Unix socket"],
  ["Rule", "rule", "", it => it.rule],
  ["Target", "target", "mono", it => it.target ?? "–"],
  ["State", null, "", state],
  ["Open for", "age", "number", it => time(it.age)],
  ["Silent for", "idle", "number", it => time(it.idle)],
  ["Up", "bytes_up", "number", it => bytes(it.bytes_up)],
  ["Down", "bytes_down", "number", it => bytes(it.bytes_down)],
  ["Now", "per_second", "number", it => it.per_second ? rate(it.per_second) : "–"],
];
const FEW = 100, MANY = 1000;

function state(it) {
  const queued = it.queued_up + it.queued_down;
  if (it.state === "open" && queued) return `${bytes(queued)} queued`;
  return it.state;
}

export class Connections {
  constructor(refresh) {
    Object.assign(this, { refresh, sort: "per_second", order: "descending", limit: FEW, actions: false });
    const heads = COLUMNS.map(([title, sort, kind]) => {
      const head = element("th", { scope: "col", className: kind.replace("mono", "") });
      if (!sort) { head.textContent = title; return head; }
      head.dataset.sort = sort;
      head.append(element("button", { type: "button", textContent: title, onclick: () => this.sortBy(sort) }));
      return head;
    });
    heads.push(element("th", { scope: "col" }, element("span", { className: "visually-hidden", textContent: "Action" })));
    this.heads = heads;
    by("list").tHead.rows[0].append(...heads);
    by("more").addEventListener("click", () => { this.limit = MANY; this.refresh(); });
    this.mark();
  }

  get query() {
    return new URLSearchParams({ sort: this.sort, order: this.order, limit: this.limit });
  }

  sortBy(sort) {
    const first = ["client", "rule", "target"].includes(sort) ? "ascending" : "descending";
    const other = this.order === "ascending" ? "descending" : "ascending";
    this.order = this.sort === sort ? other : first;
    this.sort = sort;
    this.mark();
    this.refresh();
  }

  mark() {
    for (const head of this.heads)
      if (head.dataset.sort === this.sort) head.setAttribute("aria-sort", this.order);
      else head.removeAttribute("aria-sort");
  }

  show(report) {
    this.actions = report.actions;
    this.heads.at(-1).hidden = !report.actions;
    const left = report.connections_left_out;
    const listed = report.connections.length;
    say(by("listed"), left ? `the first ${number(listed)} of ${number(listed + left)}` : number(listed));
    by("more").hidden = !left || this.limit === MANY;
    by("none").hidden = listed > 0;
    reconcile(by("list").tBodies[0], this.steady(report.connections), it => it.id, it => this.make(it),
      (row, it) => this.update(row, it));
  }

  /** Whoever points at a row finds it in its place a second later; what is gone meanwhile is pale. */
  steady(connections) {
    const body = by("list").tBodies[0];
    if (!body.matches(":hover, :focus-within")) return connections;
    const now = new Map(connections.map(it => [it.id, it]));
    const before = [...body.rows].map(row => now.get(row.dataset.key) ?? { ...row.connection, gone: true });
    const there = new Set(before.map(it => it.id));
    return [...before, ...connections.filter(it => !there.has(it.id))];
  }

  make(it) {
    const row = element("tr");
    COLUMNS.forEach(([, , kind], index) => row.append(index
      ? element("td", { className: kind }) : element("th", { scope: "row", className: kind })));
    const end = element("button", { type: "button", textContent: "End", onclick: () => this.end(row) });
    end.ariaLabel = `End the connection of ${it.client ?? it.id}`;
    row.append(element("td", { className: "number" }, end));
    return row;
  }

  update(row, it) {
    row.connection = it;
    row.classList.toggle("gone", Boolean(it.gone));
    COLUMNS.forEach(([, , , text], index) => say(row.cells[index], text(it)));
    row.cells[COLUMNS.length - 1].classList.toggle("busy", it.per_second > 0);
    const last = row.cells[COLUMNS.length];
    last.hidden = !this.actions;
    last.firstElementChild.disabled = Boolean(it.gone);
  }

  async end(row) {
    const { id, client, target, rule } = row.connection;
    const what = `${client ?? "A client on a Unix socket"} to ${target ?? "no target yet"}, rule ${rule}. Both sides are cut off.`;
    if (await confirmed("End this connection?", what, "End it")) {
      await act(`/connections/${id}/end`);
      this.refresh();
    }
  }
}
