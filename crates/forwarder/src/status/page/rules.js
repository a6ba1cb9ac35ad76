// The rules and their targets.

import { bytes, element, number, rate, reconcile, say, time } from "/live.js";
import { act, confirmed } from "/token.js";

const COLUMNS = [["Target"], ["Health"], ["Weight", "number"], ["Open", "number"], ["So far", "number"],
  ["Failed", "number"], ["Up", "number"], ["Down", "number"], ["Last error", "error"]];

const REASONS = {
  global_limit: "limit of all rules", rule_limit: "limit of the rule", client_limit: "limit per client",
  rate: "too many a second", denied: "denied", draining: "draining",
};

// Ends in good order are the rule and not shown.
const CUT_OFF = {
  client_reset: "reset by the client", target_reset: "reset by the target",
  client_stalled: "the client took no bytes", target_stalled: "the target took no bytes",
  client_timed_out: "TCP gave the client up", target_timed_out: "TCP gave the target up",
  client_failed: "the client's side failed", target_failed: "the target's side failed",
  no_target: "no target", idle: "idle", lifetime: "open for too long", operator: "ended by the operator",
  drained: "open at the end of the drain", removed: "the rule was removed",
};

export function showRules(rules, actions, refresh) {
  reconcile(document.getElementById("rules"), rules, rule => rule.name, make,
    (node, rule) => update(node, rule, actions, refresh));
}

function make(rule) {
  const heads = COLUMNS.map(([text, kind = ""]) => element("th", { scope: "col", className: kind, textContent: text }));
  const table = element("table", {},
    element("caption", { className: "visually-hidden", textContent: `Targets of rule ${rule.name}` }),
    element("thead", {}, element("tr", {}, ...heads)), element("tbody"));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Targets of rule ${rule.name}`);
  return element("article", { className: "card rule" },
    element("div", { className: "head" }, element("h3"), element("span", { className: "facts" })), scroll);
}

function update(node, rule, actions, refresh) {
  const title = rule.name === rule.listen ? "" : ` on ${rule.listen}`;
  node.querySelector("h3").replaceChildren(rule.name, element("span", { className: "faint", textContent: title }));
  const fact = (...parts) => element("span", {}, ...parts);
  const strong = text => element("b", { textContent: text });
  const arrow = (name, sign) => element("span", { className: `arrow ${name}`, textContent: sign, ariaLabel: name });
  const byReason = (list, what) => list.filter(it => it.count > 0)
    .map(it => fact(strong(number(it.count)), ` ${what}: ${REASONS[it.reason] ?? CUT_OFF[it.reason] ?? it.reason}`));
  const facts = [
    fact(arrow("up", "↑ "), rate(rule.bytes_up_per_second)),
    fact(arrow("down", "↓ "), rate(rule.bytes_down_per_second)),
    fact(strong(number(rule.open)), ` open of ${number(rule.max_connections)}`),
    fact(strong(number(rule.clients)), rule.clients === 1 ? " client" : " clients"),
    fact(strong(number(rule.accepted)), " accepted"),
    ...byReason(rule.refused, "refused"),
    ...byReason(rule.waits, "times full, clients waited"),
    ...byReason(rule.ended.filter(it => it.reason in CUT_OFF), "ended"),
  ];
  if (rule.targets.length > 1) facts.push(fact(rule.balance));
  node.querySelector(".facts").replaceChildren(...facts);
  const targets = rule.targets.map((target, index) => ({ ...target, index }));
  reconcile(node.querySelector("tbody"), targets, target => target.endpoint, makeTarget,
    (row, target) => updateTarget(row, rule, target, actions, refresh));
}

function makeTarget(target) {
  const name = element("th", { scope: "row", className: "mono", textContent: target.endpoint });
  const cells = COLUMNS.slice(1).map(([, kind = ""]) => element("td", { className: kind }));
  cells[0].append(element("span"));
  return element("tr", {}, name, ...cells);
}

function health(target) {
  if (target.drained) return ["drained", "warn"];
  if (target.weight === 0) return ["weight 0", "warn"];
  if (target.health === "down") return ["down", "bad"];
  if (target.health !== "backing off") return [target.health, target.health === "up" ? "good" : ""];
  return [target.retry_in > 0 ? `backing off, ${time(target.retry_in)}` : "on trial", "warn"];
}

function updateTarget(row, rule, target, actions, refresh) {
  const [text, kind] = health(target);
  const [state, ...cells] = [...row.cells].slice(1);
  say(state.firstElementChild, text);
  state.firstElementChild.className = `pill ${kind}`;
  const error = target.last_error ? `${target.last_error.text} (${time(target.last_error.ago)} ago)` : "";
  const texts = [number(target.weight), number(target.active), number(target.total), number(target.failures),
    bytes(target.bytes_up), bytes(target.bytes_down), error];
  texts.forEach((it, index) => say(cells[index], it));
  let cell = cells[texts.length];
  if (!actions) return cell?.remove();
  if (!cell) {
    cell = row.insertCell();
    cell.className = "number";
    cell.append(element("button", { type: "button" }));
  }
  const button = cell.firstElementChild;
  say(button, target.drained ? "Take back" : "Drain");
  button.ariaLabel = `${button.textContent} ${target.endpoint}`;
  button.onclick = () => drain(rule, target, refresh);
}

async function drain(rule, target, refresh) {
  const path = `/rules/${encodeURIComponent(rule.name)}/targets/${target.index}`;
  if (target.drained) await act(`${path}/undrain`);
  else if (await confirmed("Drain this target?", `${target.endpoint} keeps its ${number(target.active)} connections and gets nothing new.`, "Drain"))
    await act(`${path}/drain`);
  refresh();
}
