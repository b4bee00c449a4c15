/* Small comforts. Every page works without this file. */
"use strict";

// Enter goes to the next field, as on the paper form, in forms that ask for it.
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key === "Escape") {
    document.querySelectorAll("details.menu[open]").forEach((menu) => menu.removeAttribute("open"));
    return;
  }
  if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    const save = document.querySelector("button[data-save]");
    if (save) { event.preventDefault(); save.click(); }
    return;
  }
  if (event.key !== "Enter" || event.isComposing || field.tagName !== "INPUT") return;
  const form = field.form;
  if (!form || !form.hasAttribute("data-enter")) return;
  const own = field.dataset.press && form.querySelector("#" + field.dataset.press);
  event.preventDefault();
  if (own) { own.click(); return; }
  const fields = [...form.querySelectorAll("input, select, textarea, button[data-save]")].filter(
    (one) => one.type !== "hidden" && !one.disabled && one.tabIndex >= 0 && one.offsetParent,
  );
  const next = fields[fields.indexOf(field) + 1];
  if (next) next.focus();
});

// A menu closes when the hand goes elsewhere.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  });
  if (event.target.closest("[data-print]")) window.print();
});

// "/" goes to the search box.
document.addEventListener("keyup", (event) => {
  if (event.key !== "/" || /INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) return;
  const box = document.querySelector("input[type=search]");
  if (box) box.focus();
});

// Choosing a known name fills in what usually goes with it, if that field is still empty.
document.addEventListener("change", (event) => {
  const field = event.target;
  const fills = field.dataset && field.dataset.fills && document.getElementById(field.dataset.fills);
  if (!fills || fills.value || !field.list) return;
  const known = [...field.list.options].find((one) => one.value === field.value);
  if (known && known.textContent) fills.value = known.textContent;
});

// Before an unused sign-in ends the page says so; one press keeps it. What was typed stays anyway.
const idle = document.getElementById("idle");
if (idle) {
  // The server looks at a sign-in by the minute, hence one minute more.
  const quiet = Math.max(Number(idle.dataset.seconds) - 180, 20) * 1000;
  let timer;
  const begin = () => {
    clearTimeout(timer);
    idle.hidden = true;
    timer = setTimeout(() => { idle.hidden = false; }, quiet);
  };
  idle.querySelector("button").addEventListener("click", async () => {
    const answer = await fetch("/state/stay", { method: "POST", headers: { "X-Csrf": idle.dataset.csrf } });
    if (answer.ok) begin();
  });
  begin();
}
