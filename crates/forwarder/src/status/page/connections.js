// The table of connections: sorted by the server, since that knows them all.

import { by, bytes, element, number, pointedAt, rate, reconcile, say, sortHeads, steady, time } from "/live.js";
import { act, confirmed } from "/token.js";

// Title, the server's sort, class, text.
const COLUMNS = [
  ["Client", "client", "mono", it => it.client ?? "Unix socket"],
  ["Rule", "rule", "", it => it.rule],
  ["Target", "target", "mono", it => it.target ?? "–"],
  ["State", null, "", state],
  ["Open for", "age", "number", it => time(it.age)],
  ["Connected in", null, "number", it => it.connect_time == null ? "–" : milliseconds(it.connect_time)],
  ["Last byte", "idle", "number", it => `${time(it.idle)} ago`],
  ["Up", "bytes_up", "number", it => bytes(it.bytes_up)],
  ["Down", "bytes_down", "number", it => bytes(it.bytes_down)],
  ["Queued ↑ ↓", "queued", "number", it => it.queued ? `${queue(it.queued_up)} ${queue(it.queued_down)}` : "–"],
  ["Now", "per_second", "number", it => it.per_second ? rate(it.per_second) : "–"],
];
const FEW = 100, MANY = 1000;
/** Seconds without a byte after which a connection with queued bytes is stuck. */
const STUCK = 5;

const queue = count => count ? bytes(count) : "–";
const milliseconds = seconds => seconds < 1 ? `${number(Math.ceil(seconds * 1000))} ms` : time(seconds);
const isStuck = it => it.queued > 0 && it.idle >= STUCK;

function state(it) {
  if (it.gone) return "closed";
  return isStuck(it) ? "stuck" : it.state;
}

export class Connections {
  constructor(refresh) {
    Object.assign(this, { refresh, sort: "per_second", order: "descending", limit: FEW, actions: false });
    this.table = by("list");
    const heads = COLUMNS.map(([title, sort, kind]) => [title, kind.replace("mono", ""), sort]);
    this.mark = sortHeads(this.table, heads, sort => this.sortBy(sort));
    this.mark(this.sort, this.order);
    by("more").addEventListener("click", () => { this.limit = MANY; this.refresh(); });
  }

  get query() {
    return new URLSearchParams({ sort: this.sort, order: this.order, limit: this.limit });
  }

  sortBy(sort) {
    const first = ["client", "rule", "target"].includes(sort) ? "ascending" : "descending";
    const other = this.order === "ascending" ? "descending" : "ascending";
    this.order = this.sort === sort ? other : first;
    this.sort = sort;
    this.mark(this.sort, this.order);
    this.refresh();
  }

  show(report) {
    this.actions = report.actions;
    this.table.tHead.rows[0].lastElementChild.hidden = !report.actions;
    const left = report.connections_left_out;
    const listed = report.connections.length;
    say(by("listed"), left ? `the first ${number(listed)} of ${number(listed + left)}` : number(listed));
    by("more").hidden = !left || this.limit === MANY;
    by("none").hidden = listed > 0;
    const rows = [...this.table.tBodies[0].rows];
    // What is closed stays in its place, pale, while the user points at the table.
    const there = new Set(report.connections.map(it => it.id));
    const gone = pointedAt(rows)
      ? rows.filter(row => !there.has(row.dataset.key)).map(row => ({ ...row.connection, gone: true })) : [];
    const listedNow = steady(rows, [...report.connections, ...gone], it => it.id);
    reconcile(this.table.tBodies[0], listedNow, it => it.id, it => this.make(it), (row, it) => this.update(row, it));
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
    row.classList.toggle("stuck", isStuck(it));
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
