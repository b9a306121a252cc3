// Reveals the buttons that show and hide a password; without this script they stay hidden and nothing is missing.
"use strict";
for (const button of document.querySelectorAll("button.show")) {
  const field = document.getElementById(button.dataset.field);
  const set = (visible) => {
    field.type = visible ? "text" : "password";
    button.textContent = visible ? button.dataset.hide : button.dataset.show;
    button.setAttribute("aria-label", visible ? button.dataset.hideLabel : button.dataset.showLabel);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    set(field.type === "password");
    field.focus();
  });
  field.form.addEventListener("submit", () => set(false));
}
