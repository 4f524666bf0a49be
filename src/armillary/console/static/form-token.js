// SPDX-License-Identifier: Apache-2.0
// Sends what a script puts together in the place of a form.

import { worded } from "./worded.js";

/** Said where the session is over and what somebody does is still on the page. */
export const SIGNED_OUT = worded("You are signed out. Sign in again in another tab, then try again: what you did is still here.");

/**
 * Posts fields with the token of a form. Where that belongs to a session that is over, and somebody has signed in again in
 * another tab, the page is asked for its newest token and the fields are sent once more.
 */
export async function send(address, form, fields) {
  const post = () => fetch(address, { method: "POST", body: new URLSearchParams([...fields, ["form_token", form.elements.form_token.value]]) });
  const answer = await post();
  if (answer.status !== 403) return answer;
  const token = await newest();
  if (!token) return answer;
  for (const field of document.querySelectorAll("input[name=form_token]")) field.value = token;
  return post();
}

async function newest() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || new URL(answer.url).pathname !== location.pathname) return "";
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector("input[name=form_token]")?.value ?? "";
}
