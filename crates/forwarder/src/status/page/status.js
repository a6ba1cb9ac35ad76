// The status page.

import { by, bytes, number, poll, rate, say, time } from "/live.js";
import { connecting, throughput } from "/graph.js";
import { Rules } from "/rules.js";
import { Connections } from "/connections.js";
import { headers, offerToken, needToken } from "/token.js";

const connections = new Connections(() => ask());
const rules = new Rules();

for (const button of document.querySelectorAll("[data-seconds]"))
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-seconds]"))
      other.setAttribute("aria-pressed", String(other === button));
    throughput.seconds = connecting.seconds = Number(button.dataset.seconds);
  });

function state(text, kind) {
  say(by("state"), text);
  by("state").className = `pill ${kind}`;
}

function alert(text) {
  by("alert").hidden = !text;
  say(by("alert"), text);
}

function show(report) {
  if (report.draining) state(`draining, ${number(report.open)} still open`, "warn");
  else state("forwarding", "good");
  const silent = report.workers.flatMap((worker, index) => worker.answers ? [] : [index + 1]);
  alert(silent.length ? `No answer within a second from worker ${silent.join(", ")}: its connections are missing here.` : "");
  document.title = `${number(report.open)} open · forwarder`;
  say(by("uptime"), `up for ${time(report.uptime)}`);
  say(by("version"), `version ${report.version}`);
  say(by("rate-up"), rate(report.per_second.bytes_up));
  say(by("rate-down"), rate(report.per_second.bytes_down));
  say(by("open"), number(report.open));
  say(by("rate-new"), number(report.per_second.accepted));
  say(by("accepted"), number(report.total.accepted));
  say(by("refused"), number(report.total.refused));
  say(by("bytes-up"), bytes(report.total.bytes_up));
  say(by("bytes-down"), bytes(report.total.bytes_down));
  say(by("limit"), number(report.max_connections));
  say(by("log-lines"), number(report.log_lines_dropped));
  say(by("workers"), number(report.workers.length));
  say(by("note"), report.actions ? "ending connections and draining targets needs the token."
    : "connections can be ended here when there is a token (--status-token-file).");
  throughput.show(report.history);
  connecting.show(report.history);
  offerToken(report.actions, () => ask());
  rules.show(report.rules, report.actions, () => ask());
  connections.show(report);
}

function fail(status) {
  if (status === 401) {
    state("locked", "warn");
    alert("From another machine this page needs the token.");
    needToken(() => ask());
  } else {
    state(status ? `answered with ${status}` : "no answer", "bad");
    alert("What is shown is old. This page keeps asking.");
  }
}

const ask = poll(() => `/status.json?${connections.query}`, headers, show, fail);
