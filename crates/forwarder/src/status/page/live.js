// Asking the server once a second, and showing what it answers.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const by = id => document.getElementById(id);
export const number = count => whole.format(count);
export const compact = count => count < 10000 ? whole.format(Math.round(count)) : short.format(count);

export function bytes(count) {
  let unit = 0;
  // From 1000 on, so that there are never four digits.
  while (count >= 999.5 && unit < UNITS.length - 1) { count /= 1024; unit += 1; }
  const digits = unit === 0 || count >= 99.95 ? 0 : count >= 9.995 ? 1 : 2;
  return `${count.toFixed(digits)} ${UNITS[unit]}`;
}

/** The same for round numbers, which need no digits that say so. */
export const round = count => bytes(count).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ");
export const rate = count => `${bytes(count)}/s`;

export function time(seconds) {
  if (seconds < 1) return "< 1 s";
  const [d, h, m, s] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(Math.floor);
  if (d) return `${d} d ${h} h`;
  if (h) return `${h} h ${m} min`;
  return m ? `${m} min ${s} s` : `${s} s`;
}

/** Changes a text only if it differs, so that nothing is laid out or read aloud again for nothing. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Makes `nodes`, children of `parent`, stand for `items`, and keeps those whose key stays. */
export function reconcile(parent, items, keyOf, make, update, nodes = [...parent.children]) {
  const before = new Map(nodes.map(node => [node.dataset.key, node]));
  let place = nodes[0] ?? null;
  for (const item of items) {
    const key = keyOf(item);
    let node = before.get(key);
    if (node) before.delete(key);
    else { node = make(item); node.dataset.key = key; }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
}

export const pointedAt = nodes => nodes.some(node => node.matches(":hover, :focus-within"));

/** While the user points at one of `nodes`, items keep the places that their nodes have. */
export function steady(nodes, items, keyOf) {
  if (!pointedAt(nodes)) return items;
  const now = new Map(items.map(it => [keyOf(it), it]));
  const before = nodes.map(node => now.get(node.dataset.key)).filter(Boolean);
  const there = new Set(before);
  return [...before, ...items.filter(it => !there.has(it))];
}

/**
 * Makes the heads of a table out of `[title, class, sort]`, with a button where there is a sort.
 * Returns a function that marks the column which is sorted by.
 */
export function sortHeads(table, columns, sortBy) {
  const heads = columns.map(([title, kind, sort]) => {
    const head = element("th", { scope: "col", className: kind });
    if (!sort) { head.textContent = title; return head; }
    head.dataset.sort = sort;
    head.append(element("button", { type: "button", textContent: title, onclick: () => sortBy(sort) }));
    return head;
  });
  const action = element("span", { className: "visually-hidden", textContent: "Action" });
  table.tHead.rows[0].append(...heads, element("th", { scope: "col" }, action));
  return (sort, order) => {
    for (const head of heads)
      if (sort !== null && head.dataset.sort === sort) head.setAttribute("aria-sort", order);
      else head.removeAttribute("aria-sort");
  };
}

/**
 * Asks for `url()` every second while the page is seen. `headers()` go along; `show` gets what
 * came, `fail` the status of an answer that says no, or 0 when there is none.
 * Returns a function that asks at once.
 */
export function poll(url, headers, show, fail) {
  let timer, wanted = 0;
  async function ask() {
    clearTimeout(timer);
    const turn = ++wanted;
    let status = 0;
    try {
      const answer = await fetch(url(), { headers: headers(), cache: "no-store" });
      status = answer.status;
      const report = answer.ok ? await answer.json() : null;
      if (turn !== wanted) return;
      if (report) show(report); else fail(status);
    } catch (error) {
      if (turn !== wanted) return;
      fail(0);
      if (!(error instanceof TypeError)) console.error(error);
    }
    if (!document.hidden) timer = setTimeout(ask, 1000);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  ask();
  return ask;
}
