// Says that a check is running, sends a form once, and looks again by itself; without this script the browser does as it always does.
"use strict";
const forms = document.querySelectorAll("form[data-busy]");
const set = (form, sent) => {
  const status = form.querySelector(".busy");
  form.classList.toggle("sent", sent);
  status.textContent = sent ? form.dataset.busy : "";
  for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", String(sent));
};
for (const form of forms) {
  form.addEventListener("submit", (event) => {
    if (form.classList.contains("sent")) event.preventDefault();
    else set(form, true);
  });
}
// A page that the browser kept for Back may be sent again.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of forms) set(form, false);
});
const look = document.querySelector("a[data-look]");
if (look) setTimeout(() => location.replace(look.href), 3000);
