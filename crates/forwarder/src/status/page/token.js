// The token, and what takes it.

import { by, say } from "/live.js";

const KEY = "forwarder-token";
const stored = () => sessionStorage.getItem(KEY);

export const headers = () => stored() ? { Authorization: `Bearer ${stored()}` } : {};

by("ask").querySelector("[value=cancel]").addEventListener("click", () => by("ask").close("cancel"));

/** Opens a dialog; true if it was closed by its main button. */
function opened(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true }));
}

async function askFor(why) {
  say(by("ask-why"), why);
  by("secret").value = "";
  if (!await opened(by("ask"))) return false;
  sessionStorage.setItem(KEY, by("secret").value.trim());
  return true;
}

/** The button that takes the token, or gives it up. */
export function offerToken(actions, refresh) {
  const button = by("token");
  button.hidden = !actions;
  say(button, stored() ? "Forget token" : "Token…");
  button.onclick = async () => {
    if (stored()) sessionStorage.removeItem(KEY);
    else await askFor("It allows ending connections and draining targets.");
    refresh();
  };
}

/** The server wants the token before it tells anything. */
export function needToken(refresh) {
  sessionStorage.removeItem(KEY);
  const button = by("token");
  button.hidden = false;
  say(button, "Token…");
  button.onclick = async () => { if (await askFor("From another machine this page needs it.")) refresh(); };
}

export async function confirmed(title, what, verb) {
  say(by("confirm-title"), title);
  say(by("confirm-what"), what);
  say(by("confirm-do"), verb);
  return opened(by("confirm"));
}

/** Does something that takes the token, which is asked for when it is missing or wrong. */
export async function act(path) {
  if (!stored() && !await askFor("This needs the token that the forwarder was started with.")) return;
  const answer = await fetch(path, { method: "POST", headers: headers() }).catch(() => null);
  if (answer?.status === 401) {
    sessionStorage.removeItem(KEY);
    if (await askFor("That was not the token.")) await act(path);
  } else if (!answer?.ok) {
    const why = answer ? (await answer.text()).trim() : "the forwarder does not answer";
    await confirmed("That did not work", why, "Close");
  }
}
