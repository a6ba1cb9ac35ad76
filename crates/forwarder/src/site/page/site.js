// The built-in site.

import { by, bytes, number, poll, rate, say, time } from "/live.js";
import { connecting, throughput } from "/graph.js";

function show(report) {
  const { per_second: now, total } = report;
  const [rule] = report.rules;
  const mine = report.connections.find(it => it.target === rule?.targets[0]?.endpoint);
  say(by("client"), mine?.client ?? "–");
  say(by("listen"), rule?.listen ?? "–");
  say(by("target"), rule?.targets[0]?.endpoint ?? "–");
  say(by("hop-up"), rate(now.bytes_up));
  say(by("hop-down"), rate(now.bytes_down));
  say(by("rate-up"), rate(now.bytes_up));
  say(by("rate-down"), rate(now.bytes_down));
  say(by("open"), number(report.open));
  say(by("rate-new"), number(now.accepted));
  say(by("accepted"), number(total.accepted));
  say(by("bytes"), bytes(total.bytes_up + total.bytes_down));
  say(by("uptime"), time(report.uptime));
  by("state").classList.remove("bad");
  say(by("state"), report.draining ? "The forwarder is draining: this is the last you see of it."
    : "Live. Each second your browser asks once more, which is what you see going through.");
  document.querySelector(".way").classList.toggle("flows", now.bytes_up + now.bytes_down > 0);
  throughput.show(report.history);
  connecting.show(report.history);
}

function fail() {
  by("state").classList.add("bad");
  document.querySelector(".way").classList.remove("flows");
  say(by("state"), "No answer. This page goes on asking.");
}

const ask = poll(() => "/live.json?limit=10", () => ({}), show, fail);

by("send").addEventListener("click", async () => {
  const button = by("send"), length = 256 * 1024 * 1024;
  button.disabled = true;
  try {
    const began = performance.now();
    const reader = (await fetch(`/data?bytes=${length}`)).body.getReader();
    let came = 0, told = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      came += part.value.length;
      const now = performance.now();
      if (now - told > 100) { told = now; say(by("sent"), `${bytes(came)} so far`); }
    }
    const seconds = (performance.now() - began) / 1000;
    say(by("sent"), came === length ? `${bytes(came)} in ${seconds.toFixed(2)} s: ${rate(came / seconds)}`
      : `only ${bytes(came)} came`);
  } catch {
    say(by("sent"), "It was cut off.");
  }
  button.disabled = false;
  ask();
});
